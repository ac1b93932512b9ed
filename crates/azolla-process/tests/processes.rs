//! Real processes: this program starts itself again as a worker process, by the "test" [`child`].
#![cfg(all(target_os = "linux", not(azolla_shuttle)))]

use azolla_process::arena::{Arena, Seen};
use azolla_process::line::{Heard, Line};
use azolla_process::message::Range;
use azolla_process::place::Contents;
use azolla_process::process::{Ended, Process};
use azolla_process::program::Program;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio, exit};
use std::time::{Duration, Instant};

const CHILD: &str = "AZOLLA_PROCESS_CHILD";

/// What the child is told.
#[derive(Serialize, Deserialize)]
enum Order {
    /// Answer with the first byte of this range; the arena comes as a descriptor.
    Read(Range),
    /// Begin the tasks of this frame that the claim allows, one for each line that comes back.
    Begin(u32),
    /// Start a process that inherits everything, and die.
    Fork,
    /// End with this code.
    End(i32),
}

/// The main function of the child.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut line = Line::from(stdin).taking_descriptors();
    let mut arena = None;
    loop {
        let order = match line.hear::<Order>().unwrap() {
            Heard::Message(order) => order,
            Heard::Nothing => continue,
            Heard::End => exit(0),
        };
        arena = line.take_descriptor().map(|file| Seen::open(1, file).unwrap()).or(arena);
        match order {
            Order::Read(range) => {
                let mut bytes = vec![0; range.length as usize];
                arena.as_ref().unwrap().read(range, &mut bytes).unwrap();
                line.send(&bytes[0]).unwrap();
            }
            Order::Begin(frame) => {
                let claim = arena.as_ref().unwrap().claim(0);
                while claim.begin(frame) {
                    line.send(&0_u8).unwrap();
                }
                line.send(&1_u8).unwrap();
            }
            Order::Fork => {
                let mut holds = Command::new("sleep");
                holds.arg("20").stdin(Stdio::inherit()).stderr(Stdio::null());
                drop(holds.spawn().unwrap());
                exit(7);
            }
            Order::End(code) => exit(code),
        }
    }
}

