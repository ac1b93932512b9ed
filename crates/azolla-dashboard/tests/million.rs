//! A million tasks, while a page's stream is open: what is told is right, and does not grow with them.

use azolla::Client;
use serde_json::Value;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const TASKS: u64 = 1_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Reader {
    host: String,
    query: String,
}

impl Reader {
    fn new(link: &str) -> Option<Self> {
        let (host, query) = link.strip_prefix("http://")?.split_once("/status?")?;
        Some(Self { host: host.into(), query: query.into() })
    }

    fn open(&self, path: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.host)?;
        let joint = if path.contains('?') { '&' } else { '?' };
        let Self { host, query } = self;
        write!(
            stream,
            "GET {path}{joint}{query} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )?;
        Ok(stream)
    }

    fn text(&self, path: &str) -> Result<String> {
        let mut answer = String::new();
        self.open(path)?.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok(body.to_owned())
    }

    fn json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(path)?)?)
    }
}

/// One message of a page's stream.
fn message(stream: &mut impl BufRead) -> Result<String> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err("the stream has ended".into());
        }
        if line.starts_with("data:") {
            return Ok(line);
        }
    }
}

#[test]
fn a_million_tasks_are_told_of_as_shortly_as_ten() -> Result<()> {
    let client = Client::builder().threads_per_worker(2).build()?;
    let dashboard = azolla_dashboard::serve(&client, "127.0.0.1:0")?;
    let reader = Reader::new(dashboard.link()).ok_or("no link")?;
    let mut stream = BufReader::new(reader.open("/events")?);
    message(&mut stream)?;

    let futures = client.map(|n: u64| n, 0..TASKS);
    let sum: u64 = client.gather(&futures)?.into_iter().sum();
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    // The last ends are told of a little after they can be seen.
    loop {
        let told = message(&mut stream)?;
        // At most 2,000 runs of some hundred bytes, and the numbers.
        assert!(told.len() < 400_000, "{} bytes", told.len());
        let told: Value = serde_json::from_str(told.trim_start_matches("data:"))?;
        if told["snapshot"]["counts"]["settled"] == TASKS {
            break;
        }
    }

    // What is told of results may be a second old.
    let overview = loop {
        let overview = reader.json("/json/overview")?;
        if overview["results"]["bytes"] == 8 * TASKS {
            break overview;
        }
        message(&mut stream)?;
    };
    assert_eq!(overview["counts"]["submitted"], TASKS);
    assert_eq!(overview["counts"]["finished"], TASKS);
    assert_eq!(overview["counts"]["held"], TASKS);
    assert_eq!(overview["branches"][0]["submitted"], TASKS);
    assert_eq!(overview["results"]["known"], 1.0);
    let runs = &overview["runs"];
    assert!(runs["kept"].as_u64() <= Some(20_000) && runs["left_out"].as_u64() > Some(TASKS / 2));
    assert!(overview.to_string().len() < 5_000);

    // Any one of them is found, in portions, and told of.
    let key = futures[TASKS as usize - 1].key();
    let (mut found, mut next) = (Value::Null, Value::from(0));
    while found.is_null() && !next.is_null() {
        let portion = reader.json(&format!("/json/tasks?key={key}&from={next}"))?;
        found = portion["tasks"][0].clone();
        next = portion["next"].clone();
    }
    assert_eq!(found["key"], key);
    let task = reader.json(&format!("/json/task/{}", found["task"].as_str().ok_or("no id")?))?;
    assert_eq!(task["state"], "finished");
    let branch = &overview["branches"][0]["id"];
    let listed = reader.json(&format!("/json/tasks?branch={branch}"))?;
    let listed = listed["tasks"].as_array().map_or(0, Vec::len);
    assert!((100..2_000).contains(&listed), "{listed}");

    assert!(reader.text("/metrics")?.contains(r#"azolla_tasks_submitted_total{"#));
    assert!(reader.text("/json/trace")?.len() < 20_000 * 500);
    Ok(())
}
