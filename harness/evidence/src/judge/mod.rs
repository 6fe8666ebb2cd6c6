//! From settled facts to verdicts: per objective, per gate, per run.
//!
//! Missing data, an unfit generator or a fault that did not bite is INCONCLUSIVE, never PASS. What the
//! plan cannot exercise is not applicable, and counts as nothing. The order is FAIL > INCONCLUSIVE >
//! WARN > PASS. A gate that is advisory is judged, and decides nothing.
//!
//! Opens no socket, reads no clock: `score` can judge the
//! same facts again.

pub(crate) mod estimate;
pub(crate) mod fitness;
mod objective;
pub mod open;
pub(crate) mod oracle;
mod percentile;
pub(crate) mod ratio;
pub(crate) mod stability;
mod unkept;

use khala_plan::Plan;
use khala_plan::estimate::not_applicable;
use khala_plan::metric::{MetricId, MetricKind};
use khala_plan::model::{Estimator, Gate, Objective};
pub use khala_plan::model::{ORACLE_GATE, STABILITY_GATE};
use khala_plan::schedule::Schedule;
pub use percentile::{Reach, Resampled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::RunFacts;
use crate::shard::Settled;

/// Confidence of every one-sided bound.
pub const CONFIDENCE: f64 = 0.95;
/// Why a run is a HOLD of which nothing was claimed.
const NOTHING_ASKED: &str = "no objective of any gate was judged: name at least one in a [[gate]] that \
                             this run judges";

/// What it takes.
const AN_OBJECTIVE: &str = "an objective in a [[gate]] that this run judges";

/// Verdict of an objective, a gate or a run. The order is that of severity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// The plan cannot exercise it, and nothing came of it: neither kept nor broken.
    NotApplicable,
    /// The bound clears the claim.
    Pass,
    /// Only the looser claim holds.
    Warn,
    /// Neither follows from the data, or the data cannot be trusted.
    Inconclusive,
    /// The opposite bound breaks the claim, or a rule was proven broken.
    Fail,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::NotApplicable => "NOT APPLIC.",
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
        })
    }
}

/// What release engineers act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// Advance.
    #[serde(rename = "GO")]
    Go,
    /// Stop: something is broken.
    #[serde(rename = "NO-GO")]
    NoGo,
    /// Do not advance: nothing follows from this run.
    #[serde(rename = "HOLD")]
    Hold,
}

impl From<Verdict> for Decision {
    /// What follows from the verdict on a run.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fail => Self::NoGo,
            Verdict::Inconclusive | Verdict::Warn => Self::Hold,
            Verdict::Pass | Verdict::NotApplicable => Self::Go,
        }
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Go => "GO",
            Self::NoGo => "NO-GO",
            Self::Hold => "HOLD",
        })
    }
}

/// What a claim's figures are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Unit {
    /// Microseconds.
    #[serde(rename = "us")]
    Micros,
    /// A share, from 0 to 1.
    #[serde(rename = "share")]
    Share,
    /// How many times as much.
    #[serde(rename = "ratio")]
    Ratio,
    /// Occurrences per second.
    #[serde(rename = "per_s")]
    PerSecond,
    /// A number of something.
    #[default]
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    /// The unit of a claim on a metric.
    #[must_use]
    pub fn of(metric: MetricId, estimator: Estimator) -> Self {
        match estimator {
            Estimator::Proportion => Self::Share,
            Estimator::Ratio => Self::Ratio,
            Estimator::Rate => Self::PerSecond,
            Estimator::Count => Self::Count,
            Estimator::Percentile(_) | Estimator::Max => match metric.kind() {
                MetricKind::Latency => Self::Micros,
                _ => Self::Count,
            },
        }
    }
}

