//! The report of an attempt: what `<date>-stage-N.json` holds, and what people read is made of.

use khala_evidence::judge::{Decision, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::builds::Shown;
use crate::command;
use crate::decide::{Case, Decided, Opened, Reason};
use crate::entry::{Begun, HoldResult, StepResult};
use crate::evidence::{GateLine, ObjectiveLine, RunSummary};
use crate::history::Attempt;
use crate::remedy::{self, Blocker, Live, PlanStep};
use crate::steps;
use crate::untested::{self, Untested};

/// One attempt of a stage, whole. Within a version fields are added, never renamed and never given another meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageReport {
    /// [`StageReport::FORMAT_VERSION`].
    pub format_version: u32,
    /// GO, NO-GO or HOLD.
    pub decision: Decision,
    /// The go/no-go statement, with owner and UTC time.
    pub statement: String,
    /// When it was decided, UTC, RFC 3339.
    pub decided_at: String,
    /// Name of the stage.
    pub stage_name: String,
    /// The next stage, where there is one.
    pub next_stage: Option<String>,
    /// Until when a GO opens the next stage, UTC, RFC 3339; absent of what is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<String>,
    /// Which attempt of this stage and build it is, from 1.
    pub number: u32,
    /// Of how many until now.
    pub of: u32,
    /// What was to be done: stage, build, owner, target, rehearsal, waivers, command.
    pub begun: Begun,
    /// When it began, UTC, RFC 3339.
    pub began_at: String,
    /// Times in which nothing went on because it was interrupted, in seconds.
    pub gaps_s: Vec<f64>,
    /// Why it is not GO.
    pub reasons: Vec<Reason>,
    /// How the stage before opened this one.
    pub opened: Opened,
    /// Waivers by which a WARN was passed over.
    pub waivers_used: Vec<String>,
    /// Waivers that did not count.
    pub waivers_unused: Vec<String>,
    /// Builds that answered, with their shares.
    pub builds: String,
    /// The gates over all runs.
    pub gates: Vec<GateRow>,
    /// The steps.
    pub steps: Vec<StepRow>,
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// The hold.
    pub hold: Option<HoldResult>,
    /// What was not tested, and what of the runbook nobody checked: whatever was decided says nothing of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<Untested>,
    /// Whom to call, and where blockers are filed, as the rollout file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    /// Who decides, as the stage of the rollout file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What failed.
    pub blockers: Vec<Blocker>,
    /// What to do about it, in the runbook's order; empty unless it is a NO-GO.
    pub plan: Vec<PlanStep>,
    /// Every attempt of this stage and build.
    pub attempts: Vec<AttemptRow>,
}

/// A gate, or an objective that must apply, over all runs of the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateRow {
    /// The gate.
    pub gate: String,
    /// Whether the stage needs it.
    pub must_apply: bool,
    /// The worst of its verdicts; `None` where no run judged it.
    pub verdict: Option<Verdict>,
    /// The runs that judged it, with their verdicts.
    pub by: Vec<String>,
    /// The worst objective: claim, measure, bounds.
    pub worst: String,
    /// Its objectives, with what was measured and the bounds; what fails first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<ObjectiveRow>,
    /// How many of its objectives no run exercised.
    #[serde(default)]
    pub untested: u64,
}

/// Objectives of a run that have the same to say: those of one metric and one claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveRow {
    /// The run.
    pub run: String,
    /// The metric.
    pub metric: String,
    /// The selected labels, such as `surface=ios`.
    pub selectors: Vec<String>,
    /// The claim.
    pub require: String,
    /// What was measured.
    pub measured: String,
    /// The 95 % bounds of it, where there are any.
    pub bound: String,
    /// Samples, of the objective that has the fewest.
    pub n: u64,
    /// The verdict.
    pub verdict: Verdict,
}

