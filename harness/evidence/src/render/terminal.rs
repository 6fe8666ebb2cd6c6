//! What stands on the terminal when a run ends: the verdict first.

use std::fmt::Write as _;

use khala_plan::metric::{MetricId, MetricKind};

use super::befell;
use super::units::{count, duration, duration_or_dash};
use crate::facts::Generator;
use crate::judge::{Decision, GateVerdict, ObjectiveVerdict, Verdict};
use crate::report::{MetricLine, RunReport};

/// Whether to write ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// No escapes at all.
    Never,
    /// Verdicts in colour.
    Always,
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Never => text.to_owned(),
            Self::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::NotApplicable => "2",
            Verdict::Pass => "32",
            Verdict::Warn | Verdict::Inconclusive => "33",
            Verdict::Fail => "31",
        };
        self.paint(code, text)
    }
}

/// Violations shown; the rest are in the bundle.
const VIOLATIONS_SHOWN: usize = 5;
/// Ways in which requests ended that are shown; the rest are in the bundle.
const REFUSALS_SHOWN: usize = 8;
/// Reasons shown; the rest are in the bundle.
const REASONS_SHOWN: usize = 6;

/// The bundle's folder, for those who read in it.
pub const HERE: &str = ".";

/// The summary of a run, for those who read it in the bundle's folder.
#[must_use]
pub fn render(report: &RunReport, colour: Colour) -> String {
    render_from(report, colour, HERE)
}

/// The summary of a run for a reader to whom the bundle's folder is `bundle`, quoted as a shell wants it.
#[must_use]
pub fn render_from(report: &RunReport, colour: Colour, bundle: &str) -> String {
    let mut out = String::new();
    head(&mut out, report, colour);
    gates(&mut out, report, colour);
    storms(&mut out, report);
    oracle(&mut out, report, bundle);
    latencies(&mut out, report);
    requests(&mut out, report);
    generator(&mut out, report);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).and_then(|()| out.write_char('\n')).expect("writing to a String");
}

fn head(out: &mut String, report: &RunReport, colour: Colour) {
    let code = match report.decision {
        Decision::Go => "1;32",
        Decision::Hold => "1;33",
        Decision::NoGo => "1;31",
    };
    let profile = report.scenario.profile.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
    line(
        out,
        format_args!(
            "{}  {}{profile}  seed {}  {:.1} s{}",
            colour.paint(code, &report.decision.to_string()),
            report.scenario.name,
            report.scenario.seed,
            report.duration_s,
            match (report.finished, report.interrupted) {
                (false, _) => "  UNFINISHED",
                (true, true) => "  INTERRUPTED",
                (true, false) => "",
            },
        ),
    );
    for befell in befell::lines(report) {
        line(out, format_args!("  {befell}"));
    }
    if let Some(defects) = defects(report) {
        line(out, format_args!("  {defects}"));
    }
    for skipped in befell::not_applicable(report) {
        line(out, format_args!("  {skipped}"));
    }
    for reason in report.reasons.iter().take(REASONS_SHOWN) {
        line(out, format_args!("  {reason}"));
    }
    let hidden = report.reasons.len().saturating_sub(REASONS_SHOWN);
    if hidden > 0 {
        line(out, format_args!("  … and {hidden} more reasons in summary.md"));
    }
}

/// That the target was broken on purpose, if it was.
pub(super) fn defects(report: &RunReport) -> Option<String> {
    let defects = &report.target.defects;
    (!defects.is_empty()).then(|| {
        format!("the target was started with a defect, on purpose: {}", defects.join(", "))
    })
}

