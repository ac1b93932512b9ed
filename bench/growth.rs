// The evolving graph of dynamic METG, for azolla's example `bench` and for the peers' program alike: what
// `programs/metg.py` is to the Python programs.
//
// The graph has `width` columns; a task of step t + 1 is submitted only when those of step t that it needs have been seen
// to complete: the one above it, or that and its two neighbours. A sweep halves the tasks until the cores' share of useful
// work falls below what is asked for.

#[path = "processor.rs"]
mod processor;

use std::hint::black_box;
use std::time::Instant;

#[derive(Clone, Copy)]
pub(crate) struct Graph {
    pub(crate) units: u64,
    pub(crate) width: usize,
    pub(crate) steps: usize,
    pub(crate) neighbours: bool,
}

/// The useful work: `units` times 64 steps of a generator that no compiler can shorten. One more than the largest input.
pub(crate) fn hash(units: u64, inputs: &[u64]) -> u64 {
    let mut x = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..units * 64 {
        x = (x ^ x >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    black_box(x);
    1 + inputs.iter().copied().max().unwrap_or(0)
}

/// Says what may be submitted as tasks complete. `F` is what a system has for a future.
pub(crate) struct Growth<F> {
    graph: Graph,
    seen: Vec<Vec<Option<F>>>,
}

impl<F: Clone> Growth<F> {
    pub(crate) fn new(graph: Graph) -> Self {
        Self { graph, seen: vec![Vec::new(); graph.steps] }
    }

    /// The columns of the step before that this one needs, and of the next step that need it.
    fn near(&self, column: usize) -> Vec<usize> {
        let width = self.graph.width;
        if !self.graph.neighbours {
            return vec![column];
        }
        let mut near = vec![(column + width - 1) % width, column, (column + 1) % width];
        near.sort_unstable();
        near.dedup();
        near
    }

    /// A task was seen to complete: submits what may be submitted now.
    pub(crate) fn completed(
        &mut self,
        step: usize,
        column: usize,
        future: F,
        mut submit: impl FnMut(usize, Vec<F>),
    ) {
        let width = self.graph.width;
        self.seen[step].resize(width, None);
        self.seen[step][column] = Some(future);
        if step + 1 == self.graph.steps {
            return;
        }
        let seen = &self.seen[step];
        for dependent in self.near(column) {
            let needed = self.near(dependent);
            let inputs: Vec<F> = needed.iter().filter_map(|i| seen[*i].clone()).collect();
            if inputs.len() == needed.len() {
                submit(dependent, if self.graph.neighbours { inputs } else { Vec::new() });
            }
        }
        if seen.iter().all(Option::is_some) {
            self.seen[step] = Vec::new(); // nothing needs them any more: what they hold can go
        }
    }

    /// The futures of the last step.
    pub(crate) fn last(&self) -> Vec<F> {
        self.seen[self.graph.steps - 1].iter().flatten().cloned().collect()
    }

    /// The results of the last step say how long their ancestry is.
    pub(crate) fn check(&self, values: Vec<u64>) {
        let expected = if self.graph.neighbours { self.graph.steps as u64 } else { 1 };
        assert_eq!(values, vec![expected; self.graph.width]);
    }
}

/// `PEAK,FIRST,SHARE,SECONDS,TASKS,CORES,WIDTH[,WIDTH...]`: units a second of all cores together, microseconds of the first
/// size of task, the share of useful work at which to stop, seconds of useful work for each size, the most tasks, how many
/// cores, and the graphs' widths.
pub(crate) struct Plan {
    peak: f64,
    first: f64,
    share: f64,
    seconds: f64,
    tasks: usize,
    cores: usize,
    widths: Vec<usize>,
}

/// How often each size is run. Whatever else the machine does only takes from the share: the best counts.
const TRIES: usize = 3;

impl Plan {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let numbers: Vec<f64> = text
            .split(',')
            .map(|number| number.parse().map_err(|_| format!("{number} is no number")))
            .collect::<Result<_, _>>()?;
        let [peak, first, share, seconds, tasks, cores, widths @ ..] = &numbers[..] else {
            return Err("PEAK,FIRST,SHARE,SECONDS,TASKS,CORES,WIDTH[,WIDTH...] is wanted".into());
        };
        Ok(Self {
            peak: *peak,
            first: *first,
            share: *share,
            seconds: *seconds,
            tasks: *tasks as usize,
            cores: *cores as usize,
            widths: widths.iter().map(|width| *width as usize).collect(),
        })
    }

    /// Prints a line of JSON for each size of task, until two in a row are below the share.
    pub(crate) fn sweep(&self, run: impl Fn(Graph)) {
        for &width in &self.widths {
            for neighbours in [false, true] {
                run(Graph { units: 1, width, steps: 100, neighbours }); // warms up
                let (mut microseconds, mut below) = (self.first, 0);
                while microseconds >= 0.1 && below < 2 {
                    let (units, share) = self.measure(&run, microseconds, width, neighbours);
                    let took = 1e6 * units as f64 * self.cores as f64 / self.peak;
                    println!(
                        r#"{{"metg": "rust", "width": {width}, "neighbours": {neighbours}, "microseconds": {took}, "share": {share}}}"#
                    );
                    below = if share < self.share { below + 1 } else { 0 };
                    microseconds /= 2.0;
                }
            }
        }
    }

    /// Units a task, and the share of the cores' peak that was useful work.
    fn measure(
        &self,
        run: impl Fn(Graph),
        microseconds: f64,
        width: usize,
        neighbours: bool,
    ) -> (u64, f64) {
        let cores = self.cores as f64;
        let units = (microseconds * 1e-6 * self.peak / cores).round().max(1.0) as u64;
        let steps = self.seconds * cores / (width as f64 * microseconds * 1e-6);
        let steps = (steps as usize).min(self.tasks / width).max(4);
        let share = (0..TRIES)
            .map(|_| {
                let start = Instant::now();
                run(Graph { units, width, steps, neighbours });
                let done = (units as usize * width * steps) as f64;
                done / (self.peak * start.elapsed().as_secs_f64())
            })
            .fold(0.0, f64::max);
        (units, share)
    }
}

/// Units a second of so many threads that do nothing else, as a line of JSON: by the time that they had a processor, so
/// that it is the same on a busy machine.
pub(crate) fn print_peak(cores: usize) {
    const UNITS: u64 = 500_000;
    let work = || {
        let start = processor::seconds();
        hash(UNITS, &[]);
        processor::seconds() - start
    };
    let mut peaks: Vec<f64> = (0..9)
        .map(|_| {
            let seconds: f64 = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            });
            (UNITS * cores as u64 * cores as u64) as f64 / seconds
        })
        .collect();
    peaks.sort_by(f64::total_cmp);
    println!(r#"{{"peak": {}}}"#, peaks[peaks.len() / 2]);
}
