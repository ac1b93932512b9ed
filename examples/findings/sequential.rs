//! The sequential run, beside which the other ways stand; and the claims that all of them share.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::{Finding, Folder, Resolved};

/// 0: one file after the other, one item after the other.
pub(crate) fn sequentially(folder: &Folder) -> io::Result<Vec<Finding>> {
    let (mut files, mut findings) = folder.listing()?;
    let claims = Claims::new(&files);
    while let Some(file) = files.pop() {
        let read = folder.read(&file);
        findings.push(read.finding);
        for item in &read.items {
            let resolved = folder.resolve(&read.file, item);
            files.extend(claims.new_target(&resolved));
            findings.push(resolved.finding);
        }
    }
    Ok(findings)
}

/// The files that somebody reads, or has read: each is read once, by whoever claims it first.
pub(crate) struct Claims(Mutex<HashSet<String>>);

impl Claims {
    pub(crate) fn new(files: &[String]) -> Claims {
        Claims(Mutex::new(files.iter().cloned().collect()))
    }

    /// Claims the file that the item asks for; returns it if nobody had claimed it.
    pub(crate) fn new_target(&self, resolved: &Resolved) -> Option<String> {
        let target = resolved.to_read.clone()?;
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone());
        is_new.then_some(target)
    }
}
