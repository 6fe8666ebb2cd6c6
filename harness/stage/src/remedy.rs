//! On a NO-GO: what blocks, as issues that can be filed as they are, and the plan, in the runbook's order of
//! rollbacks (traffic, runtime guard, surface, validation), drawn from what failed.

use khala_evidence::judge::Verdict;
use khala_plan::rollout::Check;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decide::Case;
use crate::history::Attempt;
use crate::report::is_preflight;

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// The step in which it did.
    pub step: String,
    /// What failed: `gate / metric [selector]`, an indicator of the hold, or the step itself.
    pub objective: String,
    /// The metric, the indicator, or the step's name.
    pub metric: String,
    /// The surface, where it is of one alone.
    pub surface: Option<String>,
    /// What was claimed.
    pub claim: String,
    /// What was measured.
    pub measured: String,
    /// Its 95 % bounds, where there are any.
    pub bound: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The evidence: a file.
    pub evidence: String,
    /// What shows it again.
    pub again: String,
    /// What was seen, a line each, where a figure does not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What fails, in a few words, where the step knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to do, where the step knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Lines of a step that an issue has: the deviations that fail a conformance run, say.
const DETAILS_MAX: usize = 12;

impl Blocker {
    /// Title of an issue.
    #[must_use]
    pub fn title(&self, stage: &str, build: &str) -> String {
        match &self.title {
            Some(title) => format!("Stage {stage}, {build}: {title}"),
            None => format!(
                "Stage {stage}, {build}: {} fails: {}, must hold: {}",
                self.objective, self.measured, self.claim
            ),
        }
    }
}

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

/// Everything that failed in an attempt, a blocker each; `name` is what its report is called.
#[must_use]
pub fn blockers(attempt: &Attempt, name: &str) -> Vec<Blocker> {
    let ended = attempt.runs.iter().filter_map(|run| Some((run, &run.ended.as_ref()?.0)));
    let failed = ended.filter(|(_, result)| result.verdict == Verdict::Fail);
    let mut blockers = Vec::new();
    for (run, result) in failed {
        let before = blockers.len();
        for summary in result.runs() {
            blockers.extend(summary.objectives(Verdict::Fail).map(|(gate, one)| {
                let selector = match one.selector.as_str() {
                    "" => String::new(),
                    selector => format!(" [{selector}]"),
                };
                Blocker {
                    step: run.step.clone(),
                    objective: format!("{} / {}{selector}", gate.name, one.metric),
                    metric: format!("{}{selector}", one.metric),
                    surface: one.selector.strip_prefix("surface=").map(str::to_owned),
                    claim: one.require.clone(),
                    measured: one.measured.clone(),
                    bound: one.bound.clone(),
                    reason: one.reason.clone(),
                    evidence: format!("{}/summary.md", summary.bundle),
                    again: summary.command.clone(),
                    details: Vec::new(),
                    title: None,
                    next: None,
                }
            }));
        }
        if let Some(hold) = &result.hold {
            let lines = hold.windows.indicators.iter().filter(|line| line.verdict == Verdict::Fail);
            blockers.extend(lines.map(|line| Blocker {
                step: run.step.clone(),
                objective: format!("hold / {}", line.indicator.name()),
                metric: line.indicator.name().to_owned(),
                surface: None,
                claim: line.indicator.claim().to_owned(),
                measured: line.worst.as_ref().map_or_else(String::new, |(told, _)| told.clone()),
                bound: format!("windows of {} s", hold.windows.window_s),
                reason: line.reason.clone(),
                evidence: hold.segments.last().map_or_else(String::new, |segment| {
                    format!("{}/timeseries.csv", segment.bundle)
                }),
                again: result.run.as_ref().map_or_else(String::new, |run| run.command.clone()),
                details: Vec::new(),
                title: None,
                next: None,
            }));
        }
        if blockers.len() == before {
            let folder = attempt.begun.stage_dir.trim_end_matches('/');
            let folder = if folder.is_empty() { ".".to_owned() } else { folder.to_owned() };
            let evidence = format!(
                "{folder}/{name}.md, step `{}` (the result itself: {folder}/journal.ndjson, attempt {})",
                run.step, attempt.begun.attempt
            );
            blockers.push(of_step(&run.step, result, evidence));
        }
    }
    blockers
}

