//! The plan, in the runbook's order of rollbacks, drawn from what failed and from what is rolled out by then.

use khala_plan::rollout::Check;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Blocker;
use super::live::Live;
use crate::decide::Case;
use crate::history::Attempt;

/// A step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// What it is called in the runbook.
    pub name: String,
    /// Whether what failed asks for it.
    pub needed: bool,
    /// Why, or why not.
    pub why: String,
    /// What to do.
    pub actions: Vec<String>,
}

/// Limits of the runtime that bear on a metric (contract, section 4).
const GUARDS: [(&[&str], &str); 5] = [
    (
        &["evict", "slow", "unbounded_buffer", "bystander"],
        "`RUNTIME_KHALA_OUTBOUND_QUEUE_LIMIT`, `RUNTIME_KHALA_SLOW_CONSUMER_LAG_THRESHOLD` and \
         `RUNTIME_KHALA_SLOW_CONSUMER_MAX_STRIKES`: lower, so that a slow consumer goes sooner",
    ),
    (
        &["reconnect", "recovered", "peak_connects", "connect"],
        "`RUNTIME_KHALA_RECONNECT_BASE_BACKOFF_MS` and `RUNTIME_KHALA_RECONNECT_JITTER_MS`: higher, so that \
         reconnects spread",
    ),
    (
        &["replay", "stale"],
        "`RUNTIME_KHALA_CODEX_WORKER_EVENTS_REPLAY_BUDGET_EVENTS`: lower for shorter replays, higher for fewer \
         stale cursors",
    ),
    (
        &["publish"],
        "`RUNTIME_KHALA_CODEX_WORKER_EVENTS_PUBLISH_RATE_PER_SECOND` and \
         `RUNTIME_KHALA_CODEX_WORKER_EVENTS_MAX_PAYLOAD_BYTES`: lower, so that less is taken in",
    ),
    (
        &["delivery"],
        "`RUNTIME_KHALA_FAIR_TOPIC_SLICE_LIMIT`: lower, so that one topic does not hold up the others",
    ),
];

/// The plan for what failed, in the runbook's order.
#[must_use]
pub fn plan(case: &Case<'_>, blockers: &[Blocker]) -> Vec<PlanStep> {
    let (attempt, live) = (case.attempt, Live::of(case));
    let results = attempt.runs.iter().filter_map(|run| run.ended.as_ref());
    let revisions = results.filter_map(|(result, _)| result.revisions.clone()).next_back();
    // A precondition has no metric, whatever it is called.
    let about = |words: &[&str], it: &Blocker| {
        it.metric != it.step && words.iter().any(|word| it.metric.contains(word))
    };
    let guards = GUARDS.iter().filter(|(words, _)| blockers.iter().any(|it| about(words, it)));
    let guards: Vec<&str> = guards.map(|(_, guard)| *guard).collect();
    let guarded = |it: &Blocker| GUARDS.iter().any(|(words, _)| about(words, it));
    let unguarded: Vec<_> = blockers.iter().filter(|it| !guarded(it)).collect();
    let surfaces: std::collections::BTreeSet<_> =
        blockers.iter().map(|blocker| blocker.surface.as_deref()).collect();
    let one_surface = match surfaces.iter().next() {
        Some(Some(surface)) if surfaces.len() == 1 => Some(*surface),
        _ => None,
    };
    vec![
        match live {
            Live::Nothing => nothing_to_route(NOTHING_YET, WHERE_IT_REACHES, revisions),
            Live::Before(stage) => {
                let why = format!(
                    "{NOT_BY_THIS}: leave traffic where it is, unless stage {stage} is live and its users meet what failed"
                );
                nothing_to_route(&why, "then what that stage rolled out goes back:", revisions)
            }
            Live::This => traffic(case, revisions, &unguarded, one_surface),
        },
        guard(&guards),
        surface(one_surface),
        validation(attempt, blockers, live),
    ]
}

/// Of a stage that rolled nothing out.
fn nothing_to_route(why: &str, when: &str, revisions: Option<(String, String)>) -> PlanStep {
    let actions = revisions.map(|(control, runtime)| {
        format!("{when} back to `{runtime}` (runtime) and `{control}` (control service)")
    });
    PlanStep {
        name: TRAFFIC.to_owned(),
        needed: false,
        why: why.to_owned(),
        actions: actions.into_iter().collect(),
    }
}

/// When traffic goes back although nothing is rolled out.
const WHERE_IT_REACHES: &str = "where traffic reaches the canary all the same:";
/// Why no traffic goes back from a stage before which nothing is rolled out.
pub const NOTHING_YET: &str = "nothing is rolled out yet at this stage: leave traffic where it is";
/// Why no traffic goes back from a stage that was not begun: how the sentence begins.
pub const NOT_BY_THIS: &str = "this stage rolled nothing out";

/// What the runbook calls its first rollback.
const TRAFFIC: &str = "Traffic rollback";

