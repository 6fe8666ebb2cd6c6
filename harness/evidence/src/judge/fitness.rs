//! What makes a run unfit to carry a verdict: the generator, the faults, the storm's exposure, an
//! oracle that left too much open.
//!
//! Each function says why not, in a sentence, or nothing.
//!
//! The generator's thresholds. What a gate's phases are judged by: the p99 of the latest thread's
//! timer lag is at most `generator.lag_share_max` (10 %) of the objective's own threshold; no thread
//! waits for a core for more than [`WAITED_SHARE_MAX`] of the time; nothing of the generator's own runs
//! out. What a ratio of two spans is judged by besides: the machine was not busier in the one that the verdict
//! hangs on ([`one_side_was_busier`]). What the whole run is judged by: every planned publish was begun, but
//! for those that the target left no room for, no record was dropped, no
//! thread was lost. CPU, memory, descriptors and the read backlog are shown and decide nothing: they
//! hurt a verdict only by what they do to lag.

use std::collections::BTreeSet;

use khala_plan::metric::MetricId;
use khala_wire::topic::TopicId;

use super::{Against, Case, RunReason, Verdict, open, oracle};
use crate::facts::FaultOutcome;
use crate::render::befell;
use crate::report::request_lines;
use crate::shard::metrics::Metrics;

/// Share of the time that a thread of the generator may want a core and have none. One that waits for
/// half of all time does less than half of what it should: it measures the machine and not the target.
pub const WAITED_SHARE_MAX: f64 = 0.5;

/// Share of the time that a thread wants a core and has none from which on a machine is busy: as much as its
/// timers may be late of what an objective allows.
pub const BUSY_SHARE: f64 = 0.1;

/// How many times as long as on the other side of a ratio a thread waits for a core on one that was busier. On
/// machines that were busy all along, where the ratio held, the sides differed by a quarter at most.
pub const BUSIER_TIMES: f64 = 1.5;

/// Reasons that hold for the whole run.
pub fn run_reasons(case: &Case<'_>) -> Vec<RunReason> {
    let facts = case.facts;
    let mut reasons = Vec::new();
    if let Some(why) = &facts.unfinished {
        reasons.push(RunReason::other(format!("the run did not finish: {why}")));
        return reasons;
    }
    // First, because it explains what follows.
    reasons.extend(unfit_over_all(case));
    if facts.interrupted {
        let why = "the run was interrupted before its end";
        reasons.push(RunReason::other(why).taking("a run to its end"));
    }
    if case.settled.totals.deliveries == 0 {
        let why = "nothing was delivered, so nothing of it was judged";
        let takes = "clients that connect, and what is published on topics of theirs";
        reasons.push(RunReason::other(why).taking(takes));
    }
    reasons.extend(none_acknowledged(case));
    reasons.extend(undecided_over_all(case).map(|why| RunReason::new(Against::Open, why)));
    reasons.extend(withheld(case).map(|why| {
        let takes = "a target that answers its commands in time, or a lower `rate` of the [[load]]";
        RunReason::other(why).taking(takes)
    }));
    let strangers = case.settled.totals.strangers;
    if strangers > 0 {
        let why = format!("{strangers} records are of clients that the plan does not have");
        let takes = "a bundle as its run wrote it, without records of another";
        reasons.push(RunReason::other(why).taking(takes));
    }
    reasons.extend(returns_unseen(case).map(|why| {
        let takes =
            "somebody who publishes there once the clients are back, or more time for that phase";
        RunReason::other(why).taking(takes)
    }));
    reasons.extend(
        silent_although_named(case)
            .map(|why| RunReason::other(why).taking("somebody who publishes there while it runs")),
    );
    let unproven = facts.faults.iter().filter_map(FaultOutcome::why_it_did_not_bite);
    reasons.extend(unproven.map(|why| RunReason::new(Against::Fault, why)));
    let planned = case.schedule.staying();
    let live = case.settled.clients_live_at_end;
    if !facts.interrupted && live < planned {
        let away = planned - live;
        let why = format!("{away} of {planned} clients were not live at the end");
        reasons.push(RunReason::new(Against::Away, why));
    }
    reasons.extend(generator_fell_short(case));
    reasons
}

