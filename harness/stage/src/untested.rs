//! What an attempt did not put to the test, whatever it decided: a GO says nothing of it.

use khala_evidence::judge::Verdict;
use khala_plan::rollout::{COVERED, Check, Precondition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::quoted;
use crate::decide::Case;
use crate::evidence::{GateLine, ObjectiveLine, RunSummary};
use crate::history::Attempt;
use crate::steps::Step;

/// Something that was not tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Untested {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// What would test it.
    pub by: String,
}

impl Untested {
    /// What was not tested, why, and by what it would be.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl Into<String>, by: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), by: by.into() }
    }
}

/// An objective of a gate in a run.
pub type Found<'a> = (&'a RunSummary, &'a GateLine, &'a ObjectiveLine);

/// The objectives that some runs could not exercise and no run judged, each once. Advisory gates are left out.
#[must_use]
pub fn objectives<'a>(runs: &[&'a RunSummary]) -> Vec<Found<'a>> {
    let gates = || {
        let all = runs.iter().flat_map(|run| run.gates.iter().map(move |gate| (*run, gate)));
        all.filter(|(_, gate)| !gate.advisory && gate.verdict.is_some())
    };
    // Where nothing was exercised nobody knows which surfaces or rules there would have been.
    let is_any = |selector: &str| selector.is_empty() || selector.ends_with("=*");
    let is_judged = |gate: &GateLine, one: &ObjectiveLine| {
        let same = gates().filter(|(_, other)| other.name == gate.name);
        same.flat_map(|(_, other)| other.judged()).any(|it| {
            it.metric == one.metric && (it.selector == one.selector || is_any(&one.selector))
        })
    };
    let mut found: Vec<Found<'a>> = Vec::new();
    for (run, gate) in gates() {
        for one in gate.untested.iter().filter(|one| !is_judged(gate, one)) {
            let is_known = |(_, other, it): &Found<'_>| {
                (&other.name, &it.metric, &it.selector) == (&gate.name, &one.metric, &one.selector)
            };
            if !found.iter().any(is_known) {
                found.push((run, gate, one));
            }
        }
    }
    found
}

/// Everything that an attempt did not put to the test; `runs` are its runs.
#[must_use]
pub fn of(case: &Case<'_>, runs: &[RunSummary]) -> Vec<Untested> {
    let all: Vec<&RunSummary> = runs.iter().collect();
    let objectives = objectives(&all);
    let mut found: Vec<Untested> = objectives.iter().map(objective).collect();
    found.extend(gates(runs));
    let results = case.attempt.runs.iter().filter_map(|run| run.ended.as_ref());
    found.extend(results.flat_map(|(result, _)| result.untested.clone()));
    found.extend(sections(case));
    found
}

fn objective((run, gate, one): &Found<'_>) -> Untested {
    let profile = run.profile.as_ref().map_or_else(String::new, |it| format!(", profile `{it}`"));
    Untested::new(
        format!("`{} / {}`, to be `{}`", gate.name, one.name(), one.require),
        format!("not applicable in {}{profile}: {}", run.scenario, one.reason),
        "a scenario or a profile in which that is not so: `khala-harness check` says of one whether it exercises it",
    )
}

/// Gates that the runs have, and that none of them judged.
fn gates(runs: &[RunSummary]) -> Vec<Untested> {
    let all = || runs.iter().flat_map(|run| &run.gates);
    let is_judged = |name: &str| all().any(|gate| gate.name == name && gate.verdict.is_some());
    let mut told: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for run in runs {
        let open = run.gates.iter().map(|gate| gate.name.as_str());
        let open: Vec<&str> =
            open.filter(|name| !is_judged(name) && !told.contains(name)).collect();
        if open.is_empty() {
            continue;
        }
        let names = open.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let (why, by) = match &run.profile {
            Some(profile) => (
                format!("the profile `{profile}` of {} does not judge it", run.scenario),
                match without_profile(&run.command, profile) {
                    Some(command) => format!("`{command}`"),
                    None => format!("`{}` without its profile", run.command),
                },
            ),
            None => (format!("{} does not judge it", run.scenario), "a scenario that does".into()),
        };
        let what = if open.len() == 1 { "the gate" } else { "the gates" };
        found.push(Untested::new(format!("{what} {names}"), why, by));
        told.extend(open);
    }
    found
}

/// The command without its profile; `None` where it does not say it in these words.
fn without_profile(command: &str, profile: &str) -> Option<String> {
    let flag = format!(" --profile {}", quoted(profile));
    let (before, after) = command.split_once(&flag)?;
    (after.is_empty() || after.starts_with(' ')).then(|| format!("{before}{after}"))
}

/// Sections of the runbook that the harness's own checks show: section, what is to be so, the check.
const CHECKED: [(&str, &str, &str); 4] = [
    ("1.1", "authorisation, topics and replay are as the contract has them", "conform"),
    ("1.2", "`POST /api/sync/token` is healthy", "token"),
    ("1.4", "the revisions to go back to are captured", "rollback"),
    ("1.5", "the surface matrix is what the runtime grants", "surfaces"),
];

/// Sections of the runbook that nobody checked in this attempt.
fn sections(case: &Case<'_>) -> Vec<Untested> {
    let passed = |is: &dyn Fn(&Check) -> bool| {
        let names = case.stage.preconditions.iter();
        let asked = names.filter_map(|name| case.rollout.precondition(name));
        let mut asked = asked.filter(|one| is(&one.check));
        asked.any(|one| has_passed(case.attempt, one))
    };
    let own = CHECKED.iter().filter(|(_, _, kind)| !passed(&|check| check.kind() == *kind)).map(
        |(section, what, kind)| {
            Untested::new(
                format!("runbook {section}: {what}"),
                format!("no precondition `check = \"{kind}\"` passed in this attempt"),
                format!("a `[[precondition]]` with `check = \"{kind}\"`"),
            )
        },
    );
    let is_first = case.rollout.before(&case.stage.id).is_none();
    let wanted = COVERED.iter().filter(|one| is_first || !one.first_stage);
    let covers = |name: &'static str| move |check: &Check| matches!(check, Check::Command { covers, .. } if covers.iter().any(|it| it == name));
    let others = wanted.filter(|one| !passed(&covers(one.name))).map(|one| {
        Untested::new(
            format!("runbook {}: {}", one.section, one.what),
            format!("no command of the rollout file with `covers = [\"{}\"]` passed", one.name),
            format!("{}, as a `[[precondition]]` with `check = \"command\"`", one.by),
        )
    });
    let mut found: Vec<Untested> = own.chain(others).collect();
    found.sort_by(|one, other| one.what.cmp(&other.what));
    found
}

fn has_passed(attempt: &Attempt, one: &Precondition) -> bool {
    let result = attempt.result(&Step::Precondition(one).name());
    result.is_some_and(|result| matches!(result.verdict, Verdict::Pass | Verdict::Warn))
}