fn gates(out: &mut String, report: &RunReport, colour: Colour) {
    line(out, format_args!("\nGates"));
    for gate in &report.gates {
        let Some(verdict) = gate.verdict else {
            line(out, format_args!("  {:<14}{}", "not judged", gate.name));
            continue;
        };
        let padded = format!("{:<14}", verdict.to_string());
        let advisory = if gate.advisory { " (advisory: decides nothing)" } else { "" };
        let painted = colour.verdict(verdict, &padded);
        line(out, format_args!("  {painted}{}{advisory}", gate.name));
        for objective in shown_objectives(gate) {
            let ObjectiveVerdict { metric, selector, require, n, .. } = objective;
            let padded = format!("{:<13}", objective.verdict.to_string());
            line(
                out,
                format_args!(
                    "    {}{:<50} {:<18} n={:<9} {}",
                    colour.verdict(objective.verdict, &padded),
                    format!("{metric}{}", bracketed(selector)),
                    require,
                    count(*n),
                    estimate(objective),
                ),
            );
        }
        let clean = |metric: &str| {
            gate.objectives.iter().filter(|one| one.metric == metric && is_clean(one)).count()
        };
        let (rules, kinds) = (clean(VIOLATIONS), clean(INCIDENTS));
        if rules > 0 {
            line(out, format_args!("    {:<13}{rules} rules, no violation", "PASS"));
        }
        if kinds > 0 {
            line(out, format_args!("    {:<13}{kinds} kinds of incident, none", "PASS"));
        }
    }
}

/// Metric of the oracle's objectives.
const VIOLATIONS: &str = "violations";
/// Metric of the objectives on single incidents.
const INCIDENTS: &str = "unplanned_ends";

/// Rules without a violation and kinds without an incident are shown as one line; everything else
/// stands for itself.
fn shown_objectives(gate: &GateVerdict) -> impl Iterator<Item = &ObjectiveVerdict> {
    gate.objectives.iter().filter(|objective| !is_clean(objective))
}

fn is_clean(objective: &ObjectiveVerdict) -> bool {
    objective.verdict == Verdict::Pass
        && (objective.metric == VIOLATIONS || objective.metric == INCIDENTS && objective.bad == 0)
}

fn bracketed(selector: &str) -> String {
    if selector.is_empty() { String::new() } else { format!(" [{selector}]") }
}

/// The point estimate with its unit, as the claim has it; of a percentile with its interval and reach.
pub(super) fn estimate(objective: &ObjectiveVerdict) -> String {
    let Some(value) = objective.estimate else { return "–".to_owned() };
    let value = figure(objective, value);
    if objective.resampled.is_none() {
        return value;
    }
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), |end| figure(objective, end));
    let (lower, upper) = (end(objective.lower), end(objective.upper));
    let reach = objective.reach.map(|reach| format!("; reach {:.1} %", reach.share * 100.0));
    format!("{value} ({lower} to {upper}){}", reach.unwrap_or_default())
}

fn figure(objective: &ObjectiveVerdict, value: f64) -> String {
    let metric = MetricId::of(&objective.metric);
    let latency = metric.is_some_and(|metric| metric.kind() == MetricKind::Latency);
    if latency && !objective.require.starts_with("count") {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "microseconds of a histogram"
        )]
        return duration(value as u64);
    }
    if objective.require.starts_with("proportion") {
        return format!("{:.3} %", value * 100.0);
    }
    if objective.require.starts_with("ratio") {
        return format!("{value:.2}");
    }
    if objective.require.starts_with("rate") {
        return format!("{value:.3}/s");
    }
    format!("{value}")
}

fn storms(out: &mut String, report: &RunReport) {
    if report.faults.is_empty() {
        return;
    }
    line(out, format_args!("\nFaults"));
    for fault in &report.faults {
        let effective = fault.effective.map_or_else(|| "unproven".to_owned(), count);
        line(
            out,
            format_args!(
                "  {} in {}: planned {}, effective {effective} ({})",
                fault.kind,
                fault.phase,
                count(fault.planned),
                fault.proof
            ),
        );
        if let Some(exposure) = report.exposures.get(&fault.id) {
            line(
                out,
                format_args!(
                    "    deliveries per client and topic: at least {} before, {} after",
                    exposure.before_min, exposure.after_min
                ),
            );
        }
    }
    let width = phase_width(report);
    for phase in &report.phases {
        for metric in [MetricId::TimeToRecovered, MetricId::ReconnectAttempts] {
            for sample in report.lines(metric, &phase.name) {
                line(out, format_args!("  {:<width$}{}", phase.name, distribution(sample)));
            }
        }
    }
    line(
        out,
        format_args!(
            "  connects: {} in all, {}/s at the peak; most sockets open at once: {}",
            count(report.fleet.connects),
            count(report.fleet.connects_peak_per_s),
            count(report.fleet.clients_peak)
        ),
    );
}

