//! What a dashboard costs those who are watched: the workload of `bench/watched.py`, which counts its instructions.
//!
//! `cargo run --release -p azolla-dashboard --example watched -- HOW TASKS [SECONDS]`, where HOW is
//!
//! * `none`: no dashboard,
//! * `served`: a dashboard at which nobody looks,
//! * `page`: a dashboard with a page's stream open, read by another process.
//!
//! Submits so many tasks that do nothing, a thousand at a time, gathers them, and goes on doing nothing for so many
//! seconds. Prints a line of JSON: how many tasks, how long they took, and how often the dashboard has looked.

#![allow(clippy::print_stdout)] // what it is for

use azolla::Client;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PORTION: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().ok_or("HOW is wanted: none, served or page")?;
    let tasks = arguments.next().ok_or("TASKS are wanted")?;
    if how == "read" {
        return read(&tasks);
    }
    let tasks: u64 = tasks.parse()?;
    let rest = arguments.next().map_or(Ok(0.0), |seconds| seconds.parse())?;

    let client = Client::builder().threads_per_worker(2).build()?;
    let dashboard = match &*how {
        "none" => None,
        "served" | "page" => Some(azolla_dashboard::serve(&client, "127.0.0.1:0")?),
        _ => return Err(format!("HOW is none, served or page, not {how}").into()),
    };
    let mut reader = match &dashboard {
        Some(dashboard) if how == "page" => Some(Reader::start(dashboard.link())?),
        _ => None,
    };
    let start = Instant::now();
    for first in (0..tasks).step_by(PORTION as usize) {
        let futures = client.map(|n: u64| n, first..(first + PORTION).min(tasks));
        client.gather(&futures)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    sleep(Duration::from_secs_f64(rest));
    let looks = reader.as_mut().map_or(Ok(0), Reader::end)?;
    println!(r#"{{"tasks": {tasks}, "seconds": {seconds}, "looks": {looks}}}"#);
    Ok(())
}

/// Another process, as a browser is one: what it does is not counted.
struct Reader {
    child: Child,
    messages: BufReader<std::process::ChildStdout>,
}

impl Reader {
    /// Comes back when the first message has come.
    fn start(link: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["read", link])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut messages = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        messages.read_line(&mut String::new())?;
        Ok(Self { child, messages })
    }

    /// How many messages came, in all.
    fn end(&mut self) -> Result<usize, Box<dyn Error>> {
        drop(self.child.stdin.take());
        let mut count = String::new();
        self.messages.read_line(&mut count)?;
        self.child.wait()?;
        Ok(count.trim().parse()?)
    }
}

/// Reads a page's stream, says when the first message has come, and how many came once its input has ended.
fn read(link: &str) -> Result<(), Box<dyn Error>> {
    let (host, query) =
        link.trim_start_matches("http://").split_once("/status").ok_or("no link")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /events{query} HTTP/1.1\r\nhost: {host}\r\n\r\n")?;
    let ended = std::thread::spawn(|| std::io::stdin().read_line(&mut String::new()));
    let mut count = 0;
    for line in BufReader::new(stream).lines() {
        if line?.starts_with("data:") {
            count += 1;
            if count == 1 {
                println!("open");
            }
        }
        if ended.is_finished() {
            break;
        }
    }
    println!("{count}");
    Ok(())
}
