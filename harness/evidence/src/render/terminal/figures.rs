//! Faults, rules, latencies, requests and the generator, as far as they fit on a screen; the rest is in
//! `summary.md`.

use khala_plan::metric::{MetricId, MetricKind};

use super::super::page::{Page, chars};
use super::super::texts::{fitness, not_exercised, withheld};
use super::super::units::{count, duration, duration_or_dash};
use super::super::{beside, befell};
use crate::facts::FaultOutcome;
use crate::report::{MetricLine, RunReport};

/// Ways in which requests ended that are shown; the rest are in the bundle.
const REFUSALS_SHOWN: usize = 8;
/// Latencies shown; the rest are in the bundle.
const LATENCIES_SHOWN: usize = 8;

pub fn write(page: &mut Page, report: &RunReport) {
    storms(page, report);
    oracle(page, report);
    latencies(page, report);
    requests(page, report);
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
        let (planned, effective) = (count(*planned), beside::effective(fault));
        let proof = beside::fault(report, fault);
        let exposure = report.exposures.get(&fault.id).map(|exposure| {
            format!(
                "; each client had at least {} deliveries of each topic before it, and {} after",
                exposure.before_min, exposure.after_min
            )
        });
        let exposure = exposure.unwrap_or_default();
        page.text(
            2,
            &format!("{kind} in {phase}: planned {planned}, effective {effective} ({proof}){exposure}"),
        );
    }
    page.text(
        2,
        &format!(
            "connects: {} in all, {}/s at the peak; most sockets open at once: {}",
            count(report.fleet.connects),
            count(report.fleet.connects_peak_per_s),
            count(report.fleet.clients_peak)
        ),
    );
}

fn oracle(page: &mut Page, report: &RunReport) {
    let oracle = &report.oracle;
    let undecided: u64 = oracle.undecided.values().sum();
    let beside = [
        (oracle.repeats, "repeats"),
        (oracle.redelivered, "redeliveries"),
        (oracle.foreign, "foreign"),
        (undecided, "undecided"),
    ];
    let beside: Vec<_> = beside
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", count(n)))
        .collect();
    let beside =
        if beside.is_empty() { String::new() } else { format!("; {}", beside.join(", ")) };
    page.gap();
    page.raw("Oracle");
    page.text(
        2,
        &format!(
            "{} violations over {} deliveries and {} replay replies judged{beside}",
            count(oracle.violations()),
            count(oracle.deliveries),
            count(oracle.replies),
        ),
    );
    if let Some(names) = not_exercised(report) {
        page.text(2, &names);
    }
}

/// Cells of a line of figures: phase, metric, percentiles that there are, samples.
fn cells(sample: &MetricLine) -> Option<[String; 6]> {
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
    let never = match sample.censored {
        0 => String::new(),
        never => format!(", {} never", count(never)),
    };
    Some([
        sample.phase.clone(),
        name,
        format!("p50 {}", figure(response.p50)),
        format!("p99 {}", figure(response.p99)),
        format!("max {}", figure(Some(response.max))),
        format!("n={}{never}", count(sample.n)),
    ])
}

fn latencies(page: &mut Page, report: &RunReport) {
    let shown = [
        MetricId::TimeToRecovered,
        MetricId::Delivery,
        MetricId::Publish,
        MetricId::ReplayBootstrap,
    ];
    let lines = shown.iter().flat_map(|metric| {
        report.metrics.iter().filter(move |line| line.metric == *metric && line.response.is_some())
    });
    let lines: Vec<_> = lines.take(LATENCIES_SHOWN).collect();
    let rows: Vec<_> = lines.iter().filter_map(|line| cells(line)).collect();
    if rows.is_empty() {
        return;
    }
    page.gap();
    page.text(0, "Latency, from the intended start; all figures are in summary.md");
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = chars(cell).max(*width);
        }
    }
    for row in rows {
        page.row(2, &row.into_iter().zip(widths).collect::<Vec<_>>());
    }
    let own = lines.iter().filter_map(|line| line.telling_own_queue_us()).max();
    if let Some(own) = own {
        page.text(2, &format!("of this, own queue: up to {}", duration(own)));
    }
}

fn requests(page: &mut Page, report: &RunReport) {
    let refusals: Vec<_> = befell::refusals(report).collect();
    if refusals.is_empty() {
        return;
    }
    page.gap();
    page.raw("Requests that did not get what they asked for");
    for refusal in refusals.iter().take(REFUSALS_SHOWN) {
        page.text(2, &befell::refusal(refusal));
    }
    let hidden = refusals.len().saturating_sub(REFUSALS_SHOWN);
    if hidden > 0 {
        page.text(2, &format!("… and {hidden} more ways in summary.md"));
    }
}

fn generator(page: &mut Page, report: &RunReport) {
    let generator = &report.generator;
    page.gap();
    page.raw("Generator");
    page.text(
        2,
        &format!(
            "{} worker threads, {:.2} cores used, hottest thread {:.0} %, {} MiB; {} of {} planned \
             publishes begun{}, {} records dropped",
            generator.worker_threads,
            generator.cpu_cores,
            generator.hottest_thread * 100.0,
            generator.memory_peak_mib,
            count(generator.publishes_begun),
            count(generator.publishes_planned),
            withheld(generator),
            generator.dropped_records,
        ),
    );
    page.text(2, &format!("{}; {}", befell::published(report), befell::drain(report)));
    page.text(2, &fitness(generator));
    for finding in &report.findings {
        page.text(2, &format!("finding {}: {} ({}×)", finding.name, finding.message, finding.count));
    }
}