fn distribution(sample: &MetricLine) -> String {
    let name = format!(
        "{}{}",
        sample.metric.name(),
        sample.surface.map(|s| format!(" [{}]", s.name())).unwrap_or_default()
    );
    let Some(response) = sample.response else { return name };
    let figure = |value: Option<u64>| match sample.metric.kind() {
        MetricKind::Latency => duration_or_dash(value),
        _ => value.map_or_else(|| "–".to_owned(), count),
    };
    let censored = if sample.censored > 0 {
        format!("  {} never", count(sample.censored))
    } else {
        String::new()
    };
    let own_queue = sample
        .telling_own_queue_us()
        .map(|queue| format!("  of this, own queue: up to {}", duration(queue)))
        .unwrap_or_default();
    format!(
        "{name:<34} p50 {:>9}  p90 {:>9}  p99 {:>9}  max {:>9}  n={}{censored}{own_queue}",
        figure(response.p50),
        figure(response.p90),
        figure(response.p99),
        figure(Some(response.max)),
        count(sample.n)
    )
}

fn oracle(out: &mut String, report: &RunReport, bundle: &str) {
    let oracle = &report.oracle;
    let violations: u64 = oracle.violations.values().sum();
    let undecided: u64 = oracle.undecided.values().sum();
    line(
        out,
        format_args!(
            "\nOracle\n  {} violations over {} deliveries and {} replay replies judged; {} repeats, {} \
             redeliveries, {} foreign, {} undecided",
            count(violations),
            count(oracle.deliveries),
            count(oracle.replies),
            count(oracle.repeats),
            count(oracle.redelivered),
            count(oracle.foreign),
            count(undecided),
        ),
    );
    if let Some(names) = not_exercised(report) {
        line(out, format_args!("  {names}"));
    }
    for violation in oracle.kept.iter().take(VIOLATIONS_SHOWN) {
        line(out, format_args!("  {}", self::violation(violation)));
    }
    if let Some(again) =
        oracle.kept.iter().find_map(|violation| self::again(report, violation, bundle))
    {
        line(out, format_args!("  again, with the first one's client alone: {again}"));
    }
    let hidden = violations.saturating_sub(VIOLATIONS_SHOWN.min(oracle.kept.len()) as u64);
    if hidden > 0 {
        line(out, format_args!("  … and {} more; see violations.ndjson", count(hidden)));
    }
}

/// The rules that the run never put to the test, in a line.
pub(super) fn not_exercised(report: &RunReport) -> Option<String> {
    let names = &report.oracle.not_exercised;
    let rules = if names.len() == 1 { "rule" } else { "rules" };
    (!names.is_empty())
        .then(|| format!("{} {rules} not exercised: {}", names.len(), names.join(", ")))
}

/// The command with which an engineer sees again what befell the client of a violation, for a reader to
/// whom the bundle's folder is `bundle`. It writes beside the bundle: whatever is written into one is no
/// evidence of the run.
pub(super) fn again(
    report: &RunReport,
    violation: &crate::oracle::Violation,
    bundle: &str,
) -> Option<String> {
    Some(once_more(report.scenario.seed, violation.client?, bundle))
}

/// The command that runs a bundle's scenario once more with one client alone.
pub(super) fn once_more(seed: u64, client: u32, bundle: &str) -> String {
    let (scenario, beside) = match bundle {
        HERE => ("scenario.resolved.toml".to_owned(), "..".to_owned()),
        _ => (format!("{bundle}/scenario.resolved.toml"), format!("{bundle}/..")),
    };
    format!("khala-harness run {scenario} --seed {seed} --only-client {client} --out-dir {beside}")
}

