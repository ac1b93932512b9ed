//! An evolving workflow over real files: how much work there is shows only while the work is done.
//!
//!     cargo run --release --example evolving_workflow -- [FOLDER] [--threads N] [--findings]
//!
//! Every text file of the folder (Python's own standard library by default) is read in parallel. The items in it
//! (links, imports, modules: `docs/items.md`) are found, and each becomes a task of higher priority, so that known
//! items are dealt with before more files are read. What they point to inside the folder is read in turn, each file
//! once however many point to it. Three ways to write that stand beside the sequential run, and all must find the same.

mod findings;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use findings::sequential::sequentially;
use findings::ways::run_ways;
use findings::{Finding, Folder, Outcome};

/// How many lines of a list the report shows; `--findings` prints them all.
const SHOWN: usize = 20;

/// One way's run, and what came of it.
struct Run {
    way: &'static str,
    findings: Vec<Finding>,
    time: Duration,
    tasks: Option<u64>,
    peak_live: Option<u64>,
}

struct Options {
    folder: PathBuf,
    threads: usize,
    findings: bool,
}

/// The exit code: 1 if the ways differ in what they find, 2 if there is no such folder.
fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            _ = writeln!(io::stderr(), "evolving_workflow: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, Box<dyn Error + Send + Sync>> {
    let mut options = Options {
        folder: PathBuf::new(),
        threads: available_parallelism()?.get(),
        findings: false,
    };
    let mut arguments = env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--findings") => options.findings = true,
            Some("--threads") => {
                let threads = arguments.next().and_then(|threads| threads.to_str()?.parse().ok());
                options.threads = threads
                    .filter(|threads| *threads > 0)
                    .ok_or("--threads wants a number above 0")?;
            }
            Some(unknown) if unknown.starts_with("--") => {
                return Err(format!("unknown option {unknown}").into());
            }
            _ => options.folder = argument.into(),
        }
    }
    if options.folder.as_os_str().is_empty() {
        options.folder = python_standard_library()?;
    }
    Ok(options)
}

fn python_standard_library() -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let code = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let output = Command::new("python3").args(["-c", code]).output();
    let printed = output
        .map_err(|error| format!("no folder was given, and python3 does not run: {error}"))?
        .stdout;
    Ok(String::from_utf8(printed)?.trim_end().into())
}

/// Whether all ways found the same.
fn run(options: &Options) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let cannot_list = |error| format!("cannot list {}: {error}", options.folder.display());
    let folder = Arc::new(Folder::new(&options.folder).map_err(cannot_list)?);
    // Not timed: whichever way came first would pay for bringing the files into the system's cache.
    let mut findings = sequentially(&folder).map_err(cannot_list)?;
    if options.findings {
        findings.sort();
        print(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
        return Ok(true);
    }
    let mut runs = vec![run_sequentially(&folder)?];
    runs.extend(run_ways(&folder, options.threads)?);
    print(&report(&folder.top, options.threads, &runs));
    Ok(different(&runs).is_empty())
}

/// Prints, and does not mind if nobody reads to the end (`| head`).
fn print(text: &str) {
    _ = io::stdout().write_all(text.as_bytes());
}

fn run_sequentially(folder: &Folder) -> io::Result<Run> {
    let start = Instant::now();
    let mut findings = sequentially(folder)?;
    let time = start.elapsed();
    findings.sort();
    Ok(Run { way: "sequential", findings, time, tasks: None, peak_live: None })
}

// The report

/// The ways whose findings are not those of the first.
fn different(runs: &[Run]) -> Vec<&str> {
    runs.iter().filter(|run| run.findings != runs[0].findings).map(|run| run.way).collect()
}

fn report(top: &Path, threads: usize, runs: &[Run]) -> String {
    let findings = &runs[0].findings;
    let having = |wanted: fn(&Outcome) -> bool| {
        findings.iter().filter(move |finding| wanted(&finding.outcome))
    };
    let read = having(|outcome| matches!(outcome, Outcome::Read(_))).count();
    let unread: Vec<_> = having(|outcome| matches!(outcome, Outcome::NotRead(_))).collect();
    let inside = having(|outcome| matches!(outcome, Outcome::Inside(_))).count();
    let outside = having(|outcome| matches!(outcome, Outcome::Outside)).count();
    let missing: Vec<_> = having(|outcome| matches!(outcome, Outcome::Missing)).collect();
    let items = inside + outside + missing.len();

    let mut text = format!("{}, {threads} threads\n\n", top.display());
    _ = writeln!(text, "files  {:>9} read, {} not", grouped(read), grouped(unread.len()));
    _ = writeln!(
        text,
        "items  {:>9}: {} inside, {} outside, {} missing",
        grouped(items),
        grouped(inside),
        grouped(outside),
        grouped(missing.len())
    );
    list(&mut text, "not read", &unread);
    list(&mut text, "targets that do not exist", &missing);
    _ = writeln!(
        text,
        "\n{:<18}{:>10}{:>10}{:>12}{:>12}",
        "way", "time", "speed-up", "tasks run", "peak live"
    );
    for run in runs {
        let [seconds, sequential] = [run, &runs[0]].map(|run| run.time.as_secs_f64());
        let [tasks, peak_live] =
            [run.tasks, run.peak_live].map(|count| count.map_or("-".to_owned(), grouped));
        _ = writeln!(
            text,
            "{:<18}{seconds:>8.3} s{:>8.2} x{tasks:>12}{peak_live:>12}",
            run.way,
            sequential / seconds
        );
    }
    match different(runs).as_slice() {
        [] => text.push_str("\nfindings equal: yes\n"),
        ways => _ = writeln!(text, "\nfindings equal: no, not those of {}", ways.join(", ")),
    }
    text
}

fn list(text: &mut String, title: &str, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    _ = writeln!(text, "\n{title}");
    for finding in findings.iter().take(SHOWN) {
        _ = writeln!(text, "  {finding}");
    }
    if findings.len() > SHOWN {
        _ = writeln!(text, "  and {} more: --findings prints all", grouped(findings.len() - SHOWN));
    }
}

/// The number with a comma between groups of three digits.
fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
