//! What the task of a worker process asks of its client, and what the client answers.
//!
//! A thread asks while its task runs, and waits for the answer. Tasks are named by the numbers that the client's engine
//! gives them. A process holds each task that it was told of as often as it was told, until it releases it as often.

use crate::message::{Blob, Function, Results};
use serde::{Deserialize, Serialize};

/// From a thread of a process. What stands first is dealt with first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said<'a> {
    /// Tasks that have ended.
    #[serde(borrow)]
    pub ended: Option<Results<'a>>,
    /// The tasks of futures in the results: the place of the result among those that have ended, and the task.
    pub futures: Vec<(u32, u64)>,
    /// Tasks that the process holds once less.
    pub released: Vec<u64>,
    /// The queues, locks and so on that the process has no more, by the numbers that it has given them.
    pub forgotten: Vec<u64>,
    /// What the task at hand asks.
    pub asks: Option<Request<'a>>,
}

/// What a task asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// To submit tasks. Answered by [`Answer::Tasks`], or by [`Answer::Unknown`].
    Submit {
        /// The functions that the client may not know.
        #[serde(borrow)]
        functions: Vec<Function<'a>>,
        /// The tasks.
        tasks: Vec<Submit<'a>>,
        /// The group that they belong to.
        group: Option<u64>,
    },
    /// To keep a value, as a task that has ended. Answered by [`Answer::Tasks`].
    Put {
        /// What its key is made of.
        #[serde(borrow)]
        name: Name<'a>,
        /// The pickle of a key that is no text; empty for others.
        key: &'a [u8],
        /// The value.
        value: Blob<'a>,
        /// The tasks of the futures in the value.
        futures: Vec<u64>,
    },
    /// To find a task by its key: the engine's key, and the number in which the key ends. Answered by
    /// [`Answer::Tasks`], with no task if there is none.
    Find {
        /// The engine's key.
        key: u128,
        /// The number in which the key ends.
        task: Option<u64>,
    },
    /// To wait for tasks, without a slot meanwhile. Answered by [`Answer::Ends`] of those that have ended.
    Wait {
        /// The tasks.
        tasks: Vec<u64>,
        /// Which of them.
        until: Until,
        /// For how long, in nanoseconds.
        limit: Option<u64>,
        /// The results are wanted too.
        results: bool,
    },
    /// To wait for the next of some tasks that ends, without a slot meanwhile. Answered by [`Answer::Ends`], which may
    /// be several.
    Next {
        /// The number of these tasks together, which the process has chosen.
        set: u64,
        /// Tasks that belong to them from now on.
        more: Vec<u64>,
        /// For how long, in nanoseconds.
        limit: Option<u64>,
    },
    /// The tasks of this number are of no interest any more. Answered by [`Answer::Done`].
    Forget(u64),
    /// How a task has ended, if it has, with its result. Answered by [`Answer::Ends`].
    See(Vec<u64>),
    /// To give up the slot. Answered by [`Answer::Done`], with whether there was one.
    Secede,
    /// To have a slot again. Answered by [`Answer::Done`].
    Rejoin,
    /// To lend the slot while the task's thread sleeps. Answered by [`Answer::Loan`].
    Lend {
        /// The tasks whose ends it waits for, all of them; none stands for something else.
        tasks: Vec<u64>,
        /// The loan that it takes part in.
        loan: Option<u64>,
    },
    /// One that took part in this loan waits no more. Answered by [`Answer::Done`], after the last one with a slot.
    EndLoan(u64),
    /// To know whether the task that asks was cancelled. Answered by [`Answer::Done`].
    IsCancelled,
    /// The same. If it was cancelled, and is under no shield, the answer is the error of its waits.
    CheckCancelled,
    /// To sleep for so many nanoseconds, or until the task is cancelled, without a slot meanwhile. Answered by [`Answer::Done`].
    Sleep(Option<u64>),
    /// To begin a shield from the task's cancel (true), or to end it. Answered by [`Answer::Done`].
    Shield(bool),
    /// To know whether a task runs. Answered by [`Answer::Done`].
    HasBegun(u64),
    /// To cancel a task unless it has begun or ended. Answered by [`Answer::Done`], which says whether this has cancelled it.
    CancelUnlessBegun(u64),
    /// To run on without a thread: the task is a coroutine, whose end is told aside. Answered by [`Answer::Tasks`]: the
    /// task itself, which the process holds once more.
    Detach,
    /// A task without a slot awaits these from now on, and no others. Answered by [`Answer::Done`].
    Awaits(Vec<u64>),
    /// To cancel tasks. Answered by [`Answer::Done`].
    Cancel {
        /// The tasks.
        tasks: Vec<u64>,
        /// For all clients.
        force: bool,
        /// With what has grown from them.
        subtree: bool,
        /// What runs is interrupted.
        interrupt: bool,
        /// Why.
        reason: Option<&'a str>,
        /// Why, in the program's words.
        msg: Option<&'a str>,
    },
    /// To run failed tasks again. Answered by [`Answer::Done`].
    Retry(Vec<u64>),
    /// To run tasks to their ends even if nothing wants them. Answered by [`Answer::Done`].
    Keep(Vec<u64>),
    /// To call a method of the client or of what its cluster shares, by a pickle that says which. Answered by
    /// [`Answer::Value`].
    Call(#[serde(with = "serde_bytes")] &'a [u8]),
    /// To wait for something shared, aside: a coroutine awaits the answer, which is as that of a call.
    Stand(#[serde(with = "serde_bytes")] &'a [u8]),
    /// To give up such a wait, by the number of the question, aside. Answered by [`Answer::Done`], which says whether it was
    /// not too late for that.
    GiveUp(u64),
}

/// Which of several tasks a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// All.
    All,
    /// All, or one without a result.
    AllOrFailure,
    /// One.
    First,
}