fn of_step(step: &str, result: &crate::entry::StepResult, evidence: String) -> Blocker {
    let command = result.command.as_ref();
    let failed = result.failed.clone();
    let (claim, measured) = match (&failed, command) {
        (Some(failed), _) => (failed.claim.clone(), failed.measured.clone()),
        (None, Some(run)) => ("the command ends with 0".to_owned(), run.end.to_string()),
        (None, None) => ("it passes".to_owned(), result.what.clone()),
    };
    let reason = if failed.is_some() { measured.clone() } else { result.what.clone() };
    Blocker {
        step: step.to_owned(),
        objective: step.to_owned(),
        metric: step.to_owned(),
        surface: None,
        claim,
        measured,
        bound: String::new(),
        reason,
        evidence,
        again: command.map_or_else(String::new, |run| crate::command::line(&run.command)),
        details: details(result),
        title: failed.map(|failed| failed.title),
        next: result.next.clone(),
    }
}

/// What a step tells of what it saw, or what its command said last.
fn details(result: &crate::entry::StepResult) -> Vec<String> {
    let said = result.command.iter().flat_map(|run| {
        let lines: Vec<&str> = run.stdout.lines().chain(run.stderr.lines()).collect();
        let from = lines.len().saturating_sub(DETAILS_MAX);
        lines[from..].iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    });
    let mut details: Vec<String> = result.lines.iter().cloned().chain(said).collect();
    let more = details.len().saturating_sub(DETAILS_MAX);
    if more > 0 {
        details.truncate(DETAILS_MAX);
        details.push(format!("and {more} more, with the step in the report"));
    }
    details
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
    let attempt = case.attempt;
    let results = attempt.runs.iter().filter_map(|run| run.ended.as_ref());
    let revisions = results.filter_map(|(result, _)| result.revisions.clone()).next_back();
    let guards: Vec<&str> = GUARDS
        .iter()
        .filter(|(words, _)| {
            let about = |it: &Blocker| words.iter().any(|word| it.metric.contains(word));
            blockers.iter().any(about)
        })
        .map(|(_, guard)| *guard)
        .collect();
    let guarded = |it: &Blocker| {
        GUARDS.iter().any(|(words, _)| words.iter().any(|word| it.metric.contains(word)))
    };
    let unguarded: Vec<_> = blockers.iter().filter(|it| !guarded(it)).collect();
    let surfaces: std::collections::BTreeSet<_> =
        blockers.iter().map(|blocker| blocker.surface.as_deref()).collect();
    let one_surface = match surfaces.iter().next() {
        Some(Some(surface)) if surfaces.len() == 1 => Some(*surface),
        _ => None,
    };
    vec![
        match is_preflight(case) {
            true => nothing_to_route(revisions),
            false => traffic(case, revisions, &unguarded, one_surface),
        },
        guard(&guards),
        surface(one_surface),
        validation(attempt, blockers),
    ]
}

/// Of a stage before which nothing is rolled out.
fn nothing_to_route(revisions: Option<(String, String)>) -> PlanStep {
    let actions = revisions.map(|(control, runtime)| {
        format!("where traffic reaches the canary all the same: back to `{runtime}` (runtime) and `{control}` (control service)")
    });
    PlanStep {
        name: TRAFFIC.to_owned(),
        needed: false,
        why: NOTHING_YET.to_owned(),
        actions: actions.into_iter().collect(),
    }
}

/// Why no traffic goes back from a stage before which nothing is rolled out.
pub const NOTHING_YET: &str = "nothing is rolled out yet at this stage: leave traffic where it is";

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

