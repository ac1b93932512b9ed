//! Where there are no worker processes: they need Linux so far.

use super::records::Records;
use super::{Start, Started};
use crate::interpreter::blobs::Packed;
use crate::session::owner::Owner;
use crate::task::job::PyJob;
use crate::task::kept::Kept;
use azolla::runtime::{Engine, NoGroup};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// There are none.
pub(crate) enum Reins {}

/// What would be done there.
pub(crate) struct Parcel {
    pub(crate) packed: Packed,
    pub(crate) futures: Kept,
}

/// What would come of that.
pub(crate) enum Outcome {}

pub(crate) type Hear = Box<dyn FnOnce(Outcome) + Send>;

impl Reins {
    pub(crate) fn close(&self) {
        match *self {}
    }

    pub(crate) fn give(
        &self,
        _: Option<&Arc<Parcel>>,
        _: bool,
        _: Option<Duration>,
        _: impl IntoIterator<Item = (usize, Hear)>,
    ) -> Option<u64> {
        match *self {}
    }

    pub(crate) fn take_off(&self, _: u64) {
        match *self {}
    }

    pub(crate) fn start_again(&self, _: usize) {
        match *self {}
    }

    pub(crate) fn stays(&self) -> Vec<usize> {
        match *self {}
    }

    pub(crate) fn add(
        &self,
        _: &Arc<Engine<PyJob>>,
        _: usize,
        _: &[(String, f64)],
    ) -> Result<u16, NoGroup> {
        match *self {}
    }

    pub(crate) fn retire(&self, _: &Engine<PyJob>, _: u16) {
        match *self {}
    }

    pub(crate) fn is_ready(&self, _: u16) -> bool {
        match *self {}
    }

    pub(crate) fn has_failed(&self, _: u16) -> bool {
        match *self {}
    }

    pub(crate) fn at_work(&self, _: &Engine<PyJob>, _: u16) -> usize {
        match *self {}
    }

    pub(crate) fn is_idle(&self, _: &Engine<PyJob>, _: u16) -> bool {
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
