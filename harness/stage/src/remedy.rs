//! On a NO-GO: what blocks, as issues that can be filed as they are, and the plan, in the runbook's order of
//! rollbacks (traffic, runtime guard, surface, validation), drawn from what failed.

use khala_evidence::judge::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::Attempt;

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
        format!("Stage {stage}, build {build}: {} fails ({})", self.objective, self.measured)
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

/// Everything that failed in an attempt, a blocker each.
#[must_use]
pub fn blockers(attempt: &Attempt) -> Vec<Blocker> {
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
                next: None,
            }));
        }
        if blockers.len() == before {
            blockers.push(of_step(&run.step, result));
        }
    }
    blockers
}

fn of_step(step: &str, result: &crate::entry::StepResult) -> Blocker {
    let command = result.command.as_ref();
    Blocker {
        step: step.to_owned(),
        objective: step.to_owned(),
        metric: step.to_owned(),
        surface: None,
        claim: "it passes".to_owned(),
        measured: command.map_or_else(|| result.what.clone(), |run| run.end.to_string()),
        bound: String::new(),
        reason: result.what.clone(),
        evidence: "the step in this report".to_owned(),
        again: command.map_or_else(String::new, |run| crate::command::line(&run.command)),
        details: details(result),
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
        details.push(format!("and {more} more in the step of the report"));
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
pub fn plan(attempt: &Attempt, blockers: &[Blocker]) -> Vec<PlanStep> {
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
        traffic(revisions, &unguarded, one_surface),
        guard(&guards),
        surface(one_surface),
        validation(attempt, blockers),
    ]
}

fn traffic(
    revisions: Option<(String, String)>,
    unguarded: &[&Blocker],
    one_surface: Option<&str>,
) -> PlanStep {
    let actions = match revisions {
        Some((control, runtime)) => vec![
            format!("route the runtime's traffic back to revision `{runtime}`"),
            format!("route the control service's traffic back to revision `{control}`"),
        ],
        None => vec![
            "no revision to go back to was captured: find the last known-good one of both services first"
                .to_owned(),
        ],
    };
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
    PlanStep { name: "Traffic rollback".to_owned(), needed, why, actions }
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
    actions.push(format!(
        "then a new attempt: `{}`",
        crate::command::again(&attempt.begun, &attempt.begun.stage)
    ));
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
    use crate::testing::{at, attempt, failed_objective};

    fn of(objectives: &[(&str, &str)]) -> (Vec<Blocker>, Vec<PlanStep>) {
        let attempt = attempt(
            at(0),
            objectives.iter().map(|(metric, selector)| failed_objective(metric, selector)),
        );
        let blockers = blockers(&attempt);
        let plan = plan(&attempt, &blockers);
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
            "Stage 1, build 7: error-budget / auth_errors [surface=ios] fails (12.000 %)"
        );
    }
}