/// One objective's verdict, for one value of its selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveVerdict {
    /// The metric.
    pub metric: String,
    /// The selected label, such as `surface=ios`; empty when nothing is selected.
    pub selector: String,
    /// Phases whose samples count.
    pub during: Vec<String>,
    /// The claim as written.
    pub require: String,
    /// The tighter claim as written.
    pub warn: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Samples.
    pub n: u64,
    /// Samples that break the claim (or occurrences).
    pub bad: u64,
    /// Of a maximum: samples that had not ended, so that it is more than `estimate`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub never: u64,
    /// Of a WARN on samples themselves (a percentile, a maximum): those that break the stricter claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_bad: Option<u64>,
    /// What `estimate`, `lower` and `upper` are in.
    #[serde(default)]
    pub unit: Unit,
    /// Point estimate, in `unit`.
    pub estimate: Option<f64>,
    /// What the verdict was drawn from: the one-sided 95 % bound from below of what is estimated, in
    /// `unit`; absent for exact counts, and where there is too little to have one.
    pub lower: Option<f64>,
    /// See `lower`.
    pub upper: Option<f64>,
    /// Design effect: how many samples count as one.
    pub deff: Option<f64>,
    /// Of a percentile: what its interval was drawn from.
    #[serde(default)]
    pub resampled: Option<Resampled>,
    /// Of a percentile over seconds: what the run says of other times.
    #[serde(default)]
    pub reach: Option<Reach>,
    /// Why, in a sentence.
    pub reason: String,
    /// What `reason` says beyond its figures, for a reader who has those from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<String>,
    /// What would decide it, where it is undecided and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub it_takes: Option<String>,
    /// Why no target can keep the claim, whatever it does, where the verdict is INCONCLUSIVE for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_kept: Option<String>,
    /// Of a `never_kept`: whether a client may keep the claim all the same, by luck, so that none can be sure to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept_by_luck: bool,
    /// What of the run, and not of its own samples, leaves it undecided, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ObjectiveVerdict {
    /// What is selected by this label: `ios` of `surface=ios`.
    #[must_use]
    pub fn selected(&self, label: &str) -> Option<&str> {
        self.selector.split_once('=').filter(|(name, _)| *name == label).map(|(_, of)| of)
    }

    /// Where it has a `never_kept`, whether no client can keep it or none can be sure to.
    pub(crate) fn who_keeps(&self) -> &'static str {
        who_keeps(self.kept_by_luck)
    }

    /// That a claim holds, of no sample: what a verdict begins as.
    pub(crate) fn blank(metric: &str, require: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            selector: String::new(),
            during: Vec::new(),
            require: require.to_owned(),
            warn: None,
            verdict: Verdict::Pass,
            n: 0,
            bad: 0,
            never: 0,
            warn_bad: None,
            unit: Unit::Count,
            estimate: None,
            lower: None,
            upper: None,
            deff: None,
            resampled: None,
            reach: None,
            reason: String::new(),
            beyond: None,
            it_takes: None,
            never_kept: None,
            kept_by_luck: false,
            against: None,
        }
    }
}

/// A clause about a claim that no client can keep, but for luck.
const fn who_keeps(by_luck: bool) -> &'static str {
    if by_luck { "no client can be sure to keep" } else { "no client can keep" }
}

/// What kind of thing the run as a whole is held against, or leaves an objective undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The generator measured itself, and not the target.
    Generator,
    /// The oracle left too much open.
    Open,
    /// A fault did not happen as planned.
    Fault,
    /// Clients were not connected at its end.
    Away,
    /// No gate asked anything of it.
    NothingAsked,
    /// Anything else.
    Other,
}

/// Why a run as a whole is no GO, whatever its objectives say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunReason {
    /// Of what kind.
    pub against: Against,
    /// In a sentence.
    pub why: String,
    /// What would take it away, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub it_takes: Option<String>,
}

impl RunReason {
    /// One of no kind of its own.
    pub fn other(why: impl Into<String>) -> Self {
        Self::new(Against::Other, why)
    }

    /// One of a kind.
    pub fn new(against: Against, why: impl Into<String>) -> Self {
        Self { against, why: why.into(), it_takes: None }
    }

