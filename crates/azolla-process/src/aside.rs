//! What a process and its client say to each other besides tasks, on the process's side line. Each says it when it likes.
//!
//! Any thread of the process asks, and several wait for their answers at once, so questions have numbers. The process hears
//! of the ends of tasks that it listens to. The client gives orders, which have numbers too: the process carries out each on
//! a thread of its own, beside its tasks.

use crate::message::{Blob, Ended, Range, Run};
use crate::request::{Answer, Request};
use serde::{Deserialize, Serialize};

/// From a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside<'a> {
    /// Tasks that the process holds once less.
    pub released: Vec<u64>,
    /// The queues, locks and so on that the process has no more, by the numbers that it has given them.
    pub forgotten: Vec<u64>,
    /// What nothing in this process reads any more, as often as the client has named it.
    pub given_back: Vec<Range>,
    /// What it says.
    #[serde(borrow)]
    pub what: What<'a>,
}

/// What a process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What<'a> {
    /// Nothing else.
    Nothing,
    /// It asks something.
    Asks {
        /// The number of the question, from 1 on.
        number: u64,
        /// The task whose coroutine asks, if one does.
        task: Option<u64>,
        /// The question. It does not wait for tasks: the process listens to these.
        #[serde(borrow)]
        request: Request<'a>,
    },
    /// It has the answer to the call of this number, or does not want it any more. What it has taken out of something
    /// goes back then.
    Over {
        /// The number of the question.
        number: u64,
        /// It has the answer.
        taken: bool,
    },
    /// It wants to hear how these tasks end.
    Listen(Vec<u64>),
    /// The coroutine of a task has ended.
    Ended {
        /// The number of the answer that is wanted, if one is: [`Answer::Done`].
        number: Option<u64>,
        /// The task.
        task: u64,
        /// How.
        ended: Ended<'a>,
        /// What there is to record of it, if that is recorded.
        run: Option<Run<'a>>,
        /// The tasks of the futures in the result.
        futures: Vec<u64>,
    },
    /// It has carried out an order.
    Obeyed {
        /// The number of the answer that is wanted, if one is: [`Answer::Done`].
        number: Option<u64>,
        /// The number of the order.
        order: u64,
        /// What has come of it.
        ended: Ended<'a>,
        /// The tasks of the futures in the result.
        futures: Vec<u64>,
    },
}

/// From the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News<'a> {
    /// This answers the question of this number.
    Answer(u64, #[serde(borrow)] Answer<'a>),
    /// How tasks have ended that the process listens to.
    Ends(Answer<'a>),
    /// An order: its number, and a pickle of what is to be done.
    Order(u64, Blob<'a>),
    /// The task of this number was cancelled. If it is at hand, it is to stop soon.
    Interrupt(u64),
}