impl ObjectiveRow {
    /// Which objectives they are.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.selectors[..] {
            [] => format!("`{}`", self.metric),
            [one] if one.is_empty() => format!("`{}`", self.metric),
            [one] => format!("`{} [{one}]`", self.metric),
            [first, ..] => {
                let label = first.split('=').next().unwrap_or("label");
                format!("`{}`, each of {} {label}s", self.metric, self.selectors.len())
            }
        }
    }

    /// Adds an objective of a run to those that say the same.
    fn add(rows: &mut Vec<Self>, run: &RunSummary, one: &ObjectiveLine) {
        let same = |row: &&mut Self| {
            (&row.run, &row.metric, &row.require, &row.measured, &row.bound, row.verdict)
                == (
                    &run.scenario,
                    &one.metric,
                    &one.require,
                    &one.measured,
                    &one.bound,
                    one.verdict,
                )
        };
        if let Some(row) = rows.iter_mut().find(same) {
            row.selectors.push(one.selector.clone());
            row.n = row.n.min(one.n);
            return;
        }
        rows.push(Self {
            run: run.scenario.clone(),
            metric: one.metric.clone(),
            selectors: vec![one.selector.clone()],
            require: one.require.clone(),
            measured: one.measured.clone(),
            bound: one.bound.clone(),
            n: one.n,
            verdict: one.verdict,
        });
    }
}

/// A step as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    /// Its name.
    pub step: String,
    /// How often it was tried: more than once after an interruption.
    pub tries: u32,
    /// When the try began that ended, UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
    /// Its verdict; `None` of one that was not carried out to its end.
    pub verdict: Option<Verdict>,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// What was seen.
    pub what: String,
    /// What to do.
    pub next: Option<String>,
    /// Further lines.
    pub lines: Vec<String>,
    /// The command that made it, with how it ended and what it said.
    pub command: Option<String>,
    /// Folders of tries that were interrupted.
    pub interrupted: Vec<String>,
}

/// An attempt in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRow {
    /// Number in the journal.
    pub attempt: u32,
    /// When it began.
    pub began_at: String,
    /// Who decided.
    pub owner: String,
    /// What it came to.
    pub decision: String,
    /// Its report.
    pub report: String,
}

/// The JSON Schema of `stage.json`, and of each report by its own name, of this version: what it has, and leave for
/// what later builds add.
#[must_use]
pub fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<StageReport>();
    schema.insert("title".to_owned(), "stage.json of khala-harness".into());
    // A map of strings and numbers.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

impl StageReport {
    /// Version of the format.
    pub const FORMAT_VERSION: u32 = 1;

    /// The report of a decision; `name` is what its files are called.
    #[must_use]
    pub fn of(case: &Case<'_>, decided: &Decided, name: &str) -> Self {
        let Case { attempt, stage, rollout, .. } = *case;
        let begun = &attempt.begun;
        let all: Vec<&Attempt> =
            case.history.of_stage(&begun.stage, begun.build.as_deref()).collect();
        let number = all.iter().filter(|one| one.begun.attempt <= begun.attempt).count();
        let results = || attempt.runs.iter().filter_map(|run| run.ended.as_ref()).map(|(it, _)| it);
        let runs: Vec<RunSummary> = results().flat_map(StepResult::runs).cloned().collect();
        let untested = untested::of(case, &runs);
        let blockers = match decided.decision {
            Decision::NoGo => remedy::blockers(attempt, name),
            Decision::Go | Decision::Hold => Vec::new(),
        };
        let plan = match decided.decision {
            Decision::NoGo => remedy::plan(case, &blockers),
            Decision::Go | Decision::Hold => Vec::new(),
        };
        let at = rollout.stages.iter().position(|one| one.id == stage.id);
        let next = at.and_then(|at| rollout.stages.get(at + 1));
        Self {
            format_version: Self::FORMAT_VERSION,
            decision: decided.decision,
            statement: statement(case, decided.decision, untested.len()),
            decided_at: case.now.at.clone(),
            stage_name: stage.name.clone(),
            next_stage: next.map(|stage| stage.id.clone()),
            fresh_until: fresh_until(case, decided.decision),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            of: u32::try_from(all.len()).unwrap_or(u32::MAX),
            begun: Begun { asked_by: None, ..begun.clone() },
            began_at: attempt.at.at.clone(),
            gaps_s: attempt.resumed.iter().map(|(_, gap_ms)| *gap_ms as f64 / 1e3).collect(),
            reasons: decided.reasons.clone(),
            opened: decided.opened.clone(),
            waivers_used: decided.used.clone(),
            waivers_unused: decided.unused.clone(),
            builds: Shown::of(attempt).told(),
            gates: gates(case, &runs),
            untested,
            escalation: rollout.escalation.clone(),
            role: stage.owner.clone(),
            steps: steps::of(rollout, stage).iter().map(|it| step(attempt, &it.name())).collect(),
            hold: results().filter_map(|it| it.hold.as_deref().cloned()).next_back(),
            runs,
            blockers,
            plan,
            attempts: all.iter().map(|one| row(one, attempt, decided, name)).collect(),
        }
    }