    /// The same, with what would take it away.
    #[must_use]
    pub fn taking(self, takes: impl Into<String>) -> Self {
        Self { it_takes: Some(takes.into()), ..self }
    }
}

/// A gate's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateVerdict {
    /// The gate.
    pub name: String,
    /// Whether this run judges it; if not, `verdict` is absent.
    pub judged: bool,
    /// Whether it decides nothing.
    #[serde(default)]
    pub advisory: bool,
    /// The worst of its objectives.
    pub verdict: Option<Verdict>,
    /// Its objectives.
    pub objectives: Vec<ObjectiveVerdict>,
}

/// The run's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunVerdict {
    /// The worst of all gates.
    pub verdict: Verdict,
    /// What follows.
    pub decision: Decision,
    /// Why, when it is not GO: the sentences that matter, worst first.
    pub reasons: Vec<String>,
    /// Those of them that no objective says: what the run as a whole is held against.
    pub of_the_run: Vec<RunReason>,
    /// The gates; those that are always judged come last.
    pub gates: Vec<GateVerdict>,
}

/// Everything that the judge reads.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// How the run went.
    pub facts: &'a RunFacts,
    /// What was seen.
    pub settled: &'a Settled,
}

impl Case<'_> {
    /// Indices of the phases that an objective reads: those it names, else all measured ones.
    fn phases(&self, during: &[String]) -> Vec<u16> {
        let wanted = |window: &khala_plan::schedule::PhaseWindow| {
            if during.is_empty() { window.measure } else { during.contains(&window.name) }
        };
        let windows = self.schedule.phases.iter().zip(0_u16..);
        windows.filter(|(window, _)| wanted(window)).map(|(_, index)| index).collect()
    }

    /// Indices of all phases.
    fn all_phases(&self) -> Vec<u16> {
        (0_u16..).take(self.schedule.phases.len()).collect()
    }

    /// Whether a second of the run lies in one of these phases, or reaches into it.
    pub(crate) fn reaches_into(&self, phases: &[u16], second: u32) -> bool {
        let at = u64::from(second) * 1_000_000;
        phases
            .iter()
            .filter_map(|&phase| self.schedule.phases.get(usize::from(phase)))
            .any(|window| at + 1_000_000 > window.start_us && at < window.end_us)
    }
}

/// Judges a run.
#[must_use]
pub fn judge(case: &Case<'_>) -> RunVerdict {
    let mut gates: Vec<GateVerdict> = case
        .plan
        .gates
        .iter()
        .map(|gate| {
            let objectives: Vec<_> = if gate.judged {
                let objectives = gate.objectives.iter();
                objectives.flat_map(|objective| judge_objective(case, gate, objective)).collect()
            } else {
                Vec::new()
            };
            GateVerdict {
                judged: gate.judged,
                verdict: gate.judged.then(|| worst(&objectives)),
                ..gate_verdict(&gate.name, gate.advisory, objectives)
            }
        })
        .collect();
    let nothing = |one: &ObjectiveVerdict| one.verdict == Verdict::NotApplicable;
    let nothing_asked =
        gates.iter().all(|gate| gate.advisory || gate.objectives.iter().all(nothing));
    let plan = case.plan;
    gates.push(gate_verdict(STABILITY_GATE, plan.stability.advisory, stability::judge(case)));
    gates.push(gate_verdict(ORACLE_GATE, plan.oracle.advisory, oracle::judge(case)));

    let deciding = || gates.iter().filter(|gate| !gate.advisory);
    let mut verdict =
        deciding().filter_map(|gate| gate.verdict).max().unwrap_or(Verdict::Inconclusive);
    // That no rule was broken is not what anybody asked.
    let mut of_the_run: Vec<_> = nothing_asked
        .then(|| RunReason::new(Against::NothingAsked, NOTHING_ASKED).taking(AN_OBJECTIVE))
        .into_iter()
        .collect();
    of_the_run.extend(fitness::run_reasons(case));
    if !of_the_run.is_empty() {
        verdict = verdict.max(Verdict::Inconclusive);
    }
    let mut told: Vec<_> = gates
        .iter()
        .flat_map(|gate| gate.objectives.iter().map(move |objective| (gate, objective)))
        .filter(|(_, objective)| objective.verdict > Verdict::Pass)
        .collect();
    told.sort_by_key(|(gate, objective)| (gate.advisory, std::cmp::Reverse(objective.verdict)));
    let failed = told.partition_point(|(gate, it)| !gate.advisory && it.verdict == Verdict::Fail);
    let (failed, others) = told.split_at(failed);
    let sentences = |told: &[(&GateVerdict, &ObjectiveVerdict)]| -> Vec<String> {
        told.iter().map(|(gate, objective)| sentence(gate, objective)).collect()
    };
    let mut reasons = sentences(failed);
    reasons.extend(of_the_run.iter().map(|reason| reason.why.clone()));
    reasons.extend(sentences(others));
    let decision = Decision::from(verdict);
    RunVerdict { verdict, decision, reasons, of_the_run, gates }
}

