//! What keys are found by: digests that are as good as those of a random function to all who do not know this
//! process's secret. So no data from outside can be made to have the key of other data.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_128_with_secret;

/// As many bytes as XXH3 takes.
pub type Secret = [u8; 192];

static SECRET: OnceLock<Secret> = OnceLock::new();

/// Makes another process's secret that of this one, so that both find the same keys. Returns false if this process has had
/// to choose one of its own already.
pub fn share_secret(secret: Secret) -> bool {
    SECRET.set(secret).is_ok()
}

/// Returns the secret of this process, which is random unless it is shared.
pub fn secret() -> &'static Secret {
    SECRET.get_or_init(|| {
        let random = RandomState::new();
        let mut secret = [0; _];
        for (place, word) in secret.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&random.hash_one(place).to_le_bytes());
        }
        secret
    })
}

/// Returns what these bytes are found by in this process.
#[inline]
pub fn digest(bytes: &[u8]) -> u128 {
    xxh3_128_with_secret(bytes, secret())
}