/// How traffic is routed back, where the rollout file says so.
fn how(case: &Case<'_>) -> Option<String> {
    case.rollout.preconditions.iter().find_map(|one| match &one.check {
        Check::Rollback { how, .. } => how.clone(),
        _ => None,
    })
}

fn traffic(
    case: &Case<'_>,
    revisions: Option<(String, String)>,
    unguarded: &[&Blocker],
    one_surface: Option<&str>,
) -> PlanStep {
    let mut actions = match revisions {
        Some((control, runtime)) => vec![
            format!("route the runtime's traffic back to revision `{runtime}`"),
            format!("route the control service's traffic back to revision `{control}`"),
        ],
        None => vec![
            "no revision to go back to was captured: find the last known-good one of both services first"
                .to_owned(),
        ],
    };
    actions.push(match how(case) {
        Some(how) => format!("by `{}`", how.replace('`', "'")),
        None => "the rollout file has no command for it: by your platform's own (name it as `how` of its `rollback` \
                 precondition, and it stands here)"
            .to_owned(),
    });
    let why = match (one_surface, unguarded) {
        (Some(surface), _) => format!(
            "everything that failed is of the surface `{surface}`: only if its own rollback (3) does not help"
        ),
        (None, []) => "if tightening the guards (2) does not help within minutes".to_owned(),
        (None, [first, ..]) => {
            format!("no limit of the runtime mends this: {}", first.objective)
        }
    };
    let needed = one_surface.is_none() && !unguarded.is_empty();
    PlanStep { name: TRAFFIC.to_owned(), needed, why, actions }
}

fn guard(guards: &[&str]) -> PlanStep {
    let (needed, why) = match guards {
        [] => (false, "nothing that failed is governed by a limit of the runtime".to_owned()),
        _ => (true, "limits of the runtime bear on what failed".to_owned()),
    };
    let actions = guards.iter().map(|guard| (*guard).to_owned()).collect();
    PlanStep { name: "Runtime guard rollback".to_owned(), needed, why, actions }
}

fn surface(one: Option<&str>) -> PlanStep {
    let (needed, why, actions) = match one {
        Some(surface) => (
            true,
            format!("everything that failed is of the surface `{surface}`"),
            vec![format!(
                "roll back the client build of `{surface}` alone, if the server lane is healthy"
            )],
        ),
        None => (false, "what failed is not of one surface alone".to_owned(), Vec::new()),
    };
    PlanStep { name: "Surface rollback".to_owned(), needed, why, actions }
}

/// What shows by the runbook's own means that errors recovered and replay lag is stable (its sections 5 and 6; the bounds
/// are those of the contract, section 7).
const STABLE: [&str; 3] = [
    "errors recovered: WebSocket authorisation failures below 2 % for 15 minutes, reconnects at most 1.5/s and heartbeat \
     time-outs at most 0.05/s over 10 minutes",
    "replay lag stable: p95 at most 250 events over 10 minutes; of two snapshots ten minutes apart by `curl -sS \
     \"$RUNTIME_BASE_URL/internal/v1/khala/fanout/metrics?topic_limit=20\" -H \"Authorization: Bearer \
     $RUNTIME_ADMIN_TOKEN\"` the second has the same `slow_consumer_evictions`, at most 50 stale cursors more, and \
     every topic's `head_sequence` no lower",
    "the runtime that is back passes its own tests: `cargo test -p openagents-runtime-service \
     server::tests::khala_topic_messages -- --nocapture`",
];

fn validation(attempt: &Attempt, blockers: &[Blocker], live: Live<'_>) -> PlanStep {
    // What one command shows again is told once.
    let mut shown: Vec<(&str, Vec<String>)> = Vec::new();
    for blocker in blockers.iter().filter(|blocker| !blocker.again.is_empty()) {
        let failed = blocker.objectives().map(|objective| format!("`{objective}`"));
        match shown.iter_mut().find(|(again, _)| *again == blocker.again) {
            Some((_, objectives)) => objectives.extend(failed),
            None => shown.push((&blocker.again, failed.collect())),
        }
    }
    let mut actions: Vec<String> = shown
        .iter()
        .map(|(again, objectives)| {
            let passes = if objectives.len() == 1 { "passes" } else { "pass" };
            format!("`{again}` until {} {passes}", objectives.join(", "))
        })
        .collect();
    if !attempt.begun.embedded {
        actions.extend(STABLE.map(str::to_owned));
    }
    let again = crate::command::again(&attempt.begun, &attempt.begun.stage);
    let secrets = crate::command::secrets(&attempt.begun);
    actions.push(format!("then a new attempt: `{again}`{secrets}"));
    PlanStep {
        name: "Validation".to_owned(),
        needed: true,
        why: match live {
            Live::This => "recovery of errors and a stable replay lag are to be seen after the rollback",
            Live::Nothing | Live::Before(_) => {
                "what failed has to pass before anything is rolled out; the rest after a rollback, if there is one"
            }
        }
        .to_owned(),
        actions,
    }
}