/// The verdicts of an objective. Where the plan cannot exercise it and nothing came of it, it is not
/// applicable; INCONCLUSIVE where the scenario says that it must apply.
fn judge_objective(case: &Case<'_>, gate: &Gate, objective: &Objective) -> Vec<ObjectiveVerdict> {
    let mut verdicts = objective::judge(case, objective);
    for (surface, why) in not_applicable(case.plan, case.schedule, objective) {
        let selector = surface.map(|surface| format!("surface={surface}"));
        let here = |one: &&mut ObjectiveVerdict| {
            selector.as_ref().is_none_or(|selector| *selector == one.selector)
        };
        let untouched = |one: &&mut ObjectiveVerdict| {
            one.verdict == Verdict::Inconclusive && one.n == 0 && one.bad == 0
        };
        for verdict in verdicts.iter_mut().filter(here).filter(untouched) {
            let must = case.plan.must_apply(gate, objective);
            (verdict.verdict, verdict.reason) = match must {
                true => (Verdict::Inconclusive, format!("it must apply, and cannot: {why}")),
                false => (Verdict::NotApplicable, why.clone()),
            };
            verdict.it_takes = must.then(|| {
                "a scenario in which that is not so, or a `must_apply` that does not name it"
                    .to_owned()
            });
        }
    }
    verdicts
}

/// Why the generator was unfit to judge a latency of `threshold_us` in a phase, by the rules by which any
/// run is judged; nothing when it was fit.
#[must_use]
pub fn generator_unfit(case: &Case<'_>, phase: &str, threshold_us: f64) -> Vec<String> {
    let phases = case.phases(&[phase.to_owned()]);
    let unfit = fitness::generator_unfit(case, &phases, threshold_us);
    let short = fitness::generator_fell_short(case);
    unfit.into_iter().chain(short).map(|reason| reason.why).collect()
}

fn worst(objectives: &[ObjectiveVerdict]) -> Verdict {
    // A gate without a single verdict has proven nothing.
    let verdicts = objectives.iter().map(|objective| objective.verdict);
    verdicts.max().unwrap_or(Verdict::Inconclusive)
}

/// A gate that is judged.
fn gate_verdict(name: &str, advisory: bool, objectives: Vec<ObjectiveVerdict>) -> GateVerdict {
    let verdict = Some(worst(&objectives));
    GateVerdict { name: name.to_owned(), judged: true, advisory, verdict, objectives }
}

/// A verdict in a line, as it stands among the reasons.
pub(crate) fn sentence(gate: &GateVerdict, objective: &ObjectiveVerdict) -> String {
    let ObjectiveVerdict { metric, selector, require, verdict, reason, .. } = objective;
    let selector = if selector.is_empty() { String::new() } else { format!(" [{selector}]") };
    let advisory = if gate.advisory { ", which is advisory" } else { "" };
    format!("{verdict}: {}{advisory}: {metric}{selector} {require}: {reason}", gate.name)
}

#[cfg(test)]
mod tests;
