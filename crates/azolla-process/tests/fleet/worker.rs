//! The worker process of these tests: the "test" [`worker`], started again as a program.

use azolla_process::arena::{Arena, Seen};
use azolla_process::borrowed::Arenas;
use azolla_process::line::{Heard, Line};
use azolla_process::message::{Order, Range, Ready};
use azolla_process::program::Program;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio, exit};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

const KIND: &str = "AZOLLA_FLEET_WORKER";

/// What a process does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// It serves.
    Worker,
    /// It ends at once, with code 3.
    Ends,
    /// It never becomes ready, and ends when its control line does.
    Silent,
    /// It says something else than that it is ready.
    Nonsense,
    /// It says that it is ready, without an arena.
    WithoutArena,
    /// It closes its control line, and lives on.
    Deaf,
    /// There is no such program.
    Missing,
}

/// What a thread is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Say {
    /// Answer who you are.
    Who,
    /// Begin one task of this frame.
    Begin(u32),
    /// End the process with this code.
    Die(i32),
    /// Start a process that holds this line and the control line open.
    Fork,
    /// Close the line; the process lives on.
    Leave,
    /// Stop the process, as Ctrl-Z does.
    Stop,
    /// Never read again.
    Sleep,
    /// Wait until the line of this thread has ended.
    Join(u16),
    /// Answer with the first byte of this range.
    Read(Range),
}

/// What a thread answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    Me { process: u32, thread: u16 },
    Done,
    Flushed(u16),
    Byte(u8),
}

pub(crate) fn program(kind: Kind) -> Program {
    let words = match kind {
        Kind::Missing => vec!["/no/such/program".into()],
        Kind::Deaf => ["sh", "-c", "exec sleep 60 0<&-"].map(OsString::from).into(),
        _ => silent("worker::worker"),
    };
    Program { words, environment: with(KIND, &format!("{kind:?}")), text: String::new() }
}

/// The words by which this program runs one of its tests, and says nothing of it.
pub(crate) fn silent(test: &str) -> Vec<OsString> {
    let mut words: Vec<_> =
        ["sh", "-c", r#"exec "$@" >/dev/null"#, "sh"].map(OsString::from).into();
    words.push(env::current_exe().unwrap().into());
    words.extend([test, "--exact", "--nocapture", "--quiet"].map(OsString::from));
    words
}

/// This program's environment with a variable more.
pub(crate) fn with(name: &str, value: &str) -> Vec<(OsString, OsString)> {
    env::vars_os().chain([(name.into(), value.into())]).collect()
}

/// The main function of the process.
#[test]
fn worker() {
    let Ok(kind) = env::var(KIND) else { return };
    let mut control = Line::from(copy(&std::io::stdin())).taking_descriptors();
    let arena = Arena::new(1, 1 << 20).unwrap();
    let ready = Ready { id: std::process::id(), arena: 1 };
    match kind.as_str() {
        "Worker" => _ = control.send_with(&ready, &[arena.seen().as_fd()]).unwrap(),
        "Ends" => exit(3),
        "Silent" => {}
        "Nonsense" => _ = control.send(&"a text").unwrap(),
        "WithoutArena" => _ = control.send(&ready).unwrap(),
        other => panic!("there is no worker that is {other}"),
    }
    let (arenas, lines, threads) = (Arenas::default(), Mutex::default(), Mutex::default());
    let shared = Arc::new(Shared { arena, arenas, lines, threads });
    loop {
        match control.hear().unwrap() {
            Heard::Message(Order::Thread(thread)) => {
                let line = control.take_descriptor().expect("its line comes with it");
                let before = shared.lines.lock().unwrap().insert(thread, copy(&line));
                assert!(before.is_none(), "a process gets each of its threads once");
                let theirs = Arc::clone(&shared);
                let serves = thread::spawn(move || theirs.serve(thread, line.into()));
                shared.threads.lock().unwrap().insert(thread, serves);
            }
            Heard::Message(Order::Side) => {
                let line = control.take_descriptor().expect("its line comes with it");
                thread::spawn(move || echo(line.into()));
            }
            Heard::Message(Order::Flush(thread)) => {
                let line = copy(&shared.lines.lock().unwrap()[&thread]);
                Line::from(line).send(&Said::Flushed(thread)).unwrap();
            }
            Heard::Message(Order::Arena(number)) => {
                let file = control.take_descriptor().expect("it comes with the message");
                shared.arenas.show(number, Seen::open(number, file).unwrap());
            }
            Heard::Message(Order::Forget(number)) => shared.arenas.forget(number),
            Heard::Nothing => {}
            Heard::End => exit(0),
        }
    }
}

/// Says again what it hears.
fn echo(mut line: Line) {
    while let Heard::Message(number) = line.hear::<u64>().unwrap() {
        assert!(line.send(&number).unwrap());
    }
}

fn copy(file: &impl AsFd) -> OwnedFd {
    file.as_fd().try_clone_to_owned().unwrap()
}

struct Shared {
    arena: Arc<Arena>,
    arenas: Arenas,
    /// Copies of the threads' lines.
    lines: Mutex<HashMap<u16, OwnedFd>>,
    threads: Mutex<HashMap<u16, JoinHandle<()>>>,
}

impl Shared {
    fn serve(&self, thread: u16, mut line: Line) {
        while let Heard::Message(say) = line.hear().unwrap() {
            let said = match say {
                Say::Who => Said::Me { process: std::process::id(), thread },
                Say::Begin(frame) => {
                    assert!(self.arena.seen().claim(thread.into()).begin(frame));
                    Said::Done
                }
                Say::Die(code) => exit(code),
                Say::Fork => {
                    // It lives as long as the test.
                    let mut holds = Command::new("tail");
                    holds.arg(format!("--pid={}", parent_id())).args(["-f", "/dev/null"]);
                    holds.stdin(copy(&std::io::stdin())).stdout(copy(&line));
                    drop(holds.stderr(Stdio::null()).spawn().unwrap());
                    Said::Done
                }
                Say::Leave => {
                    self.lines.lock().unwrap().remove(&thread);
                    return;
                }
                Say::Stop => {
                    kill_process(getpid(), Signal::STOP).unwrap();
                    Said::Done
                }
                Say::Sleep => loop {
                    thread::park();
                },
                Say::Read(range) => {
                    let mut bytes = vec![0; range.length as usize];
                    self.arenas.place(range).read(&mut bytes).unwrap();
                    Said::Byte(bytes[0])
                }
                Say::Join(other) => {
                    let other = self.threads.lock().unwrap().remove(&other).unwrap();
                    other.join().unwrap();
                    Said::Done
                }
            };
            line.send(&said).unwrap();
        }
    }
}
