//! One objective: its samples, whether they may be judged, and the verdict of each selected label.

use std::num::NonZeroU64;
use std::time::Duration;

use khala_plan::estimate::{NeverKept, Why};
use khala_plan::gate::power::{self, Needs};
use khala_plan::metric::{MetricId, MetricKind};
use khala_plan::model::{Claim, Comparison, Estimator, Objective};
use khala_plan::surface::Surface;

use super::estimate::{self, Bounds};
use super::percentile::{self, Percentile};
use super::{
    Against, Case, ObjectiveVerdict, RunReason, Unit, Verdict, fitness, ratio, unkept, who_keeps,
};
use crate::oracle::{Rule, RuleTally};
use crate::render::befell;
use crate::render::units::{count, counted};
use crate::report::request_lines;
use crate::shard::metrics::{CLIENT_GROUPS, Metrics};

/// One verdict for each value that the objective selects.
pub fn judge(case: &Case<'_>, objective: &Objective) -> Vec<ObjectiveVerdict> {
    if objective.metric == MetricId::Violations {
        return super::oracle::judge_objective(case, objective);
    }
    let selected: Vec<(String, Option<Surface>)> =
        match objective.selector.get("surface").map(String::as_str) {
            None => vec![(String::new(), None)],
            Some("*") => case
                .plan
                .fleet
                .surfaces()
                .into_iter()
                .map(|surface| (format!("surface={}", surface.name()), Some(surface)))
                .collect(),
            Some(name) => vec![(format!("surface={name}"), Surface::of(name))],
        };
    selected
        .into_iter()
        .map(|(selector, surface)| judge_one(case, objective, selector, surface))
        .collect()
}

/// What the data says of one claim.
struct Measured {
    n: u64,
    bad: u64,
    /// Of a maximum: samples that had not ended.
    never: u64,
    estimate: Option<f64>,
    bounds: Option<Bounds>,
    verdict: Verdict,
    /// What the figures do not say.
    note: Option<String>,
    /// Of a claim about a percentile, what there is beside its figures.
    percentile: Option<Percentile>,
}

impl Measured {
    /// The ends of the interval, in the claim's unit.
    #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
    fn ends(&self) -> (Option<f64>, Option<f64>) {
        match (&self.percentile, &self.bounds) {
            (Some(percentile), _) => {
                let interval = percentile.interval.as_ref();
                let lower = interval.map(|interval| interval.lower as f64);
                (lower, interval.and_then(|it| it.upper).map(|upper| upper as f64))
            }
            (None, bounds) => (bounds.map(|it| it.lower), bounds.map(|it| it.upper)),
        }
    }

    fn deff(&self) -> Option<f64> {
        let percentile = self.percentile.as_ref();
        let of_interval = percentile.and_then(|it| it.interval.as_ref()).map(|it| it.deff);
        of_interval.or(self.bounds.map(|bounds| bounds.deff))
    }
}

/// What is said of an objective, while it is drawn.
struct Drawn {
    verdict: Verdict,
    reason: String,
    it_takes: Option<String>,
    never_kept: Option<String>,
    kept_by_luck: bool,
    against: Option<Against>,
}

