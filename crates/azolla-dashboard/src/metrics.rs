//! The numbers for Prometheus, in the OpenMetrics text format.

use crate::process::Process;
use crate::snapshot::shortened;
use azolla::watch::Overview;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn metrics(overview: &Overview) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("azolla");
    registry.register_collector(Box::new(Numbers::new(overview)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The numbers of one function's tasks, wherever they grew.
#[derive(Debug, Default)]
struct Function {
    submitted: u64,
    ended: [(&'static str, u64); 3],
    seconds: f64,
    /// Up to how many seconds, and how many took as long as that and longer than the one before.
    buckets: Vec<(f64, u64)>,
}

#[derive(Debug)]
struct Numbers {
    gauges: Vec<(&'static str, &'static str, f64)>,
    slots: Vec<(&'static str, f64)>,
    queue: Vec<(String, f64)>,
    functions: BTreeMap<String, Function>,
    memory: Option<u64>,
}

impl Numbers {
    fn new(overview: &Overview) -> Self {
        let c = &overview.counts;
        let mut functions: BTreeMap<String, Function> = BTreeMap::new();
        for branch in overview.branches.iter().filter(|branch| branch.submitted() > 0) {
            // The durations are those of the function already, the counts of one branch.
            let function = functions.entry(shortened(&branch.name)).or_insert_with(|| Function {
                submitted: 0,
                ended: [("finished", 0), ("failed", 0), ("cancelled", 0)],
                seconds: branch.durations.total as f64 * 1e-9,
                buckets: buckets(&branch.durations.by_power),
            });
            function.submitted += branch.submitted();
            let ended = [branch.finished, branch.failed, branch.cancelled];
            for (sum, more) in function.ended.iter_mut().zip(ended) {
                sum.1 += more;
            }
        }
        Self {
            gauges: vec![
                ("tasks_live", "Tasks submitted and not ended", c.live as f64),
                ("tasks_kept", "Tasks kept, ended ones included", c.kept as f64),
                ("tasks_ready", "Tasks that wait for a slot", (c.ready + c.claimed) as f64),
                ("tasks_parked", "Tasks that wait and have lent their slot", c.parked as f64),
                ("tasks_async", "Tasks that run without a worker", c.detached as f64),
                ("workers", "Threads of the client", c.workers as f64),
            ],
            slots: vec![
                ("busy", c.busy as f64),
                ("idle", overview.slots.saturating_sub(c.busy) as f64),
            ],
            queue: overview
                .queue
                .iter()
                .map(|(at, count)| (at.to_string(), *count as f64))
                .collect(),
            functions,
            memory: Process::default().usage().memory,
        }
    }
}

/// Puts the durations into buckets in powers of four from a microsecond on. Finer buckets would be of little use.
fn buckets(by_power: &[u32]) -> Vec<(f64, u64)> {
    let mut buckets = Vec::new();
    let mut count = 0;
    for (power, more) in by_power.iter().enumerate() {
        count += u64::from(*more);
        if power + 1 == by_power.len() {
            buckets.push((f64::INFINITY, count));
        } else if power >= 9 && (power - 9).is_multiple_of(2) {
            buckets.push((2f64.powi(power as i32 + 1) * 1e-9, std::mem::take(&mut count)));
        }
    }
    buckets
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in &self.gauges {
            let gauge = ConstGauge::new(*value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let mut slots = encoder.encode_descriptor("slots", "Slots", None, MetricType::Gauge)?;
        for (state, value) in &self.slots {
            let labels = [("state", *state)];
            ConstGauge::new(*value).encode(slots.encode_family(&labels)?)?;
        }
        let help = "Tasks that wait for a slot, by priority";
        let mut queue = encoder.encode_descriptor("queue_tasks", help, None, MetricType::Gauge)?;
        for (priority, count) in &self.queue {
            let labels = [("priority", priority.as_str())];
            ConstGauge::new(*count).encode(queue.encode_family(&labels)?)?;
        }
        if let Some(memory) = self.memory {
            let (name, help) = ("process_memory", "Memory in use");
            let gauge = ConstGauge::new(memory as f64);
            let unit = Some(&Unit::Bytes);
            gauge.encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
        }
        self.encode_functions(&mut encoder)
    }
}

impl Numbers {
    fn encode_functions(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kind = MetricType::Counter;
        let help = "Tasks submitted";
        let mut submitted = encoder.encode_descriptor("tasks_submitted", help, None, kind)?;
        for (name, function) in &self.functions {
            let labels = [("function", name.as_str())];
            ConstCounter::new(function.submitted).encode(submitted.encode_family(&labels)?)?;
        }
        let help = "Tasks that have ended";
        let mut ended = encoder.encode_descriptor("tasks_ended", help, None, kind)?;
        for (name, function) in &self.functions {
            for (how, count) in function.ended {
                let labels = [("function", name.as_str()), ("how", how)];
                ConstCounter::new(count).encode(ended.encode_family(&labels)?)?;
            }
        }
        let help = "How long tasks have held their slots";
        let unit = Some(&Unit::Seconds);
        let mut took =
            encoder.encode_descriptor("task_duration", help, unit, MetricType::Histogram)?;
        for (name, function) in &self.functions {
            let labels = [("function", name.as_str())];
            let count = function.buckets.iter().map(|(_, count)| count).sum();
            let mut family = took.encode_family(&labels)?;
            family.encode_histogram::<[(&str, &str); 0]>(
                function.seconds,
                count,
                &function.buckets,
                None,
            )?;
        }
        Ok(())
    }
}