fn start() -> (Process, Line) {
    let mut program = shell(r#"exec "$@" >/dev/null"#);
    program.words.extend(["sh".into(), env::current_exe().unwrap().into()]);
    program.words.extend(["child", "--exact", "--nocapture", "--quiet"].map(OsString::from));
    program.environment.push((CHILD.into(), "1".into()));
    Process::start(&program).unwrap()
}

fn shell(script: &str) -> Program {
    let words = ["sh", "-c", script].map(OsString::from).into();
    Program { words, environment: env::vars_os().collect(), text: String::new() }
}

fn ended(process: &mut Process) -> Ended {
    let deadline = Instant::now() + Duration::from_secs(60);
    process.wait(Some(deadline)).unwrap().expect("the process goes on")
}

#[test]
fn a_process_can_read_a_text_of_any_length() {
    for length in [0, 1, 5_000_000] {
        let script = format!("test `wc -c <&3` = {length}");
        let program = Program { text: "x".repeat(length), ..shell(&script) };
        let (mut process, _line) = Process::start(&program).unwrap();
        assert_eq!(ended(&mut process), Ended::Code(0));
    }
}

#[test]
fn a_process_gets_its_environment_and_its_words_as_they_are() {
    let words = ["sh", "-c", r#"test "$1$A" = 'a  b"c d'"#, "sh", "a  b\""].map(OsString::from);
    let environment =
        vec![("A".into(), "c d".into()), ("PATH".into(), env::var_os("PATH").unwrap())];
    let program = Program { words: words.into(), environment, text: String::new() };
    let (mut process, _line) = Process::start(&program).unwrap();
    assert_eq!(ended(&mut process), Ended::Code(0));
    let none = Process::start(&Program::default()).unwrap_err();
    assert_eq!(none.to_string(), "no program is named");
}

#[test]
fn a_process_inherits_no_descriptor_that_others_wait_to_see_closed() {
    let (mut ends, writes) = std::io::pipe().unwrap();
    fcntl_setfd(&writes, FdFlags::empty()).unwrap();
    let (_process, _line) = start();
    drop(writes);
    assert_eq!(ends.read(&mut [0]).unwrap(), 0, "the pipe has come to its end");
}

#[test]
fn ctrl_c_does_not_reach_a_process_that_has_not_allowed_it() {
    let (mut process, line) = Process::start(&shell("kill -INT $$; read end; exit 4")).unwrap();
    drop(line);
    assert_eq!(ended(&mut process), Ended::Code(4));
}

#[test]
fn a_process_reads_what_this_one_stores() {
    let arena = Arena::new(0, 1 << 20).unwrap();
    let (mut process, mut line) = start();
    for byte in [4, 5] {
        let place = arena.put(&[byte; 9_000]).unwrap();
        let range = place.range();
        let file = arena.seen().as_fd();
        let with: &[_] = if byte == 4 { &[file] } else { &[] };
        assert!(line.send_with(&Order::Read(range), with).unwrap());
        assert_eq!(line.hear::<u8>().unwrap(), Heard::Message(byte));
    }
    assert_eq!(process.wait(Some(Instant::now())).unwrap(), None, "it goes on");
    assert!(line.send(&Order::End(3)).unwrap());
    assert_eq!(ended(&mut process), Ended::Code(3));
    assert_eq!(Ended::Code(3).to_string(), "ended with code 3");
    assert_eq!(line.hear::<u8>().unwrap(), Heard::End);
}

#[test]
fn what_has_not_begun_is_taken_back_from_another_process() {
    let arena = Arena::new(0, 1 << 20).unwrap();
    let (_process, mut line) = start();
    for _ in 0..200 {
        let claim = arena.seen().claim(0);
        let frame = claim.open(50);
        assert!(line.send_with(&Order::Begin(frame), &[arena.seen().as_fd()]).unwrap());
        let mut heard = 0;
        if frame.is_multiple_of(2) {
            assert_eq!(line.hear::<u8>().unwrap(), Heard::Message(0));
            heard = 1;
        }
        let begun = claim.take_back();
        while line.hear::<u8>().unwrap() == Heard::Message(0) {
            heard += 1;
        }
        assert_eq!(heard, begun);
    }
}

#[test]
fn a_process_that_is_killed_says_so() {
    let (mut process, mut line) = start();
    process.kill().unwrap();
    assert_eq!(ended(&mut process), Ended::Signal(9));
    assert_eq!(Ended::Signal(9).to_string(), "was killed by signal 9");
    assert_eq!(line.hear::<u8>().unwrap(), Heard::End);
}

#[test]
fn a_process_for_which_other_code_has_waited_has_ended_too() {
    let (mut process, mut line) = start();
    assert!(line.send(&Order::End(3)).unwrap());
    let id = rustix::process::Pid::from_raw(process.id() as i32);
    rustix::process::waitpid(id, rustix::process::WaitOptions::empty()).unwrap();
    assert_eq!(ended(&mut process), Ended::Unknown);
    process.kill().unwrap();
    assert_eq!(ended(&mut process), Ended::Unknown);
}

#[test]
fn the_end_of_a_process_is_seen_though_what_it_has_forked_holds_the_line() {
    let (mut process, mut line) = start();
    assert!(line.send(&Order::Fork).unwrap());
    assert_eq!(ended(&mut process), Ended::Code(7));
    line.set_patience(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(line.hear::<u8>().unwrap(), Heard::Nothing, "the line has not ended");
}

#[test]
fn a_process_ends_when_its_line_does() {
    let (mut process, line) = start();
    drop(line);
    assert_eq!(ended(&mut process), Ended::Code(0));
}

#[test]
fn a_process_is_killed_when_it_is_dropped() {
    let (process, mut line) = start();
    let id = process.id();
    drop(process);
    assert_eq!(line.hear::<u8>().unwrap(), Heard::End);
    assert!(!std::path::Path::new(&format!("/proc/{id}/stat")).exists());
}