    /// The decision in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        let rehearsal = match (self.begun.embedded, self.begun.is_rehearsal()) {
            (true, _) => " (REHEARSAL on the embedded reference runtime: no canary was tested)",
            (false, true) => " (rehearsal)",
            (false, false) => "",
        };
        let build = self.begun.build.as_deref().unwrap_or("not stated");
        format!(
            "{}{rehearsal}: stage {}, {}, build {build}, attempt {} of {}",
            self.decision, self.begun.stage, self.stage_name, self.number, self.of
        )
    }
}

/// Until when a GO opens the next stage.
fn fresh_until(case: &Case<'_>, decision: Decision) -> Option<String> {
    let fresh_ms = i64::try_from(case.rollout.fresh.as_millis()).ok()?;
    let until = jiff::Timestamp::from_millisecond(case.now.unix_ms.checked_add(fresh_ms)?).ok()?;
    (decision == Decision::Go).then(|| until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn statement(case: &Case<'_>, decision: Decision, untested: usize) -> String {
    let Begun { stage, owner, build, .. } = &case.attempt.begun;
    let build = build.as_deref().unwrap_or("that nobody stated");
    let what = match (decision, case.attempt.begun.is_rehearsal()) {
        (Decision::Go, false) => "the rollout may go on to the next stage",
        (Decision::Go, true) => "the rehearsal went well; it opens rehearsals alone",
        (Decision::NoGo, _) if case.attempt.begun.embedded => "the rehearsal failed",
        (Decision::NoGo, _) => match Live::of(case) {
            Live::Nothing => "the rollout must not begin; nothing is rolled out yet at this stage",
            Live::Before(_) => {
                "this stage must not begin; it rolled nothing out, so that nothing of it is to be taken back"
            }
            Live::This => "the rollout must not go on, and what was rolled out is to be taken back",
        },
        (Decision::Hold, _) if case.attempt.begun.embedded => "the rehearsal left something open",
        (Decision::Hold, _) => "the rollout must not go on until what is open is settled",
    };
    let of = match case.attempt.begun.embedded {
        true => {
            " It was the embedded reference runtime that was tested: it says nothing of a canary."
        }
        false => "",
    };
    let untested = match (decision, untested) {
        (Decision::Go, 1) => " Not tested: 1 thing, which the report names.".to_owned(),
        (Decision::Go, 2..) => format!(" Not tested: {untested} things, which the report names."),
        _ => String::new(),
    };
    format!(
        "{decision} for stage {stage}, build {build}: {what}.{of}{untested} Owner: {owner}. Decided at {} (UTC).",
        case.now.at
    )
}

fn gates(case: &Case<'_>, runs: &[RunSummary]) -> Vec<GateRow> {
    let mut names: Vec<String> = case.stage.must_apply.clone();
    for gate in runs.iter().flat_map(|run| &run.gates) {
        if gate.verdict.is_some() && !names.contains(&gate.name) {
            names.push(gate.name.clone());
        }
    }
    let all: Vec<&RunSummary> = runs.iter().collect();
    let untested = untested::objectives(&all);
    let is_gate = |name: &str| runs.iter().flat_map(|run| &run.gates).any(|it| it.name == name);
    let row = |gate: String| {
        let judged = runs.iter().flat_map(|run| run.gates.iter().map(move |one| (run, one)));
        if !is_gate(&gate) {
            return of_objective(gate, runs);
        }
        let judged: Vec<_> = judged
            .filter(|(_, one)| one.name == gate)
            .filter_map(|(run, one)| Some((run, one, one.verdict?)))
            .collect();
        let mut objectives = Vec::new();
        for (run, one, _) in &judged {
            one.judged().for_each(|it| ObjectiveRow::add(&mut objectives, run, it));
        }
        objectives.sort_by_key(|row| std::cmp::Reverse(row.verdict));
        let worst = judged.iter().flat_map(|(_, one, _)| &one.open).max_by_key(|one| one.verdict);
        GateRow {
            must_apply: case.stage.must_apply.contains(&gate),
            verdict: judged.iter().map(|(_, _, verdict)| *verdict).max(),
            by: judged.iter().map(|(run, _, it)| format!("{}: {it}", run.scenario)).collect(),
            worst: worst.map_or_else(String::new, |one| {
                format!("`{}` {}: {} {}", one.metric, one.require, one.measured, one.selector)
            }),
            objectives,
            untested: untested.iter().filter(|(_, of, _)| of.name == gate).count() as u64,
            gate,
        }
    };
    names.into_iter().map(row).collect()
}

/// A row of what must apply and is no gate: a metric or a rule.
fn of_objective(name: String, runs: &[RunSummary]) -> GateRow {
    let mut objectives = Vec::new();
    let mut by: Vec<String> = Vec::new();
    for run in runs {
        let judged = |gate: &&GateLine| gate.verdict.is_some() && !gate.advisory;
        let gates = run.gates.iter().filter(judged);
        let of_it: Vec<_> =
            gates.flat_map(GateLine::judged).filter(|one| one.is_called(&name)).collect();
        let worst = of_it.iter().map(|one| one.verdict).max();
        by.extend(worst.map(|it| format!("{}: {it}", run.scenario)));
        of_it.into_iter().for_each(|one| ObjectiveRow::add(&mut objectives, run, one));
    }
    GateRow {
        gate: name,
        must_apply: true,
        verdict: objectives.iter().map(|row| row.verdict).max(),
        by,
        worst: String::new(),
        objectives,
        untested: 0,
    }
}

fn step(attempt: &Attempt, name: &str) -> StepRow {
    let tries: Vec<_> = attempt.tries(name).collect();
    let ended = tries.iter().rev().find_map(|run| run.ended.as_ref().map(|it| (*run, it)));
    let interrupted = tries.iter().filter(|run| run.ended.is_none());
    let interrupted = interrupted
        .map(|run| run.bundle.clone().unwrap_or_else(|| format!("try {}, no evidence", run.run)))
        .collect();
    let row = StepRow {
        step: name.to_owned(),
        tries: u32::try_from(tries.len()).unwrap_or(u32::MAX),
        began_at: None,
        verdict: None,
        took_s: 0.0,
        what: "not carried out to its end".to_owned(),
        next: None,
        lines: Vec::new(),
        command: None,
        interrupted,
    };
    let Some((run, (result, at))) = ended else { return row };
    StepRow {
        began_at: Some(run.at.at.clone()),
        verdict: Some(result.verdict),
        took_s: at.since(&run.at).unwrap_or(0) as f64 / 1e3,
        what: result.what.clone(),
        next: result.next.clone(),
        lines: result.lines.clone(),
        command: result.command.as_ref().map(|run| {
            let said = |name: &str, text: &str| match text {
                "" => String::new(),
                text => format!("\n{name}: {text}"),
            };
            let (out, err) = (said("stdout", &run.stdout), said("stderr", &run.stderr));
            format!("$ {}\n{}{out}{err}", command::line(&run.command), run.end)
        }),
        ..row
    }
}

fn row(one: &Attempt, this: &Attempt, decided: &Decided, name: &str) -> AttemptRow {
    let is_this = one.begun.attempt == this.begun.attempt;
    let rehearsal = if one.begun.is_rehearsal() { " (rehearsal)" } else { "" };
    let (decision, report) = match &one.ended {
        _ if is_this => (decided.decision.to_string(), name.to_owned()),
        Some((ended, _)) => (ended.decided.decision.to_string(), ended.report.clone()),
        None => ("never decided".to_owned(), String::new()),
    };
    AttemptRow {
        attempt: one.begun.attempt,
        began_at: one.at.at.clone(),
        owner: one.begun.owner.clone(),
        decision: format!("{decision}{rehearsal}"),
        report,
    }
}

#[cfg(test)]
mod tests;
