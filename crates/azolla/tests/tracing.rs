//! Tasks as a subscriber of `tracing` sees them. A program of its own: subscribers are a process's.

use azolla::Client;
use std::io;
use std::sync::{Arc, Mutex};
use tracing::Level;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_subscriber_is_told_of_begins_ends_and_failures_with_key_and_name() {
    let written = Written::default();
    let writer = written.clone();
    tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .init();
    let client = Client::builder().threads_per_worker(1).build().unwrap();
    client.task().key("fern-1").submit(|| tracing::info!("of the task's own")).result().unwrap();
    let bad = client.task().key("moss-2").retries(1).try_submit(|| Err::<(), _>("too dry"));
    assert!(bad.result().is_err());
    let mut stepped = false;
    let polled = client.task().key("async-3").submit_async(std::future::poll_fn(move |context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut stepped, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }));
    polled.result().unwrap();
    client.close();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let (fern, moss) = ("task{key=\"fern-1\" name=\"fern\"}", "task{key=\"moss-2\" name=\"moss\"}");
    let polled = "task{key=\"async-3\" name=\"async\"}";
    let expected = [
        format!("DEBUG {fern}: azolla: begins"),
        format!(" INFO {fern}: tracing: of the task's own"),
        format!("DEBUG {fern}: azolla: has a result"),
        format!("DEBUG {moss}: azolla: begins"),
        format!("DEBUG {moss}: azolla: has failed, and is to run again"),
        format!("DEBUG {moss}: azolla: begins"),
        format!(
            " WARN {moss}: azolla: has failed error=\"task moss-2 failed: too dry\\ncaused by: too dry\" key=\"moss-2\""
        ),
        format!("DEBUG {polled}: azolla: begins"),
        format!("DEBUG {polled}: azolla: waits to be polled again"),
        format!("DEBUG {polled}: azolla: begins"),
        format!("DEBUG {polled}: azolla: has a result"),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
