//! The keeper: the thread that starts the processes of a fleet, sees them end, and starts others in their place.
//!
//! It sleeps until a process ends, one says that it is ready, a start is due, or another thread wakes it. It never
//! sends, so no process can hold it up.

use super::link::Running;
use super::{Shared, StartError};
use crate::arena::Seen;
use crate::line::{Heard, Line, LineError};
use crate::members::{Due, TRIES};
use crate::message::Ready;
use crate::process::{Ended, Process};
use crate::program::Program;
use crate::shown::Shown;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use rustix::process::Signal;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the keeper waits for the rest of a message of which it has the beginning, before it looks at the others.
const PATIENCE: Duration = Duration::from_millis(1);

/// How often the keeper looks how much memory the processes take, while any has tasks, and while none has.
const LOOKS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(250)];

pub(super) struct Keeper<F> {
    shared: Arc<Shared>,
    program: F,
    /// How long a process may take until it is ready.
    limit: Duration,
    places: Vec<Place>,
    /// When it looks next how much memory the processes take.
    look: Instant,
}

/// The place of a process in the fleet.
enum Place {
    /// No process runs. One is to be started at this time, if at all.
    Empty(Option<Instant>),
    /// This one runs.
    Taken(Child),
}

/// A process that runs.
struct Child {
    process: Process,
    control: Line,
    /// When it must be ready.
    deadline: Instant,
    /// What the links to it share, once it is ready.
    running: Option<Arc<Running>>,
    /// Why it is killed before it is ready, if it is.
    wrong: Option<Wrong>,
}

/// Why a process does not become ready.
#[derive(Clone)]
enum Wrong {
    /// It has said something else.
    Said(Arc<LineError>),
    /// It has said nothing for too long.
    Late,
}

/// What the keeper is woken by. The number is that of the place.
#[derive(Clone, Copy)]
enum Event {
    Woken,
    Heard(usize),
    Ended(usize),
}

impl<F: FnMut(usize) -> Program> Keeper<F> {
    pub(super) fn new(shared: Arc<Shared>, processes: usize, limit: Duration, program: F) -> Self {
        let look = Instant::now();
        let places = (0..processes).map(|_| Place::Empty(Some(look))).collect();
        Self { shared, program, limit, places, look }
    }

    /// Keeps the processes alive until the fleet is closed, and ends them.
    pub(super) fn run(mut self) {
        while !self.shared.members.is_closed() {
            self.start_what_is_due();
            for event in self.sleep() {
                match event {
                    Event::Woken => self.woken(),
                    Event::Heard(number) => self.hear(number),
                    Event::Ended(number) => self.reap(number, Some(Instant::now())),
                }
            }
            self.kill_what_is_late();
            self.look_at_memory();
        }
    }

    fn start_what_is_due(&mut self) {
        for number in 0..self.places.len() {
            let due = matches!(self.places[number], Place::Empty(Some(at)) if at <= Instant::now());
            if due && !self.shared.members.is_closed() {
                self.start(number);
            }
        }
    }

    fn start(&mut self, number: usize) {
        if !self.shared.members.started(number) {
            self.places[number] = Place::Empty(None);
            return;
        }
        match start(&(self.program)(number), self.limit) {
            Ok(child) => self.places[number] = Place::Taken(child),
            Err(error) => {
                let error = Arc::new(error);
                self.vacate(number, StartError::System { process: number, error });
            }
        }
    }
}

fn start(program: &Program, limit: Duration) -> io::Result<Child> {
    let (process, control) = Process::start(program)?;
    control.set_patience(Some(PATIENCE))?;
    let deadline = Instant::now() + limit;
    Ok(Child { process, control, deadline, running: None, wrong: None })
}

impl<F> Keeper<F> {
    /// Sleeps until something is to be done, or somewhat shorter.
    fn sleep(&self) -> Vec<Event> {
        let mut events = vec![Event::Woken];
        let mut polled = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        let mut next: Option<Instant> = None;
        let mut until = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for (number, place) in self.places.iter().enumerate() {
            match place {
                Place::Taken(child) => {
                    // First what it has said, then its end.
                    if child.is_starting() {
                        events.push(Event::Heard(number));
                        polled.push(PollFd::new(&child.control, PollFlags::IN));
                        until(child.deadline);
                    } else {
                        until(self.look);
                    }
                    child.leaves().into_iter().for_each(&mut until);
                    events.push(Event::Ended(number));
                    polled.push(PollFd::new(&child.process, PollFlags::IN));
                }
                Place::Empty(Some(start)) => until(*start),
                Place::Empty(None) => {}
            }
        }
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        // An error leaves nothing to do. A signal may have come, then the keeper sleeps again.
        let _ = poll(&mut polled, left.as_ref());
        let happened = events.into_iter().zip(polled);
        happened
            .filter(|(_, polled)| !polled.revents().is_empty())
            .map(|(event, _)| event)
            .collect()
    }

