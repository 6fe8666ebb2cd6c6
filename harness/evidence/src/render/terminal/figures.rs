//! Faults, rules, latencies, requests and the generator, as far as they fit on a screen; the rest is in
//! `summary.md`.

use khala_plan::metric::{MetricId, MetricKind};

use super::super::page::{Page, chars};
use super::super::texts::{self, withheld};
use super::super::units::{count, counted, duration, duration_or_dash};
use super::super::{befell, beside};
use crate::facts::FaultOutcome;
use crate::report::{MetricLine, RunReport};

/// Ways in which requests ended that are shown; the rest are in the bundle.
const REFUSALS_SHOWN: usize = 8;
/// Latencies shown of a metric; the rest are in the bundle.
const LATENCIES_SHOWN: usize = 2;

pub fn write(page: &mut Page, report: &RunReport) {
    storms(page, report);
    latencies(page, report);
    requests(page, report);
    oracle(page, report);
    generator(page, report);
}

fn storms(page: &mut Page, report: &RunReport) {
    if report.faults.is_empty() {
        return;
    }
    page.gap();
    page.raw("Faults");
    for fault in &report.faults {
        let FaultOutcome { kind, phase, planned, .. } = fault;
        let (planned, effective) = (count(*planned), beside::effective(report, fault));
        let proof = beside::fault(report, fault);
        let came_to = match beside::why_not_reached(report, fault) {
            Some(_) => effective,
            None => format!("effective {effective}"),
        };
        page.text(2, &format!("{kind} in {phase}: planned {planned}, {came_to}: {proof}"));
        for run in &fault.commands {
            page.text(4, &run.told());
        }
    }
}

fn oracle(page: &mut Page, report: &RunReport) {
    let oracle = &report.oracle;
    let undecided: u64 = oracle.undecided.values().sum();
    let beside = [
        (oracle.repeats, "repeats"),
        (oracle.redelivered, "redeliveries"),
        (undecided, "undecided"),
    ];
    let beside: Vec<_> = beside
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", count(n)))
        .collect();
    let beside = if beside.is_empty() { String::new() } else { format!("; {}", beside.join(", ")) };
    let (own, foreign) = texts::deliveries(report);
    let foreign = match foreign {
        0 => String::new(),
        some => format!(
            "; {} of {}, held against no publish",
            counted(some, "more was", "more were"),
            if texts::is_past(report) {
                "the target's past, from before the run"
            } else {
                "others"
            }
        ),
    };
    page.gap();
    page.raw("Oracle and generator");
    page.text(
        2,
        &format!(
            "{} over {} and {} judged{foreign}{beside}",
            counted(oracle.violations(), "violation", "violations"),
            counted(own, "delivery", "deliveries"),
            counted(oracle.replies, "replay reply", "replay replies"),
        ),
    );
}

/// Cells of a line of figures: phase, metric, median, p99 (the maximum where there is no p99), samples.
fn cells(sample: &MetricLine) -> Option<[String; 5]> {
    let response = sample.response?;
    let figure = |value: Option<u64>| match sample.metric.kind() {
        MetricKind::Latency => duration_or_dash(value),
        _ => value.map_or_else(|| "–".to_owned(), count),
    };
    let name = format!(
        "{}{}",
        sample.metric.name(),
        sample.surface.map(|s| format!(" [{}]", s.name())).unwrap_or_default()
    );
    let never = match (sample.censored, sample.metric) {
        (0, _) => String::new(),
        (never, MetricId::TimeToRecovered) => format!(", {} not recovered", count(never)),
        (never, _) => format!(", {} not ended", count(never)),
    };
    let ended = sample.ended;
    Some([
        sample.phase.clone(),
        name,
        format!("p50 {}", texts::beyond(response.p50, ended.map(|it| it.p50), figure)),
        match response.p99 {
            Some(_) => {
                format!("p99 {}", texts::beyond(response.p99, ended.map(|it| it.p99), figure))
            }
            None => {
                format!("max {}", texts::beyond(Some(response.max), ended.map(|_| None), figure))
            }
        },
        format!("n={}{never}", count(sample.n)),
    ])
}

fn latencies(page: &mut Page, report: &RunReport) {
    let of = |metric| {
        let lines = report.metrics.iter();
        let mut lines: Vec<_> =
            lines.filter(|line| line.metric == metric && line.response.is_some()).collect();
        // Those with most samples say most.
        lines.sort_by_key(|line| std::cmp::Reverse(line.n));
        lines.truncate(LATENCIES_SHOWN);
        lines
    };
    let lines = [of(MetricId::TimeToRecovered), of(MetricId::Delivery)].concat();
    let rows: Vec<_> = lines.iter().filter_map(|line| cells(line)).collect();
    if rows.is_empty() {
        return;
    }
    page.gap();
    let own = lines.iter().filter_map(|line| line.telling_own_queue_us()).max();
    let own = own.map(|own| format!(" (of this, own queue: up to {})", duration(own)));
    page.text(0, &format!("Latency, from the intended start{}", own.unwrap_or_default()));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = chars(cell).max(*width);
        }
    }
    for row in rows {
        page.row(2, &row.into_iter().zip(widths).collect::<Vec<_>>());
    }
}

fn requests(page: &mut Page, report: &RunReport) {
    for (head, lines) in [
        ("Requests that did not get what they asked for", befell::refusals(report)),
        ("Requests that failed as the plan makes them", befell::asked_for(report)),
    ] {
        if lines.is_empty() {
            continue;
        }
        page.gap();
        page.raw(head);
        lines.iter().take(REFUSALS_SHOWN).for_each(|line| page.text(2, line));
        let hidden = lines.len().saturating_sub(REFUSALS_SHOWN) as u64;
        if hidden > 0 {
            let ways = counted(hidden, "more way", "more ways");
            page.text(2, &format!("… and {ways} in summary.md"));
        }
    }
}

fn generator(page: &mut Page, report: &RunReport) {
    let generator = &report.generator;
    page.text(
        2,
        &format!(
            "{} of {} planned publishes begun{}, {} dropped; {}; {}",
            count(generator.publishes_begun),
            count(generator.publishes_planned),
            withheld(generator),
            counted(generator.dropped_records, "record", "records"),
            befell::published(report),
            befell::drain(report),
        ),
    );
    page.text(2, &texts::brief_fitness(generator));
    for finding in &report.findings {
        page.text(
            2,
            &format!("finding {}: {} ({})", finding.name, finding.message, finding.times()),
        );
    }
}
