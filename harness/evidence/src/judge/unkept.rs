//! Claims that no target can keep, or be sure to keep: that they are not kept is the scenario's doing.
//!
//! A FAIL is taken back only where a target that answers in no time would have got it as well, by the same
//! samples of the same clients. A claim on all of them (`max`) that is beyond reach for some of the clients, and that
//! the target broke for the others too, stays a FAIL.

use khala_plan::estimate::{NeverKept, never_kept};
use khala_plan::metric::MetricId;
use khala_plan::model::{ActsOn, Estimator, Objective};
use khala_plan::schedule::PlannedFault;
use khala_plan::surface::Surface;

use super::{Case, Verdict, estimate, percentile};
use crate::shard::metrics::{Distribution, Key, Metrics};

/// What says that the verdict on an objective says nothing of the target, if it does not: no target keeps the claim,
/// or none is sure to, and `verdict` is undecided, or one that a target may get that answers in no time.
pub fn why(
    case: &Case<'_>,
    objective: &Objective,
    surface: Option<Surface>,
    (verdict, bad): (Verdict, u64),
) -> Option<NeverKept> {
    if !matches!(verdict, Verdict::Fail | Verdict::Inconclusive) {
        return None;
    }
    let missed = |fault: &PlannedFault| missed(case, fault);
    let never = never_kept(case.plan, case.schedule, objective, surface, &missed)?;
    // What some targets keep may be undecided for want of samples.
    let undecided = verdict == Verdict::Inconclusive && never.for_sure;
    (undecided || at_best(objective, &never, bad) == Verdict::Fail).then_some(never)
}

/// How many of its clients a fault did not hit; all of them, where nobody knows.
fn missed(case: &Case<'_>, fault: &PlannedFault) -> u64 {
    let outcome = case.facts.faults.iter().find(|outcome| outcome.id == fault.id);
    match (fault.kind.acts_on(), outcome.and_then(|outcome| outcome.effective)) {
        (_, None) => u64::MAX,
        (ActsOn::Target, Some(0)) => u64::MAX,
        (ActsOn::Target, Some(_)) => 0,
        (ActsOn::Clients, Some(hit)) => (fault.targets.len() as u64).saturating_sub(hit),
    }
}

/// The verdict that a target would get which answers in no time, where the run's has `bad` samples beyond the claim.
fn at_best(objective: &Objective, never: &NeverKept, bad: u64) -> Verdict {
    let (metric, claim) = (objective.metric, &objective.require);
    if metric == MetricId::PeakConnects {
        return Verdict::Fail;
    }
    let sample = sample(metric, &never.at_best);
    match claim.estimator {
        Estimator::Percentile(q) => percentile::measure(&sample, metric, q, claim, None, 0).verdict,
        Estimator::Max
            if estimate::exceeding(&sample, claim.comparison, claim.bound)
                >= bad.clamp(1, never.at_best.len().max(1) as u64) =>
        {
            Verdict::Fail
        }
        _ => Verdict::Inconclusive,
    }
}

fn sample(metric: MetricId, values: &[(u32, u64)]) -> Distribution {
    let mut metrics = Metrics::default();
    let key = Key { metric, phase: 0, surface: None };
    for &(client, value) in values {
        metrics.sample(key, client, 0, value, value);
    }
    metrics.distribution(metric, &[0], None)
}
