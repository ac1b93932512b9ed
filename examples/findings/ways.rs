//! The three ways of an evolving workflow, each with a client of its own.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use azolla::Client;

use super::executor::run_all;
use super::sequential::Claims;
use super::{Finding, Folder, Read, Resolved};
use crate::Run;

type Failure = Box<dyn Error + Send + Sync>;
type Way = fn(&Client, &Arc<Folder>) -> Result<Vec<Finding>, Failure>;

pub(crate) fn run_ways(folder: &Arc<Folder>, threads: usize) -> Result<Vec<Run>, Failure> {
    let ways: [(&str, Way); 3] = [
        ("as completed", with_as_completed),
        ("async await", with_async_await),
        ("tasks from tasks", with_tasks_from_tasks),
    ];
    ways.into_iter().map(|(name, way)| run(name, way, folder, threads)).collect()
}

fn run(name: &'static str, way: Way, folder: &Arc<Folder>, threads: usize) -> Result<Run, Failure> {
    let client = Client::builder().threads_per_worker(threads).build()?;
    let start = Instant::now();
    let mut findings = way(&client, folder)?;
    let time = start.elapsed();
    let counters = client.counters();
    findings.sort();
    // All that was submitted has run: the findings could not be complete otherwise.
    Ok(Run {
        way: name,
        findings,
        time,
        tasks: Some(counters.submitted),
        peak_live: Some(counters.peak_live),
    })
}

/// 1: take what is finished, whichever it is, and submit what it asks for.
fn with_as_completed(client: &Client, folder: &Arc<Folder>) -> Result<Vec<Finding>, Failure> {
    enum Done {
        File(Arc<Read>),
        Item(Resolved),
    }
    let read = |file: String| {
        let folder = Arc::clone(folder);
        client.submit(move || Done::File(Arc::new(folder.read(&file))))
    };
    let (files, mut findings) = folder.listing()?;
    let claims = Claims::new(&files);
    let reads: Vec<_> = files.into_iter().map(read).collect();
    let mut running = azolla::as_completed(reads);
    while let Some(future) = running.next() {
        match future.result()? {
            Done::File(file) => {
                findings.push(file.finding.clone());
                for i in 0..file.items.len() {
                    let (folder, file) = (Arc::clone(folder), Arc::clone(file));
                    let resolve = move || Done::Item(folder.resolve(&file.file, &file.items[i]));
                    running.add(client.task().priority(1).submit(resolve));
                }
            }
            Done::Item(resolved) => {
                findings.push(resolved.finding.clone());
                if let Some(target) = claims.new_target(resolved) {
                    running.add(read(target));
                }
            }
        }
    }
    Ok(findings)
}

/// 2: a coroutine follows each file, from its text to the last of its items.
fn with_async_await(client: &Client, folder: &Arc<Folder>) -> Result<Vec<Finding>, Failure> {
    let (files, problems) = folder.listing()?;
    let claims = Claims::new(&files);
    let findings = RefCell::new(problems);
    run_all(files, |file| follow_async(client, folder, &claims, &findings, file))?;
    Ok(findings.into_inner())
}

async fn follow_async(
    client: &Client,
    folder: &Arc<Folder>,
    claims: &Claims,
    findings: &RefCell<Vec<Finding>>,
    file: String,
) -> Result<Vec<String>, azolla::Error> {
    let future = {
        let folder = Arc::clone(folder);
        client.submit(move || folder.read(&file))
    };
    let read = (&future).await?;
    let resolve = |i: usize| {
        let folder = Arc::clone(folder);
        // The future is the task's input: the closure sees the file once it is read.
        client
            .task()
            .priority(1)
            .submit_with(&future, move |read| folder.resolve(&read.file, &read.items[i]))
    };
    let items: Vec<_> = (0..read.items.len()).map(resolve).collect();
    let resolved = client.gather_async(&items).await?;
    let mut findings = findings.borrow_mut();
    findings.push(read.finding.clone());
    findings.extend(resolved.iter().map(|item| item.finding.clone()));
    Ok(resolved.iter().filter_map(|item| claims.new_target(item)).collect())
}

/// 3: the task that reads a file submits a task for each of its items, and waits for them.
fn with_tasks_from_tasks(client: &Client, folder: &Arc<Folder>) -> Result<Vec<Finding>, Failure> {
    let (files, mut findings) = folder.listing()?;
    let claims = Arc::new(Claims::new(&files));
    let follow = |file: String| {
        let (folder, claims) = (Arc::clone(folder), Arc::clone(&claims));
        client.try_submit(move || follow(&folder, &claims, &file))
    };
    let futures: Vec<_> = files.into_iter().map(follow).collect();
    for found in client.gather(&futures)? {
        findings.extend_from_slice(found);
    }
    Ok(findings)
}

/// A task: read a file, deal with its items, and follow their targets.
///
/// It waits only for the files that it claimed itself. So the waits are a tree, though the files link each other in
/// loops, and no task ever waits for itself.
fn follow(
    folder: &Arc<Folder>,
    claims: &Arc<Claims>,
    file: &str,
) -> Result<Vec<Finding>, azolla::Error> {
    let client = azolla::current_client().expect("this is a task");
    let read = Arc::new(folder.read(file));
    let resolve = |i: usize| {
        let (folder, read) = (Arc::clone(folder), Arc::clone(&read));
        client.task().priority(1).submit(move || folder.resolve(&read.file, &read.items[i]))
    };
    let items: Vec<_> = (0..read.items.len()).map(resolve).collect();
    let mut findings = vec![read.finding.clone()];
    let mut targets = Vec::new();
    for resolved in client.gather(&items)? {
        findings.push(resolved.finding.clone());
        if let Some(target) = claims.new_target(resolved) {
            let (folder, claims) = (Arc::clone(folder), Arc::clone(claims));
            targets.push(
                client.task().priority(0).try_submit(move || follow(&folder, &claims, &target)),
            );
        }
    }
    for found in client.gather(&targets)? {
        findings.extend_from_slice(found);
    }
    Ok(findings)
}
