//! What to do next, by the decision, and why.

use khala_evidence::judge::{Decision, Verdict};

use super::heading;
use crate::command;
use crate::decide::Reason;
use crate::doc::{Block, Line, code, prose, strong, text};
use crate::remedy;
use crate::report::{StageReport, StepRow};

pub fn next(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![heading("What to do next")];
    let items: Vec<Line> = match report.decision {
        Decision::Go => {
            let rehearsal = if report.begun.is_rehearsal() { " (in rehearsal)" } else { "" };
            match &report.next_stage {
                Some(next) => {
                    let until = report.fresh_until.as_ref();
                    let until = until.map_or_else(
                        || "while this GO is fresh".to_owned(),
                        |until| format!("by {until}, while this GO is fresh"),
                    );
                    let go_on = prose(&format!("Go on to stage {next}{rehearsal} {until}: "));
                    vec![command(report, go_on, next)]
                }
                None => vec![prose("Nothing: this was the last stage.")],
            }
        }
        Decision::NoGo => {
            let needed = report.plan.iter().zip(1..).filter(|(step, _)| step.needed);
            let first = needed.map(|(step, number)| format!("{number}. {}", step.name));
            let first = first.collect::<Vec<_>>().join(", then ");
            let because = |why: &str| report.plan.iter().any(|step| step.why.starts_with(why));
            let what = match (because(remedy::NOTHING_YET), because(remedy::NOT_BY_THIS)) {
                (true, _) => "Do not begin the rollout",
                (_, true) => {
                    "Do not begin this stage: it rolled nothing out, and nothing of it is to be rolled back (1 of the plan \
                     says what of the stage before)"
                }
                _ => "Stop the rollout, and roll back",
            };
            vec![
                prose(&format!("{what}. Of the plan below: {first}. It says how, and why.")),
                prose("File the blockers: their texts stand below, ready to be pasted."),
            ]
        }
        Decision::Hold => vec![
            prose("Do not go on and do not roll back for this alone: settle what stands below."),
            command(report, prose("Then begin a new attempt: "), &report.begun.stage),
        ],
    };
    let mut items: Vec<Line> = items;
    items.extend(whom(report));
    blocks.push(Block::List(false, items));
    if !report.reasons.is_empty() {
        let row = |reason: &Reason| {
            vec![strong(reason.decision.to_string()), prose(&reason.why), prose(&reason.next)]
        };
        blocks.push(Block::Table(
            vec!["decides", "why", "what to do"],
            report.reasons.iter().map(row).collect(),
        ));
        blocks.extend(not_run(report));
    }
    blocks
}

/// The command that goes on with a stage, with what has to be set for it.
fn command(report: &StageReport, before: Line, stage: &str) -> Line {
    let again = code(command::again(&report.begun, stage));
    let secrets = prose(&format!("{}.", command::secrets(&report.begun)));
    [before, again, secrets].concat()
}

/// Who decides, and whom to call.
fn whom(report: &StageReport) -> Vec<Line> {
    let role = report.role.as_ref().map_or_else(String::new, |role| format!(", as {role}"));
    let mut lines = vec![text(format!("Who decides: {}{role}.", report.begun.owner))];
    if report.decision != Decision::Go {
        lines.push(match &report.escalation {
            Some(whom) => text(format!("Whom to call, and where blockers go: {whom}")),
            None => prose(
                "Whom to call, and where blockers go, the rollout file does not say (`escalation`): the owner knows.",
            ),
        });
    }
    lines
}

/// Steps that were left out for what was found before.
fn not_run(report: &StageReport) -> Option<Block> {
    let left: Vec<&str> = report
        .steps
        .iter()
        .filter(|step| step.verdict.is_none())
        .map(|step| bare(&step.step))
        .collect();
    let is_amiss = |step: &&StepRow| step.verdict.is_some_and(|it| it > Verdict::Warn);
    let because: Vec<String> = report
        .steps
        .iter()
        .filter(is_amiss)
        .map(|step| match step.verdict {
            Some(Verdict::Fail) => format!("{} failed", bare(&step.step)),
            _ => format!("{} left something open", bare(&step.step)),
        })
        .collect();
    if left.is_empty() || because.is_empty() {
        return None;
    }
    let what = format!(
        "Not run, because {}: {}. Nothing to do for these until that is mended.",
        because.join(" and "),
        left.join(", ")
    );
    Some(Block::Para(prose(&what)))
}

/// A step by its own name.
fn bare(step: &str) -> &str {
    step.strip_prefix("precondition ").or_else(|| step.strip_prefix("scenario ")).unwrap_or(step)
}
