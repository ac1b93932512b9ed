//! The works whose instructions `make counts` counts.
//!
//! `counts` lists them; `counts WORK N` prepares the same whatever N is, does the work N times, and leaves at once: so
//! the difference between two runs is the cost of the work alone. The scheduler is driven event by event, the runtime
//! on one thread, moved by hand, with a clock that stands still: twice the same program takes the same instructions.

#![allow(clippy::print_stdout)] // what it is for

#[cfg(all(target_os = "linux", target_pointer_width = "64"))] // where valgrind is
mod clock;
mod runtime;
mod scheduler;

use std::error::Error;

/// The most times that a work is done.
const MOST: u64 = 6_300;

/// A work: its name, and what does it so many times.
type Work = (&'static str, fn(u64));

fn main() -> Result<(), Box<dyn Error>> {
    let works = || scheduler::WORKS.iter().chain(runtime::WORKS);
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        for (name, _) in works() {
            println!("{name}");
        }
        return Ok(());
    };
    let times: u64 = arguments.next().ok_or("how many times?")?.parse()?;
    let (_, work) = works().find(|(name, _)| *name == wanted).ok_or("there is no such work")?;
    work(times.min(MOST));
    std::process::exit(0) // nothing is let go of: that would count too
}
