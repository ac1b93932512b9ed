//! Where there are no worker processes: they need Linux so far.

use super::records::Records;
use super::{Start, Started};
use crate::session::owner::Owner;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// There is none.
pub(crate) enum Fleet {}

impl Fleet {
    pub(crate) fn close(&self) {
        match *self {}
    }
}

/// # Errors
/// Always.
pub(crate) fn start(
    _: Start,
    _: &[usize],
    _: u128,
    _: &Owner,
    _: &Arc<Records>,
) -> io::Result<Started> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "worker processes need Linux so far: use processes=False",
    ))
}