fn judge_one(
    case: &Case<'_>,
    objective: &Objective,
    selector: String,
    surface: Option<Surface>,
) -> ObjectiveVerdict {
    let phases = case.phases(&objective.during);
    let of = |claim| measure(case, objective, claim, &phases, surface, &selector);
    let measured = of(&objective.require);
    let unit = Unit::of(objective.metric, objective.require.estimator);
    let mut drawn = Drawn {
        verdict: measured.verdict,
        reason: describe(&objective.require, &measured, unit),
        it_takes: None,
        never_kept: None,
        kept_by_luck: false,
        against: None,
    };
    // What has no status has an end all the same.
    if let Some(instead) = (measured.bad > 0).then(|| instead(case, objective.metric)).flatten() {
        drawn.reason = format!("{}; over the whole run: {instead}", drawn.reason);
    }
    let reach = measured.percentile.as_ref().and_then(|percentile| percentile.reach);
    if drawn.verdict == Verdict::Pass
        && let Some(reach) = reach.filter(|reach| !reach.suffices())
    {
        drawn.verdict = Verdict::Inconclusive;
        drawn.reason = format!("{}: {}", too_short(&reach), drawn.reason);
        drawn.it_takes = more_seconds(&reach);
    }
    let mut warn_bad = None;
    if drawn.verdict == Verdict::Pass
        && let Some(warn) = &objective.warn
        && let stricter = of(warn)
        && stricter.verdict != Verdict::Pass
    {
        drawn.verdict = Verdict::Warn;
        drawn.reason = format!("{}; but `{}` does not hold", drawn.reason, warn.text);
        warn_bad = is_of_samples(warn).then_some(stricter.bad);
    }
    drawn.unless_left_open(case, objective, surface, &phases, &measured);
    if let Some(reach) = reach {
        drawn.reason = format!("{}; {reach}", drawn.reason);
    }
    let (lower, upper) = measured.ends();
    ObjectiveVerdict {
        selector,
        during: objective.during.clone(),
        warn: objective.warn.as_ref().map(|claim| claim.text.clone()),
        verdict: drawn.verdict,
        n: measured.n,
        bad: measured.bad,
        never: measured.never,
        warn_bad: warn_bad.filter(|_| drawn.verdict == Verdict::Warn),
        unit,
        estimate: measured.estimate,
        lower,
        upper,
        deff: measured.deff(),
        resampled: measured.percentile.as_ref().and_then(Percentile::resampled),
        reach,
        reason: drawn.reason,
        it_takes: drawn.it_takes,
        never_kept: drawn.never_kept,
        kept_by_luck: drawn.kept_by_luck,
        against: drawn.against,
        ..ObjectiveVerdict::blank(objective.metric.name(), &objective.require.text)
    }
}

impl Drawn {
    /// Leaves it open where nothing follows from what was measured: nobody can keep the bound, too little was seen, or
    /// the run was unfit; and says what would decide it.
    fn unless_left_open(
        &mut self,
        case: &Case<'_>,
        objective: &Objective,
        surface: Option<Surface>,
        phases: &[u16],
        measured: &Measured,
    ) {
        // More samples would mend nothing.
        let has_any = measured.n > 0 && case.facts.unfinished.is_none();
        let unkept = unkept::why(case, objective, surface, (self.verdict, measured.bad));
        if let Some(never) = unkept.filter(|_| has_any) {
            let NeverKept { why: Why { why, mend }, for_sure, .. } = never;
            self.verdict = Verdict::Inconclusive;
            self.kept_by_luck = !for_sure;
            let (none, reason) = (who_keeps(self.kept_by_luck), &self.reason);
            self.reason =
                format!("{none} this bound: {why}; what mends it: {mend}; measured: {reason}");
            (self.never_kept, self.it_takes) = (Some(why), Some(mend));
        } else if let Some(few) = too_few(case, objective, measured) {
            self.verdict = Verdict::Inconclusive;
            self.reason = few;
            self.it_takes = some_more(case, objective, measured);
        } else if let Some(unfit) = why_unfit(case, objective, surface, phases, self.verdict) {
            self.verdict = Verdict::Inconclusive;
            (self.reason, self.against) = (unfit.why, Some(unfit.against));
            self.it_takes = unfit.it_takes;
        }
        // Of a run that was unfit no more of the same would decide anything.
        if self.verdict == Verdict::Inconclusive
            && self.against.is_none()
            && self.never_kept.is_none()
            && let Some(more) = more(case, objective, phases, measured)
        {
            self.reason = format!("{}; {more}", self.reason);
            self.it_takes.get_or_insert(more);
        }
    }
}