/// One violation in a line.
pub(super) fn violation(violation: &crate::oracle::Violation) -> String {
    let client = violation.client.map(|c| format!(" client {c}")).unwrap_or_default();
    let topic = violation.topic.map(|t| format!(" {}", t.name())).unwrap_or_default();
    let seqs = match violation.seqs {
        Some((first, last)) if first == last => format!(" seq {first}"),
        Some((first, last)) => format!(" seqs {first}..{last}"),
        None => String::new(),
    };
    format!(
        "{}{client}{topic}{seqs} at {:.3} s: {}",
        violation.rule,
        std::time::Duration::from_micros(violation.at_us).as_secs_f64(),
        violation.message
    )
}

/// Columns that the name of a phase takes.
fn phase_width(report: &RunReport) -> usize {
    report.phases.iter().map(|phase| phase.name.len()).max().unwrap_or(0).max(7) + 1
}

fn latencies(out: &mut String, report: &RunReport) {
    let width = phase_width(report);
    line(out, format_args!("\nLatency, from the intended start (phase of the intended start)"));
    let shown = [
        MetricId::Delivery,
        MetricId::Publish,
        MetricId::Connect,
        MetricId::ReplayBootstrap,
        MetricId::ResumeToLive,
        MetricId::HeartbeatRtt,
    ];
    for metric in shown {
        for sample in report.metrics.iter().filter(|line| line.metric == metric) {
            line(out, format_args!("  {:<width$}{}", sample.phase, distribution(sample)));
        }
    }
}

fn requests(out: &mut String, report: &RunReport) {
    let refusals: Vec<_> = befell::refusals(report).collect();
    if refusals.is_empty() {
        return;
    }
    line(out, format_args!("\nRequests that did not get what they asked for"));
    for refusal in refusals.iter().take(REFUSALS_SHOWN) {
        line(out, format_args!("  {}", befell::refusal(refusal)));
    }
    let hidden = refusals.len().saturating_sub(REFUSALS_SHOWN);
    if hidden > 0 {
        line(out, format_args!("  … and {hidden} more ways in summary.md"));
    }
}

/// How fit the generator was, in a line.
pub(super) fn fitness(generator: &Generator) -> String {
    let stalled: u64 = generator.stalls.iter().map(|stall| stall.to - stall.from).sum();
    let stalls = match generator.stalls.len() {
        0 => "never stood still".to_owned(),
        stalls => format!("{stalls} stalls, {} of threads' time", duration(stalled)),
    };
    let exhausted: Vec<_> = generator
        .exhausted
        .iter()
        .map(|(resource, times)| format!(", out of {resource} {} times", count(*times)))
        .collect();
    format!(
        "timers late by {} at p99, {} at most; a thread waited for a core {:.0} % of the time; \
         messages waited up to {} for their clients; {stalls}{}",
        duration_or_dash(generator.lag_p99_us),
        duration(generator.lag_max_us),
        generator.waited_for_core * 100.0,
        duration(generator.own_queue_max_us),
        exhausted.concat(),
    )
}

/// What of the load was never sent, and by whose doing.
pub(super) fn withheld(generator: &Generator) -> String {
    match generator.publishes_withheld {
        0 => String::new(),
        some => format!(", {} never begun because too many had no answer", count(some)),
    }
}

fn generator(out: &mut String, report: &RunReport) {
    let generator = &report.generator;
    line(
        out,
        format_args!(
            "\nGenerator\n  {} worker threads, {:.2} cores used, hottest thread {:.0} %, {} of {} \
             descriptors, {} MiB; {} of {} planned publishes begun{}, {} records dropped",
            generator.worker_threads,
            generator.cpu_cores,
            generator.hottest_thread * 100.0,
            count(generator.descriptors_peak),
            count(generator.descriptors_limit),
            generator.memory_peak_mib,
            count(generator.publishes_begun),
            count(generator.publishes_planned),
            withheld(generator),
            generator.dropped_records,
        ),
    );
    line(out, format_args!("  {}; {}", befell::published(report), befell::drain(report)));
    line(out, format_args!("  {}", fitness(generator)));
    for finding in &report.findings {
        line(
            out,
            format_args!("  finding {}: {} ({}×)", finding.name, finding.message, finding.count),
        );
    }
}