/// That no publish of the load came to anything, and what came instead.
fn none_acknowledged(case: &Case<'_>) -> Option<RunReason> {
    let acknowledged: u64 = case.settled.series.rows().map(|(_, row, _)| row.published).sum();
    let planned = case.schedule.publishes.len();
    (acknowledged == 0 && planned > 0).then(|| {
        let instead = befell::instead(&request_lines(case), MetricId::PublishErrors);
        let instead = instead.map_or_else(|| format!(" of {planned}"), |it| format!(" ({it})"));
        let why = format!("not one publish was acknowledged, so none could be lost{instead}");
        RunReason::other(why).taking("a target that takes what is published")
    })
}

/// Topics on which nothing new came to any client of a storm after its return, in a run that publishes nothing
/// itself: that they came back shows nothing of what they are sent since. A topic on which nothing came at all is
/// named in the report's first lines.
fn returns_unseen(case: &Case<'_>) -> Option<String> {
    if !case.plan.is_passive() {
        return None;
    }
    let had_any = |topic| case.settled.applied.get(topic).is_some_and(|applied| *applied > 0);
    let storms = case.schedule.faults.iter().filter(|fault| fault.kind.is_storm());
    storms.filter_map(|fault| Some((fault, case.settled.exposures.get(&fault.id)?))).find_map(
        |(fault, exposure)| {
            let unseen = exposure.after.iter().filter(|(topic, came)| {
                came.back > 0 && came.reached == 0 && had_any(topic)
            });
            let topics: Vec<_> = unseen.map(|(topic, _)| topic.name()).collect();
            let phase = &case.schedule.phases[usize::from(fault.phase)].name;
            (!topics.is_empty()).then(|| {
                format!(
                    "nothing new came on {} to any client that was back from fault {} ({}), so that their return \
                     shows nothing of what they are sent since: run it while others publish there, or give the \
                     phase `{phase}` more time",
                    topics.join(", "),
                    fault.id,
                    fault.kind.name()
                )
            })
        },
    )
}

/// A topic on which nothing came, although the scenario says that it must apply.
fn silent_although_named(case: &Case<'_>) -> Option<String> {
    let named = case.plan.must_apply.iter().filter_map(|name| TopicId::of(name));
    let came = |topic: &TopicId| case.settled.applied.get(topic).copied().unwrap_or_default();
    named.filter(|topic| came(topic) == 0).map(TopicId::name).next().map(|topic| {
        format!("nothing came on {topic}, which must apply: run it while somebody publishes there")
    })
}

/// What the generator left undone, or lost, whatever the time.
pub fn generator_fell_short(case: &Case<'_>) -> Vec<RunReason> {
    let mut reasons = Vec::new();
    let generator = &case.facts.generator;
    if generator.lost_threads > 0 {
        let why = format!(
            "{} threads of the generator ended with a bug, and their clients' evidence is missing",
            generator.lost_threads
        );
        let takes = "a khala-harness without that bug: whoever makes it needs this bundle";
        reasons.push(RunReason::other(why).taking(takes));
    }
    let dropped = case.settled.totals.dropped;
    if dropped > 0 {
        let why = format!("{dropped} records were dropped by full recorders");
        let takes = "fewer clients or a lower `rate` for this machine";
        reasons.push(RunReason::other(why).taking(takes));
    }
    let accounted = generator.publishes_begun + case.settled.totals.withheld;
    // What was planned for later than the end of the target was no longer to be begun.
    let to_its_end = !case.facts.interrupted && case.facts.target.lost.is_none();
    if to_its_end && accounted < generator.publishes_planned {
        let why = format!(
            "the generator began {} of {} planned publishes",
            generator.publishes_begun, generator.publishes_planned
        );
        reasons.push(RunReason::new(Against::Generator, why));
    }
    reasons
}

/// How much of the load never reached the target, because it left too much of it unanswered. The
/// generator did its part: this makes no objective undecided, but a run with less load than planned
/// carries no verdict that is better.
fn withheld(case: &Case<'_>) -> Option<String> {
    let withheld = case.settled.totals.withheld;
    let planned = case.facts.generator.publishes_planned;
    (withheld > 0).then(|| {
        format!(
            "the target left so many commands unanswered that {withheld} of {planned} planned \
             publishes were never begun"
        )
    })
}