fn validation(attempt: &Attempt, blockers: &[Blocker]) -> PlanStep {
    // What one command shows again is told once.
    let mut shown: Vec<(&str, Vec<String>)> = Vec::new();
    for blocker in blockers.iter().filter(|blocker| !blocker.again.is_empty()) {
        let objective = format!("`{}`", blocker.objective);
        match shown.iter_mut().find(|(again, _)| *again == blocker.again) {
            Some((_, objectives)) => objectives.push(objective),
            None => shown.push((&blocker.again, vec![objective])),
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
        why: "recovery of errors and a stable replay lag are to be seen after the rollback"
            .to_owned(),
        actions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::testing::{at, attempt, failed_objective, rollout};

    /// What failed in stage 1, which holds what is rolled out.
    fn of(objectives: &[(&str, &str)]) -> (Vec<Blocker>, Vec<PlanStep>) {
        let failed = objectives.iter().map(|(metric, selector)| failed_objective(metric, selector));
        of_stage(1, failed.collect(), None)
    }

    fn of_stage(
        at_stage: usize,
        failed: Vec<crate::entry::StepResult>,
        how: Option<&str>,
    ) -> (Vec<Blocker>, Vec<PlanStep>) {
        let attempt = attempt(at(0), failed);
        let blockers = blockers(&attempt, "it");
        let mut rollout = rollout();
        let (control, runtime) = ("5".to_owned(), "6".to_owned());
        rollout.preconditions[0].check =
            Check::Rollback { control, runtime, how: how.map(str::to_owned) };
        let (history, now) = (History::default(), at(9));
        let stage = &rollout.stages[at_stage];
        let (rollout, history, attempt, now) = (&rollout, &history, &attempt, &now);
        let case = Case { rollout, stage, history, attempt, now, check: &|_| None };
        let plan = plan(&case, &blockers);
        (blockers, plan)
    }

    fn needed(objectives: &[(&str, &str)]) -> Vec<String> {
        let (_, plan) = of(objectives);
        plan.into_iter().filter(|step| step.needed).map(|step| step.name).collect()
    }

    #[test]
    fn the_plan_has_the_runbooks_order_and_is_drawn_from_what_failed() {
        let (_, plan) = of(&[("violations", "")]);
        let names: Vec<_> = plan.iter().map(|step| step.name.as_str()).collect();
        let order =
            ["Traffic rollback", "Runtime guard rollback", "Surface rollback", "Validation"];
        assert_eq!(names, order);
        assert_eq!(needed(&[("violations", "")]), ["Traffic rollback", "Validation"]);
        assert_eq!(needed(&[("reconnects", "")]), ["Runtime guard rollback", "Validation"]);
        assert_eq!(needed(&[("violations", "surface=ios")]), ["Surface rollback", "Validation"]);
        assert_eq!(
            needed(&[("violations", "surface=ios"), ("violations", "")]),
            ["Traffic rollback", "Validation"]
        );
        assert_eq!(
            needed(&[("reconnects", ""), ("auth_errors", "")]),
            ["Traffic rollback", "Runtime guard rollback", "Validation"]
        );
    }

    #[test]
    fn a_blocker_names_objective_measure_bound_and_evidence() {
        let (blockers, _) = of(&[("auth_errors", "surface=ios")]);
        let [blocker] = &blockers[..] else { panic!("one: {blockers:?}") };
        assert_eq!(blocker.objective, "error-budget / auth_errors [surface=ios]");
        assert_eq!(blocker.measured, "12.000 %");
        assert_eq!(blocker.bound, "at least 9.000 %");
        assert_eq!(blocker.evidence, "runs/one/summary.md");
        let title = blocker.title("1", "7");
        assert_eq!(
            title,
            "Stage 1, 7: error-budget / auth_errors [surface=ios] fails: 12.000 %, must hold: proportion <= 3%"
        );
    }

    #[test]
    fn traffic_goes_back_by_the_rollout_files_own_command_and_before_a_rollout_nowhere() {
        let failed = || vec![failed_objective("violations", "")];
        let (_, plan) = of_stage(1, failed(), Some("undo --to 6"));
        assert!(plan[0].needed && plan[0].actions.contains(&"by `undo --to 6`".to_owned()));
        let (_, plan) = of_stage(1, failed(), None);
        assert!(plan[0].actions.iter().any(|it| it.contains("name it as `how`")), "{plan:?}");
        let (_, plan) = of_stage(0, failed(), Some("undo --to 6"));
        assert!(!plan[0].needed, "{plan:?}");
        assert!(plan[0].why.starts_with("nothing is rolled out yet"), "{plan:?}");
    }

    #[test]
    fn what_was_rolled_back_is_validated_by_commands_and_bounds() {
        let (_, plan) = of(&[("violations", "")]);
        let all = plan[3].actions.join("\n");
        for says in [
            "fanout/metrics?topic_limit=20",
            "below 2 % for 15 minutes",
            "250 events",
            "cargo test -p",
        ] {
            assert!(all.contains(says), "{says}: {all}");
        }
        // A pipe is no code in a table or a list of Markdown.
        assert!(!all.contains('|'), "{all}");
    }
}