    /// Another thread has closed the fleet, or wants a process killed, added, started again or retired.
    fn woken(&mut self) {
        self.shared.wake.woken();
        let due = self.shared.members.due();
        self.places.resize_with(due.len(), || Place::Empty(Some(Instant::now())));
        for (place, due) in self.places.iter_mut().zip(due) {
            match place {
                Place::Taken(Child { process, running, .. }) => {
                    let is_condemned = running.as_ref().is_some_and(|it| it.is_condemned());
                    if is_condemned || due == Due::End {
                        let _ = process.kill();
                    }
                }
                Place::Empty(start) => match due {
                    Due::End => *start = None,
                    // One that is put off keeps its time.
                    Due::Start => *start = start.or_else(|| Some(Instant::now())),
                    Due::Nothing => {}
                },
            }
        }
    }

    /// Kills the processes that take too much memory, if it is time to look.
    fn look_at_memory(&mut self) {
        if self.look > Instant::now() {
            return;
        }
        let mut is_busy = false;
        for place in &self.places {
            if let Place::Taken(Child { process, running: Some(running), .. }) = place {
                is_busy |= running.is_busy();
                if running.takes_too_much() {
                    let _ = process.kill();
                }
            }
        }
        self.look = Instant::now() + LOOKS[usize::from(!is_busy)];
    }

    /// A process that is not ready yet has said something.
    fn hear(&mut self, number: usize) {
        let Place::Taken(child) = &mut self.places[number] else { return };
        match child.ready(&self.shared) {
            Ok(None) => {}
            Ok(Some((id, running))) => {
                child.running = Some(Arc::clone(&running));
                self.shared.members.ready(number, running, id);
            }
            Err(error) => {
                child.wrong = Some(Wrong::Said(Arc::new(error)));
                let _ = child.process.kill();
            }
        }
    }

    /// Kills the processes that have had their time and are not ready, or have not left. Their ends are seen as any other's.
    fn kill_what_is_late(&mut self) {
        let now = Instant::now();
        for place in &mut self.places {
            let Place::Taken(child) = place else { continue };
            if child.is_starting() && child.deadline <= now {
                child.wrong = Some(Wrong::Late);
                let _ = child.process.kill();
            }
            if child.leaves().is_some_and(|at| at <= now) {
                child.running.iter().for_each(|running| running.kill());
                let _ = child.process.kill();
            }
        }
    }

    /// A process has ended, or will.
    fn reap(&mut self, number: usize, deadline: Option<Instant>) {
        let Place::Taken(child) = &mut self.places[number] else { return };
        // An error would mean that it cannot be waited for: that is known only of a process that has ended.
        let Some(ended) = child.process.wait(deadline).unwrap_or(Some(Ended::Unknown)) else {
            return;
        };
        let wrong = child.wrong.clone().filter(|_| ended == Ended::Signal(Signal::KILL.as_raw()));
        let (process, tries) = (number, TRIES);
        let why = match wrong {
            Some(Wrong::Said(error)) => StartError::Unready { process, error },
            Some(Wrong::Late) => StartError::Late { process, limit: self.limit, tries },
            None => StartError::Ended { process, ended, tries },
        };
        if let Place::Taken(child) = self.vacate(number, why) {
            // A client that sends an order waits no longer.
            let _ = shutdown(&child.control, Shutdown::Both);
            child.running.inspect(|running| running.end(ended));
        }
    }

    /// A place has no process any more. Returns what was there.
    fn vacate(&mut self, number: usize, why: StartError) -> Place {
        let delay = self.shared.members.ended(number, why);
        let start = delay.map(|delay| Instant::now() + delay);
        std::mem::replace(&mut self.places[number], Place::Empty(start))
    }
}

impl Child {
    fn is_starting(&self) -> bool {
        self.running.is_none() && self.wrong.is_none()
    }

    /// When it is to be killed, if it was told to leave.
    fn leaves(&self) -> Option<Instant> {
        self.running.as_ref()?.leaves()
    }

    /// What the links to the process share and its number, if it has said that it is ready.
    fn ready(&mut self, shared: &Shared) -> Result<Option<(u32, Arc<Running>)>, LineError> {
        let Ready { id, arena: number } = match self.control.hear::<Ready>()? {
            Heard::Message(ready) => ready,
            Heard::Nothing => return Ok(None),
            Heard::End => return Err(invalid("it has closed its control line").into()),
        };
        let arena = self.control.take_descriptor();
        let arena =
            Seen::open(number, arena.ok_or_else(|| invalid("no arena came with its message"))?)?;
        let arena = Shown::new(number, arena);
        let control = Line::from(self.control.as_fd().try_clone_to_owned()?);
        let running = Running::new(id, shared.memory, arena, control, Arc::clone(&shared.wake));
        Ok(Some((id, Arc::new(running))))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The fleet is closed, or `program` has panicked.
impl<F> Drop for Keeper<F> {
    fn drop(&mut self) {
        self.shared.close();
        for place in &self.places {
            if let Place::Taken(child) = place {
                let _ = child.process.kill();
            }
        }
        for number in 0..self.places.len() {
            self.reap(number, None);
        }
    }
}
