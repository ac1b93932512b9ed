//! A handle on a client that does not keep it open.

use crate::client::{Client, ClientInner};
use std::fmt;
use std::sync::Weak;

/// A handle on a client that does not keep it open, as [`Client::downgrade`] makes it. It is for what the client
/// itself keeps: a task that captured a [`Client`] and never ended, an async task that waits for ever
/// above all, would keep the client open for ever.
#[derive(Clone)]
pub struct WeakClient(Weak<ClientInner>);

impl Client {
    /// Makes a handle that does not keep the client open.
    ///
    /// ```
    /// let client = azolla::Client::builder().threads_per_worker(1).build()?;
    /// let weak = client.downgrade();
    /// let never = client.submit_async(async move {
    ///     std::future::pending::<()>().await;
    ///     weak.upgrade().map(|client| client.submit(|| 1))
    /// });
    /// drop(client); // cancels the task, since this was the last handle
    /// assert!(matches!(never.result(), Err(azolla::Error::Cancelled { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakClient {
        WeakClient(std::sync::Arc::downgrade(&self.0))
    }
}

impl WeakClient {
    /// Returns the client; `None` if its last handle has gone. A client that was closed is still returned while
    /// there is a handle on it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(Client)
    }
}

impl fmt::Debug for WeakClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakClient")
    }
}
