//! Whether a plan can exercise an objective at all. One that it cannot is *not applicable*: it is said
//! before and after the run, and is neither kept nor broken, unless samples come all the same.

use crate::fault::exercising;
use crate::metric::{self, MetricId, is_of_published};
use crate::model::{Mint, Objective, Plan};
use crate::read::suggest;
use crate::schedule::{PlannedFault, Schedule};
use crate::units::format_bytes;

use super::samples::{Expected, possible};
use super::strike::{load_for_strike, third_strike};

/// Why each verdict of an objective is not applicable: its surface, if it has one, and the reason. One
/// that the plan can exercise is not listed.
#[must_use]
pub fn not_applicable(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
) -> Vec<(Option<&'static str>, String)> {
    let why =
        |(surface, expected)| Some((surface, why(plan, schedule, objective, surface, expected)?));
    possible(plan, schedule, objective).into_iter().filter_map(why).collect()
}

fn why(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
    surface: Option<&str>,
    expected: Expected,
) -> Option<String> {
    if objective.metric == MetricId::Violations {
        // Without a delivery nothing was judged, which no plan is made for.
        let rule = objective.selector.get("rule")?;
        return by_rule(plan, rule).or_else(|| by_strike(plan, schedule, rule));
    }
    // Heartbeats go on over phases: how many fall into one is an estimate, and none a matter of chance.
    if !expected.is_no_sample() || objective.metric == MetricId::HeartbeatRtt {
        return None;
    }
    let whose = surface.map_or_else(|| "a client".to_owned(), |surface| format!("a {surface}"));
    Some(match objective.metric {
        MetricId::TokenMint | MetricId::MintErrors if !matches!(plan.auth.mint, Mint::Control { .. }) => {
            "nobody is asked for a token: only with auth.mint = \"control\" the target mints".to_owned()
        }
        MetricId::TlsHandshake if !plan.target.is_over_tls() => {
            "the target is spoken to in clear text: its url does not begin with https".to_owned()
        }
        MetricId::TimeToRecovered | MetricId::ReconnectAttempts | MetricId::Unrecovered => {
            format!("no fault cuts off {whose} in these phases")
        }
        MetricId::ResumeToLive | MetricId::ReplayLag => {
            format!("no fault brings back {whose} in these phases")
        }
        MetricId::Snapshot => {
            "nobody comes back in these phases with a cursor that is stale by plan to a topic that is \
             bootstrapped by a snapshot"
                .to_owned()
        }
        MetricId::Delivery | MetricId::BystanderRatio if plan.is_passive() => {
            "a passive run publishes nothing, and events of others do not say when they were published"
                .to_owned()
        }
        MetricId::DeliverySpread if plan.is_passive() => {
            format!("{whose} subscribes to no stream")
        }
        MetricId::Publish | MetricId::PublishErrors if plan.is_passive() => {
            "a passive run publishes nothing".to_owned()
        }
        MetricId::Delivery | MetricId::DeliverySpread | MetricId::BystanderRatio => {
            format!("nothing is published in these phases that {whose} subscribes to")
        }
        MetricId::Publish | MetricId::PublishErrors => {
            "nothing is published in these phases".to_owned()
        }
        _ => format!("{whose} has no occasion in these phases"),
    })
}

/// Why nobody can be struck by what is published while clients are slow, and what would do it.
fn by_strike(plan: &Plan, schedule: &Schedule, rule: &str) -> Option<String> {
    if !metric::is_by_eviction(rule) {
        return None;
    }
    let slow = |fault: &&PlannedFault| fault.kind.slowness().is_some();
    let mut faults = schedule.faults.iter().filter(slow);
    if faults.any(|fault| third_strike(plan, schedule, fault).is_some()) {
        return None;
    }
    let holds = format_bytes(plan.target.slow_consumer.kernel_bytes());
    let needs = schedule.faults.iter().filter_map(|fault| load_for_strike(plan, fault));
    let load = needs.reduce(f64::max).map_or_else(String::new, |bytes_per_s| {
        format!(
            "; a load of about {} a second for each slow client would: raise `rate` or `payload_bytes` of its \
             [[load]] with fewer clients, as `--profile kernel-buffers` of scenarios/slow-consumer.toml does, or say \
             by target.slow_consumer.kernel_buffer that less may wait there",
            kib(bytes_per_s)
        )
    });
    Some(format!(
        "what is published while clients are slow does not get one evicted: {holds} may wait in the \
         kernel on the target's side{load}"
    ))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of one second")]
fn kib(bytes: f64) -> String {
    format_bytes(((bytes / 1024.0).ceil() as u64) * 1024)
}

/// Why the rule of the oracle has no case in the plan.
fn by_rule(plan: &Plan, rule: &str) -> Option<String> {
    if plan.is_passive() && is_of_published(rule) {
        return Some(format!(
            "a passive run publishes nothing, and `{rule}` is about what was published"
        ));
    }
    let exercise = metric::needs(rule)?;
    let mut faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    (!faults.any(|fault| fault.kind.exercises(exercise))).then(|| {
        let needed = suggest::any_of(exercising(exercise));
        format!("the plan has no fault {needed}, without which `{rule}` has no case")
    })
}
