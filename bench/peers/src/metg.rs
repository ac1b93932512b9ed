//! Dynamic METG on tokio: a driver that spawns tasks as it sees others complete.

use crate::tokio_works::runtime;
use std::error::Error;
use tokio::sync::mpsc::unbounded_channel;

#[path = "../../growth.rs"]
#[allow(dead_code)] // the peak is measured by azolla's program
mod growth;
use growth::{Graph, Growth, Plan, hash};

/// Runs what the plan says, and prints a line of JSON for each size of task.
pub fn sweep(plan: &str) -> Result<(), Box<dyn Error>> {
    Plan::parse(plan)?.sweep(run);
    Ok(())
}

fn run(graph: Graph) {
    runtime().block_on(async {
        let (tell, mut completed) = unbounded_channel();
        let spawn = |step: usize, column: usize, inputs: Vec<u64>| {
            let tell = tell.clone();
            tokio::spawn(async move {
                let value = hash(graph.units, &inputs);
                let _ = tell.send((step, column, value));
            });
        };
        let mut growth = Growth::new(graph);
        for column in 0..graph.width {
            spawn(0, column, Vec::new());
        }
        for _ in 0..graph.width * graph.steps {
            let (step, column, value) = completed.recv().await.expect("a task is under way");
            growth.completed(step, column, value, |dependent, inputs| {
                spawn(step + 1, dependent, inputs)
            });
        }
        growth.check(growth.last());
    });
}