/// What a task has to do with an actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It makes one.
    Actor,
    /// It calls a method of one.
    Call,
    /// It reads an attribute of one.
    Read,
}

/// A task to submit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit<'a> {
    /// What it has to do with an actor.
    pub role: Role,
    /// The digest of its function.
    pub function: u128,
    /// What the function is called.
    #[serde(borrow)]
    pub called: &'a str,
    /// What its key is made of.
    pub name: Name<'a>,
    /// The arguments. `Input(n)` in them stands for the n-th input.
    pub arguments: Blob<'a>,
    /// Its inputs. For a call of an actor: the actor.
    pub inputs: Vec<u64>,
    /// The tasks of the futures in the arguments that are no inputs.
    pub futures: Vec<u64>,
    /// Its priority, as the scheduler has it.
    pub priority: Option<i64>,
    /// How often it may fail and run again.
    pub retries: u32,
    /// A pickle of what only few tasks have.
    #[serde(with = "serde_bytes")]
    pub rare: &'a [u8],
}

/// What a task's key is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name<'a> {
    /// The text that the key begins with, or the whole key.
    pub text: &'a str,
    /// The rest.
    pub end: End,
}

/// What a key ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Nothing: the program has given it. Its digest.
    Given(u128),
    /// The digest of the call. The key's digest comes first.
    Pure(u128, u128),
    /// The task's number.
    Impure,
}

/// From the client, to a thread whose task has asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<'a> {
    /// These tasks, in order. The process holds each once more.
    Tasks(Vec<u64>),
    /// The client does not know some of the functions.
    Unknown,
    /// How tasks have ended.
    Ends(#[serde(borrow)] Vec<(u64, How<'a>)>),
    /// It is done. True if it has changed something.
    Done(bool),
    /// The number of the loan; none if the task has no slot to lend.
    Loan(Option<u64>),
    /// What the call has returned, as a pickle.
    Value(Blob<'a>),
    /// Instead: an exception, packed.
    Raised(Blob<'a>),
    /// Instead: an exception of this class of azolla's, with this message.
    Told(&'a str, &'a str),
}

/// How a task has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How<'a> {
    /// With this result, if that was wanted.
    Done(#[serde(borrow)] Option<Blob<'a>>),
    /// With an exception, packed.
    Failed(Blob<'a>),
    /// Without a result, as azolla says itself: by an exception of this class, with this message.
    Told(&'a str, &'a str),
    /// It was cancelled, for this reason, in these words.
    Cancelled(Option<&'a str>, Option<&'a str>),
}
