//! What a task in a worker process asks for while it waits by other means than azolla's: to lend its slot. And how far the
//! calls of its executors are.

use super::asked::{Asking, Reply, told};
use crate::future::begun::cancel_unless_begun;
use azolla::runtime::Job;

impl Asking<'_> {
    pub(super) fn lend(&mut self, tasks: &[u64], loan: Option<u64>) -> Result<Reply, Reply> {
        let jobs = self.jobs(tasks)?;
        let loan = self.by.worker()?.lend_for(loan, &jobs);
        loan.map(Reply::Loan).map_err(|error| told(error.never_interrupted()))
    }

    pub(super) fn end_loan(&mut self, loan: u64) -> Result<Reply, Reply> {
        self.by.worker()?.awaits_one_less(loan);
        Ok(Reply::Done(true))
    }

    pub(super) fn has_begun(&self, task: u64) -> Result<Reply, Reply> {
        let jobs = self.jobs(&[task])?;
        Ok(Reply::Done(jobs.iter().any(|job| job.header().is_running())))
    }

    pub(super) fn cancel_unless_begun(&self, task: u64) -> Result<Reply, Reply> {
        let (jobs, engine) = (self.jobs(&[task])?, self.by.engine());
        Ok(Reply::Done(jobs.iter().any(|job| cancel_unless_begun(engine, job))))
    }
}