/// Whether the oracle left too much open, all rules taken together.
fn undecided_over_all(case: &Case<'_>) -> Option<String> {
    let undecided = case.settled.tally.undecided_total();
    let deliveries = case.settled.totals.deliveries;
    oracle::too_many_undecided(undecided, deliveries).then(|| {
        format!(
            "the oracle left {undecided} cases undecided, more than {} % of the {deliveries} deliveries judged \
             ({})",
            oracle::UNDECIDED_SHARE_MAX * 100.0,
            open::told(case)
        )
    })
}

/// How late the timers of the generator's latest thread were, at p99 (at the maximum, with too few
/// for a p99).
fn lag_us(metrics: &Metrics, phases: &[u16]) -> Option<u64> {
    let threads = metrics.lag(phases);
    threads.values().map(|lag| lag.percentile(99.0).unwrap_or_else(|| lag.max())).max()
}

/// Why the generator was unfit to judge a threshold of `threshold_us` over these phases: it ran out of
/// something of its own, had no core when it wanted one, or was late.
pub fn generator_unfit(case: &Case<'_>, phases: &[u16], threshold_us: f64) -> Option<RunReason> {
    let share_max = case.plan.generator.lag_share_max;
    let its_own = |why: String| RunReason::new(Against::Generator, why);
    if let Some(why) = exhausted(case) {
        return Some(its_own(why));
    }
    let waited = waited_share(case, phases);
    if waited > WAITED_SHARE_MAX {
        return Some(its_own(format!(
            "the generator was starved: a thread of it wanted a core and had none for {:.0} % of \
             the time, {:.0} % are allowed",
            waited * 100.0,
            WAITED_SHARE_MAX * 100.0
        )));
    }
    let Some(lag) = lag_us(&case.settled.metrics, phases) else {
        let why = "the generator's scheduler lag was never measured in these phases";
        return Some(RunReason::other(why).taking("phases of a second at least"));
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
    let lag_us = lag as f64;
    (lag_us > share_max * threshold_us).then(|| {
        its_own(format!(
            "the generator was unfit: its scheduler lag of {:.1} ms is more than {:.0} % of the \
             threshold, {:.1} ms",
            lag_us / 1e3,
            share_max * 100.0,
            threshold_us / 1e3
        ))
    })
}

/// Why the generator was unfit over the run as a whole, if it was: the bound of convergence is what its
/// lag is held against.
pub fn unfit_over_all(case: &Case<'_>) -> Option<RunReason> {
    let all = case.all_phases();
    let bound_us = case.plan.oracle.converge_within.as_secs_f64() * 1e6;
    // A lag that was never measured is said by the objectives that need it.
    lag_us(&case.settled.metrics, &all)?;
    generator_unfit(case, &all, bound_us)
}

/// What the generator ran out of, if anything.
fn exhausted(case: &Case<'_>) -> Option<String> {
    let all: Vec<_> = case
        .settled
        .exhausted
        .iter()
        .map(|(resource, times)| format!("it ran out of {resource} {times} times"))
        .collect();
    (!all.is_empty()).then(|| format!("the generator was exhausted: {}", all.join(", ")))
}

/// How many of what was waited for, from one second to another, were waited for while the generator was starved: a
/// target that shares its machine was late with it. With why that is so, where some were.
pub fn late_while_starved(
    case: &Case<'_>,
    waits: impl IntoIterator<Item = ((u32, u32), u64)>,
) -> Option<(u64, RunReason)> {
    let probes = &case.settled.probes;
    let (mut late, mut of_them) = (0, BTreeSet::new());
    for ((from, to), count) in waits {
        let seen = probes.between(from..=to.max(from));
        if seen.share(seen.waited_us) > WAITED_SHARE_MAX {
            late += count;
            of_them.extend(from..=to);
        }
    }
    let (first, last) = (*of_them.first()?, *of_them.last()?);
    let seen = probes.over(|second| of_them.contains(&second));
    let why = format!(
        "the generator was starved meanwhile: a thread of it wanted a core and had none for {:.0} % of the time from \
         {first} to {last} s, {:.0} % are allowed",
        seen.share(seen.waited_us) * 100.0,
        WAITED_SHARE_MAX * 100.0
    );
    Some((late, RunReason::new(Against::Generator, why)))
}

/// Share of these phases in which the thread that waited most wanted a core and had none.
fn waited_share(case: &Case<'_>, phases: &[u16]) -> f64 {
    let seen = case.settled.probes.over(|second| case.reaches_into(phases, second));
    seen.share(seen.waited_us)
}

/// Why a ratio of two spans says nothing of the target: the machine, which it may share with the generator, was
/// busier in the span that would explain the verdict. Slower during the fault counts only where the machine was as
/// before, and as fast as before only where it was not busier before.
pub fn one_side_was_busier(
    case: &Case<'_>,
    during: &[u16],
    against: &[u16],
    verdict: Verdict,
) -> Option<RunReason> {
    let (during, before) = (waited_share(case, during), waited_share(case, against));
    let (busier, other, when) = match verdict {
        Verdict::Fail => (during, before, "than before"),
        Verdict::Pass | Verdict::Warn => (before, during, "before than meanwhile"),
        Verdict::Inconclusive | Verdict::NotApplicable => return None,
    };
    (busier > BUSY_SHARE && busier > BUSIER_TIMES * other).then(|| {
        let why = format!(
            "the machine was busier {when}, which alone may make the difference: a thread of the generator wanted a \
             core and had none for {:.0} % of the time, against {:.0} %",
            busier * 100.0,
            other * 100.0
        );
        RunReason::new(Against::Generator, why)
    })
}

/// Why faults in these phases cannot carry a verdict.
pub fn faults_unfit(case: &Case<'_>, phases: &[u16]) -> Option<RunReason> {
    for fault in &case.schedule.faults {
        if !phases.contains(&fault.phase) {
            continue;
        }
        let Some(outcome) = case.facts.faults.iter().find(|outcome| outcome.id == fault.id) else {
            let why = format!("fault {} left no trace", fault.id);
            return Some(RunReason::other(why).taking("a bundle as its run wrote it"));
        };
        if let Some(why) = outcome.why_it_did_not_bite() {
            return Some(RunReason::new(Against::Fault, why));
        }
        if fault.kind.is_storm() && !case.settled.exposures.contains_key(&fault.id) {
            let why = format!("no client recorded being cut off by fault {}", fault.id);
            let takes = "clients that are connected when the fault is due";
            return Some(RunReason::other(why).taking(takes));
        }
    }
    None
}

/// Why it says nothing of the target that clients did not come back: the run was cut short before those that
/// a fault in these phases had cut off had had the bound of convergence.
pub fn not_yet_back(case: &Case<'_>, phases: &[u16]) -> Option<String> {
    if !case.facts.interrupted && case.facts.unfinished.is_none() {
        return None;
    }
    let bound = case.plan.oracle.converge_within;
    let faults = case.schedule.faults.iter().filter(|fault| phases.contains(&fault.phase));
    faults.filter(|fault| fault.kind.is_storm()).find_map(|fault| {
        let lost = case.settled.exposures.get(&fault.id)?.lost;
        let cohorts = case.plan.fleet.cohorts.iter();
        let noticed = cohorts.map(|cohort| fault.kind.noticed_after(cohort.heartbeat).1).max();
        let away = fault.kind.away().unwrap_or_default() + noticed.unwrap_or_default() + bound;
        let away_us = u64::try_from(away.as_micros()).unwrap_or(u64::MAX);
        let due_us = fault.at_us.saturating_add(fault.spread_us.unwrap_or(0)).saturating_add(away_us);
        (lost > 0 && case.facts.duration_us < due_us).then(|| {
            format!(
                "the run was cut short before who was cut off by fault {} had had the time to come back",
                fault.id
            )
        })
    })
}

/// Why what clients got around a storm in these phases shows too little of it. Only a fault that cuts clients
/// off leaves a before and an after.
pub fn exposure_short(case: &Case<'_>, phases: &[u16]) -> Option<String> {
    let needed = case.plan.oracle.storm_min_deliveries;
    let faults = case.schedule.faults.iter().filter(|fault| phases.contains(&fault.phase));
    faults.filter(|fault| fault.kind.is_storm()).find_map(|fault| {
        let exposure = case.settled.exposures.get(&fault.id).filter(|it| it.short > 0)?;
        Some(format!(
            "{} of {} (client, topic) pairs cut off by fault {} had fewer than {needed} deliveries \
             before or after it",
            exposure.short, exposure.pairs, fault.id
        ))
    })
}