/// Of a claim on requests that fail: what came instead of what was asked for.
fn instead(case: &Case<'_>, metric: MetricId) -> Option<String> {
    befell::instead(&request_lines(case), metric)
}

/// Whether a claim is about each sample, so that some of them break it.
fn is_of_samples(claim: &Claim) -> bool {
    matches!(claim.estimator, Estimator::Percentile(_) | Estimator::Max)
}

/// That the run says too little of other times.
fn too_short(reach: &percentile::Reach) -> String {
    let asked = reach.asked.map_or_else(String::new, khala_plan::units::format_share);
    let more = reach.seconds_needed.map(|needed| needed.saturating_sub(reach.seconds));
    let more =
        more.map_or_else(String::new, |more| format!(", for which {more} more seconds are needed"));
    format!("it holds of what was measured, but the reach asked for is {asked}{more}")
}

/// How much longer it takes to say enough of them.
fn more_seconds(reach: &percentile::Reach) -> Option<String> {
    let more = reach.seconds_needed?.saturating_sub(reach.seconds);
    Some(format!("{more} more seconds in its phases"))
}

/// What it takes where there are too few samples: the figure that `check` tells, too, and how many of them are missing.
fn some_more(case: &Case<'_>, objective: &Objective, measured: &Measured) -> Option<String> {
    if case.facts.unfinished.is_some() {
        return Some("a run to its end".to_owned());
    }
    let needed = objective.min_samples.max(1);
    let more = NonZeroU64::new(needed.saturating_sub(measured.n))?.get();
    let (samples, metric) = (counted(needed, "sample", "samples"), objective.metric.name());
    Some(format!("{samples} of {metric} ({} more than came)", count(more)))
}

/// How much more would decide an objective that is undecided by its figures.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of seconds for people"
)]
fn more(
    case: &Case<'_>,
    objective: &Objective,
    phases: &[u16],
    measured: &Measured,
) -> Option<String> {
    if let Some(percentile) = &measured.percentile {
        let undecided =
            percentile.verdict == Verdict::Inconclusive || percentile.n < objective.min_samples;
        return undecided.then(|| percentile.more(objective.min_samples)).flatten();
    }
    // Of a rate without an occurrence the time alone decides.
    if objective.require.estimator != Estimator::Rate
        || measured.bad > 0
        || measured.verdict != Verdict::Inconclusive
    {
        return None;
    }
    let Needs::Seconds(needed) = power::needs(&objective.require) else { return None };
    let more = (needed - exposure_s(case, phases)).ceil().max(1.0) as u64;
    Some(format!("{more} more seconds without one would decide"))
}

/// Why there is too little to judge by.
fn too_few(case: &Case<'_>, objective: &Objective, measured: &Measured) -> Option<String> {
    if case.facts.unfinished.is_some() {
        return Some("the run did not finish".to_owned());
    }
    if measured.n == 0 {
        return Some("there is not a single sample".to_owned());
    }
    if measured.n < objective.min_samples {
        let came = counted(measured.n, "sample is", "samples are");
        return Some(format!("{came} fewer than the {} needed", count(objective.min_samples)));
    }
    if measured.estimate.is_some_and(|estimate| !estimate.is_finite()) {
        return Some("the estimate is not a number".to_owned());
    }
    None
}

/// Why the run was unfit to judge it. A storm that too few deliveries showed the effect of proves no PASS;
/// a FAIL is what was seen all the same.
fn why_unfit(
    case: &Case<'_>,
    objective: &Objective,
    surface: Option<Surface>,
    phases: &[u16],
    verdict: Verdict,
) -> Option<RunReason> {
    if let Some(reason) = fitness::faults_unfit(case, phases) {
        return Some(reason);
    }
    if let Some(why) = fitness::not_yet_back(case, phases) {
        return Some(RunReason::other(why).taking("a run to its end"));
    }
    if verdict != Verdict::Fail
        && let Some(why) = fitness::exposure_short(case, phases)
    {
        let takes = "more that is delivered before the fault and after it: a higher `rate`, or longer phases";
        return Some(RunReason::other(why).taking(takes));
    }
    if verdict == Verdict::Fail && is_broken_by_answers(case, objective, surface, phases) {
        return None;
    }
    let threshold_us = match objective.metric.kind() {
        MetricKind::Latency => objective.require.bound,
        _ => case.plan.oracle.converge_within.as_secs_f64() * 1e6,
    };
    fitness::generator_unfit(case, phases, threshold_us).or_else(|| {
        let against = case.phases(&objective.against);
        let ratio = objective.require.estimator == Estimator::Ratio;
        ratio.then(|| fitness::one_side_was_busier(case, phases, &against, verdict)).flatten()
    })
}

