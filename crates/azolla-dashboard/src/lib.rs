//! Watch a workflow grow: a page in the browser, and the same for machines.
//!
//! [`serve`] shows a [`Client`](azolla::Client) on `http://127.0.0.1:8787/status`, or on the next port that is free.
//! While no page is open it costs next to nothing: a thread that sleeps. The page shows what has grown from what, how
//! far it has come and what may still come, what each slot does, and the errors; docs/dashboard.md tells of the rest,
//! of `/metrics`, `/health` and `/json`.
//!
//! ```
//! let client = azolla::Client::builder().threads_per_worker(2).build()?;
//! let dashboard = azolla_dashboard::serve(&client, "127.0.0.1:0")?;
//! assert!(dashboard.link().starts_with("http://127.0.0.1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `progress`, [`progress()`] shows bars in a console instead.
//!
//! The link carries a token, so everyone who has the link may cancel tasks. Everything else can only be read. The
//! server answers on this machine alone unless it is told another address.

mod address;
mod assets;
mod connections;
mod estimate;
mod gate;
mod groups;
mod metrics;
mod process;
#[cfg(feature = "progress")]
mod progress;
mod recorder;
mod report;
mod routes;
mod server;
mod snapshot;
mod trace;

pub use estimate::{Estimate, Range, estimate};
#[cfg(feature = "progress")]
pub use progress::{Progress, progress, progress_to};
pub use server::{Handle, Recording, Server};

use std::io;
use std::thread::JoinHandle;

/// Where clients are shown unless they say otherwise.
pub const ADDRESS: &str = "127.0.0.1:8787";

/// Shows a client, on a thread of its own, until what this returns is dropped.
///
/// `address` is a host and a port, either of which may be left out: `"127.0.0.1:8787"`, `":8787"`.
/// If the port is taken, one of the next ones serves; port 0 is any that is free.
///
/// # Errors
/// If the address is none, or none of this machine's, or there is no thread to be had.
pub fn serve(client: &azolla::Client, address: &str) -> io::Result<Dashboard> {
    let mut server = Server::bind(address, client.watch(), "azolla")?;
    let handle = server.handle();
    let run = move || {
        while server.run() {
            server.describe_failures();
        }
    };
    let thread = std::thread::Builder::new().name("azolla-dashboard".into()).spawn(run)?;
    Ok(Dashboard { handle, thread: Some(thread) })
}

/// Has a client show itself: `use azolla_dashboard::ServeDashboard`, then ask the client for it.
///
/// ```
/// use azolla_dashboard::ServeDashboard;
///
/// let client = azolla::Client::builder().threads_per_worker(2).build()?;
/// let dashboard = client.serve_dashboard()?;
/// println!("Dashboard: {}", dashboard.link());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ServeDashboard {
    /// As [`serve`], on [`ADDRESS`] or the next port that is free.
    ///
    /// # Errors
    /// As for [`serve`].
    fn serve_dashboard(&self) -> io::Result<Dashboard>;
}

impl ServeDashboard for azolla::Client {
    fn serve_dashboard(&self) -> io::Result<Dashboard> {
        serve(self, ADDRESS)
    }
}

/// A client's dashboard. Dropping it ends it at once, also for pages that are open.
pub struct Dashboard {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// The address of the page, with the token. Everyone who has the token may cancel tasks.
    #[must_use]
    pub fn link(&self) -> &str {
        self.handle.link()
    }

    /// Recordings, traces and reports.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl std::fmt::Debug for Dashboard {
    /// Shows the link without the token, which is meant only for people who are given the link.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let link = self.link().split('?').next();
        f.debug_struct("Dashboard").field("link", &link.unwrap_or_default()).finish_non_exhaustive()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A bug in the dashboard is no reason to take the program down.
            let _ = thread.join();
        }
    }
}
