//! The target's own metrics before, during and after a run, held against what the clients saw.

use khala_evidence::report::RunReport;
use khala_wire::metrics::FanoutMetrics;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the target's metrics say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fanout {
    /// How many snapshots there are.
    pub snapshots: u64,
    /// Totals.
    pub lines: Vec<Line>,
    /// What target and clients say differently, a sentence each.
    pub contradictions: Vec<String>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What is counted.
    pub name: String,
    /// Before the run.
    pub before: Option<u64>,
    /// The most while it went on.
    pub during: Option<u64>,
    /// At its end, when the topics were dry: its clients were still there, or just going.
    pub after: Option<u64>,
    /// Once every client had left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// What the clients saw of the same.
    pub clients: Option<u64>,
}

/// What reports call a command that publishes an event.
const PUBLISH: &str = "publish";

type Number = fn(&FanoutMetrics) -> u64;

/// The totals that are told.
const TOTALS: [(&str, Number); 4] = [
    ("active_consumers", |metrics| metrics.delivery_metrics.active_consumers),
    ("served_messages", |metrics| metrics.delivery_metrics.served_messages),
    ("slow_consumer_evictions", |metrics| metrics.delivery_metrics.slow_consumer_evictions),
    ("stale_cursors", |metrics| {
        let windows = metrics.topic_windows.iter();
        windows
            .map(|window| {
                window.stale_cursor_budget_exceeded_count
                    + window.stale_cursor_retention_floor_count
            })
            .sum()
    }),
];

impl Fanout {
    /// The snapshots of a run by their labels (`before`, `during-…`, `after`, `left`), held against its report. `None`
    /// without any.
    #[must_use]
    pub fn of(snapshots: &[(String, FanoutMetrics)], report: &RunReport) -> Option<Self> {
        if snapshots.is_empty() {
            return None;
        }
        let labelled =
            |label: &str| snapshots.iter().find(|(it, _)| it == label).map(|(_, metrics)| metrics);
        let during = || snapshots.iter().filter(|(label, _)| label.starts_with("during"));
        let (before, after, left) = (labelled("before"), labelled("after"), labelled("left"));
        let line = |name: String, number: &dyn Fn(&FanoutMetrics) -> u64, clients| Line {
            name,
            before: before.map(number),
            during: during().map(|(_, metrics)| number(metrics)).max(),
            after: after.map(number),
            left: left.map(number),
            clients,
        };
        let peak = Some(report.fleet.clients_peak);
        let mut lines: Vec<Line> = TOTALS
            .iter()
            .map(|(name, number)| {
                let clients = peak.filter(|_| *name == "active_consumers");
                line((*name).to_owned(), number, clients)
            })
            .collect();
        for topic in report.oracle.applied.keys() {
            let head = |metrics: &FanoutMetrics| {
                let mut windows = metrics.topic_windows.iter();
                windows
                    .find(|window| window.topic == *topic)
                    .and_then(|it| it.head_sequence)
                    .unwrap_or(0)
            };
            lines.push(line(format!("head of {topic}"), &head, None));
        }
        let contradictions = contradictions(&lines, report);
        Some(Self { snapshots: snapshots.len() as u64, lines, contradictions })
    }
}

/// What both sides counted, and cannot both be right of.
fn contradictions(lines: &[Line], report: &RunReport) -> Vec<String> {
    // Workers are made before the first snapshot, and their own events with them.
    let publishes = report.requests.iter().filter(|line| line.request == PUBLISH);
    let acknowledged: u64 = publishes.map(|line| line.ok).sum();
    let heads = lines.iter().filter(|line| line.name.ends_with("codex_worker_events"));
    let grown = heads.filter_map(|line| Some((line, line.after?.checked_sub(line.before?))));
    grown
        .filter_map(|(line, grown)| {
            let grown = match grown {
                Some(grown) if grown >= acknowledged => return None,
                Some(grown) => format!("grew by {grown}"),
                None => "went back".to_owned(),
            };
            Some(format!("{} {grown} although {acknowledged} events were acknowledged", line.name))
        })
        .collect()
}