/// Tokens that live shorter may have expired in the hands of a generator that had no core.
const LASTING_TTL: Duration = Duration::from_secs(60);

/// Whether a claim was broken by what the target answered, and no machine is too busy to be answered so: by tokens
/// that it refused, or by clients that it turned away, who do not ask again and so never recover.
fn is_broken_by_answers(
    case: &Case<'_>,
    objective: &Objective,
    surface: Option<Surface>,
    phases: &[u16],
) -> bool {
    if case.plan.auth.ttl < LASTING_TTL {
        return false;
    }
    let Claim { comparison, bound, .. } = objective.require;
    match objective.metric {
        MetricId::AuthErrors => true,
        MetricId::Unrecovered => {
            let count = case.settled.metrics.count_of(objective.metric, phases, surface);
            #[expect(clippy::cast_precision_loss, reason = "clients are far below 2^52")]
            let turned_away = count.for_good as f64;
            estimate::exact(turned_away, comparison, bound) == Verdict::Fail
        }
        _ => false,
    }
}

/// What of the run a claim reads.
struct Read<'a> {
    case: &'a Case<'a>,
    metric: MetricId,
    claim: &'a Claim,
    phases: &'a [u16],
    surface: Option<Surface>,
}

fn measure(
    case: &Case<'_>,
    objective: &Objective,
    claim: &Claim,
    phases: &[u16],
    surface: Option<Surface>,
    selector: &str,
) -> Measured {
    let read = Read { case, metric: objective.metric, claim, phases, surface };
    match claim.estimator {
        Estimator::Percentile(q) => read.percentile(q, objective.reach, selector),
        Estimator::Ratio => read.ratio(&case.phases(&objective.against)),
        Estimator::Max => read.max(),
        Estimator::Proportion => read.proportion(),
        Estimator::Rate => read.rate(),
        Estimator::Count => read.count(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
impl Read<'_> {
    fn metrics(&self) -> &Metrics {
        &self.case.settled.metrics
    }

    /// A verdict by bounds; undecided without.
    fn by_bounds(
        &self,
        (bad, n): (u64, u64),
        estimate: Option<f64>,
        bounds: Option<Bounds>,
    ) -> Measured {
        Measured {
            n,
            bad,
            never: 0,
            estimate,
            verdict: bounds.map_or(Verdict::Inconclusive, |b| b.verdict(self.claim.bound)),
            bounds,
            note: None,
            percentile: None,
        }
    }

    fn percentile(&self, q: f64, reach: Option<f64>, selector: &str) -> Measured {
        let sample = self.metrics().distribution(self.metric, self.phases, self.surface);
        let seed = percentile::seed(self.case, self.metric, selector);
        let found = percentile::measure(&sample, self.metric, q, self.claim, reach, seed);
        Measured {
            n: found.n,
            bad: found.bad,
            never: 0,
            estimate: found.estimate.map(|value| value as f64),
            verdict: found.verdict,
            bounds: None,
            note: None,
            percentile: Some(found),
        }
    }

    fn ratio(&self, against: &[u16]) -> Measured {
        let ratio = ratio::measure(self.case, self.phases, against, self.surface);
        let bounds = ratio.interval.map(|i| Bounds { lower: i.lower, upper: i.upper, deff: 1.0 });
        let estimate = ratio.interval.map(|interval| interval.estimate);
        let note = Some(ratio.describe(ratio::seed(self.case)));
        Measured { note, ..self.by_bounds((0, ratio.n()), estimate, bounds) }
    }

    fn max(&self) -> Measured {
        let sample = self.metrics().distribution(self.metric, self.phases, self.surface);
        let bad = estimate::exceeding(&sample, self.claim.comparison, self.claim.bound);
        let estimate = Some(sample.response.max() as f64);
        let verdict = if bad == 0 { Verdict::Pass } else { Verdict::Fail };
        let never = sample.censored();
        Measured { verdict, never, ..self.by_bounds((bad, sample.len()), estimate, None) }
    }

    fn proportion(&self) -> Measured {
        let count = self.metrics().count_of(self.metric, self.phases, self.surface);
        let estimate = (count.all > 0).then(|| count.hits as f64 / count.all as f64);
        self.by_bounds((count.hits, count.all), estimate, estimate::proportion(&count))
    }

    fn rate(&self) -> Measured {
        let count = self.metrics().count_of(self.metric, self.phases, self.surface);
        let exposure_s = exposure_s(self.case, self.phases);
        let bounds = estimate::rate(&count, CLIENT_GROUPS, exposure_s);
        let estimate = (exposure_s > 0.0).then(|| count.hits as f64 / exposure_s);
        let n = chances(self.case, self.metric, self.phases, self.surface, count.all);
        self.by_bounds((count.hits, n), estimate, bounds)
    }

    fn count(&self) -> Measured {
        let count = self.metrics().count_of(self.metric, self.phases, self.surface);
        let (value, n) = if self.metric == MetricId::PeakConnects {
            (peak_connects(self.case, self.phases), self.case.settled.totals.connects)
        } else {
            let n = chances(self.case, self.metric, self.phases, self.surface, count.all);
            (count.hits, n)
        };
        let verdict = estimate::exact(value as f64, self.claim.comparison, self.claim.bound);
        Measured { verdict, ..self.by_bounds((value, n), Some(value as f64), None) }
    }
}

/// Chances for something that may never occur: the clients that were there for it.
fn chances(
    case: &Case<'_>,
    metric: MetricId,
    phases: &[u16],
    surface: Option<Surface>,
    counted: u64,
) -> u64 {
    match metric {
        MetricId::HeartbeatTimeouts => {
            let answered =
                case.settled.metrics.distribution(MetricId::HeartbeatRtt, phases, surface);
            answered.len() + counted
        }
        MetricId::Reconnects => {
            case.settled.metrics.distribution(MetricId::Connect, &case.all_phases(), surface).len()
        }
        _ => counted,
    }
}

fn exposure_s(case: &Case<'_>, phases: &[u16]) -> f64 {
    let end = case.facts.duration_us;
    phases
        .iter()
        .filter_map(|&phase| case.schedule.phases.get(usize::from(phase)))
        .map(|window| {
            let clipped = window.end_us.min(end).saturating_sub(window.start_us.min(end));
            std::time::Duration::from_micros(clipped).as_secs_f64()
        })
        .sum()
}

fn peak_connects(case: &Case<'_>, phases: &[u16]) -> u64 {
    let rows = case.settled.series.rows();
    let rows = rows.filter(|(second, _, _)| case.reaches_into(phases, *second));
    rows.map(|(_, row, _)| row.connects).max().unwrap_or(0)
}

fn describe(claim: &Claim, measured: &Measured, unit: Unit) -> String {
    let Measured { n, bad, bounds, estimate, note, percentile, .. } = measured;
    if let Some(percentile) = percentile {
        return percentile.describe();
    }
    if let Some(note) = note {
        return note.clone();
    }
    match (claim.estimator, bounds) {
        (Estimator::Proportion, Some(bounds)) => format!(
            "{bad} of {n}; 95 % bounds {:.3} % to {:.3} %",
            bounds.lower * 100.0,
            bounds.upper * 100.0
        ),
        (Estimator::Rate, Some(bounds)) => {
            format!("{bad} occurrences; 95 % bounds {:.3}/s to {:.3}/s", bounds.lower, bounds.upper)
        }
        (Estimator::Count, _) => format!("{bad}, out of {n}"),
        (Estimator::Max, _) => {
            let max = estimate.unwrap_or_default();
            let max = match unit {
                Unit::Micros => format!("{:.1} ms", max / 1e3),
                _ => format!("{max}"),
            };
            match measured.never {
                0 => format!("{bad} of {n} samples break it; the largest is {max}"),
                never => format!(
                    "{bad} of {n} samples break it, {never} of them by not ending in time; the largest is more \
                     than {max}"
                ),
            }
        }
        _ => "there is not a single sample".to_owned(),
    }
}

/// What was broken how often, where more than one kind was.
fn by_kind(tally: &RuleTally) -> String {
    if tally.kinds.len() < 2 {
        return String::new();
    }
    let kinds = tally.kinds.iter().map(|(kind, found)| {
        let from = std::time::Duration::from_micros(found.first_us).as_secs_f64();
        let (times, clients) = (found.violations, found.clients.len());
        format!("{kind}: {times} from {from:.3} s, clients: {clients}")
    });
    format!(" ({})", kinds.collect::<Vec<_>>().join("; "))
}

/// Verdict of a count of violations, for the oracle's gate and for gates that name rules.
pub(super) fn violations(
    case: &Case<'_>,
    rule: Rule,
    comparison: Comparison,
    bound: f64,
) -> (Verdict, String) {
    let tally = case.settled.tally.rule(rule);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let verdict = estimate::exact(tally.violations as f64, comparison, bound);
    let first = tally.kept.first();
    let reason = match first {
        Some(first) => format!(
            "{} violation{}{}; first at {:.3} s{}: {}{}",
            tally.violations,
            if tally.violations == 1 { "" } else { "s" },
            match tally.clients.len() {
                // The first violation names it.
                0 | 1 => String::new(),
                clients => format!(", {clients} clients"),
            },
            std::time::Duration::from_micros(first.at_us).as_secs_f64(),
            first.client.map(|client| format!(", client {client}")).unwrap_or_default()
                + &first.topic.map(|topic| format!(", {}", topic.name())).unwrap_or_default(),
            first.message,
            by_kind(&tally)
        ),
        None => "no violation".to_owned(),
    };
    (verdict, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_each_estimator_names_its_figures() {
        let verdict = Verdict::Inconclusive;
        let bounds = Some(Bounds { lower: 0.001, upper: 0.0234, deff: 1.0 });
        let of = |estimator, bounds| {
            let claim =
                Claim { text: String::new(), estimator, comparison: Comparison::Less, bound: 1.0 };
            let (n, bad, estimate) = (90, 4, Some(12_300.0));
            let measured = Measured {
                n,
                bad,
                never: 0,
                estimate,
                bounds,
                verdict,
                note: None,
                percentile: None,
            };
            let count = describe(&claim, &measured, Unit::Count);
            assert_eq!(count.contains("largest"), estimator == Estimator::Max);
            assert!(!count.contains("ms"), "{count}");
            describe(&claim, &measured, Unit::Micros)
        };
        let cases = [
            ((Estimator::Proportion, bounds), "4 of 90; 95 % bounds 0.100 % to 2.340 %"),
            ((Estimator::Rate, bounds), "4 occurrences; 95 % bounds 0.001/s to 0.023/s"),
            ((Estimator::Count, None), "4, out of 90"),
            ((Estimator::Max, None), "4 of 90 samples break it; the largest is 12.3 ms"),
            ((Estimator::Proportion, None), "there is not a single sample"),
        ];
        for ((estimator, bounds), reason) in cases {
            assert_eq!(of(estimator, bounds), reason);
        }
    }
}
