//! A clock that stands still, in place of the C library's: how long a task takes decides how many are pulled at once,
//! and on the real clock that depends on what else the machine does.

/// Seconds and nanoseconds, as C has them.
#[repr(C)]
pub(crate) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// It is always the same time, on every clock.
// SAFETY: this is the C library's function, by its signature on 64-bit Linux.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(_clock: i32, time: *mut Timespec) -> i32 {
    // SAFETY: who asks gives a place for the answer.
    unsafe { *time = Timespec { seconds: 1_000_000_000, nanoseconds: 0 } };
    0
}
