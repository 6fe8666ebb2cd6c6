//! What blocks, as issues to be pasted, and the plan.

use super::heading;
use crate::doc::{Block, prose, strong, text};
use crate::remedy::Blocker;
use crate::report::StageReport;

pub fn plan(report: &StageReport) -> Vec<Block> {
    if report.plan.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        heading("Remediation plan"),
        Block::Para(prose("In the runbook's order, drawn from the objectives that failed.")),
    ];
    for (step, number) in report.plan.iter().zip(1..) {
        let needed = if step.needed { "do it" } else { "not now" };
        let line = format!("{number}. {}: {needed}", step.name);
        blocks.push(Block::Para(strong(line)));
        let mut items = vec![prose(&format!("Why: {}", step.why))];
        items.extend(step.actions.iter().map(|action| prose(action)));
        blocks.push(Block::List(false, items));
    }
    blocks
}

pub fn issues(report: &StageReport) -> Vec<Block> {
    if report.blockers.is_empty() {
        return Vec::new();
    }
    let build = report.begun.build.as_deref().unwrap_or("not stated");
    let whom = report.escalation.as_deref().unwrap_or("your tracker");
    let to = text(format!("An issue each, ready to be pasted into: {whom}."));
    let mut blocks = vec![heading("Blockers"), Block::Para(to)];
    for blocker in &report.blockers {
        blocks.push(Block::Verbatim(issue(report, blocker, build)));
    }
    blocks
}

fn issue(report: &StageReport, blocker: &Blocker, build: &str) -> String {
    let Blocker { claim, measured, bound, reason, evidence, again, .. } = blocker;
    let objectives = blocker.objectives().collect::<Vec<_>>().join("; the same as ");
    let why = if reason == measured { String::new() } else { format!("Why: {reason}\n") };
    let seen: String = blocker.details.iter().map(|line| format!("- {line}\n")).collect();
    let seen = if seen.is_empty() { seen } else { format!("Seen:\n{seen}") };
    let next = blocker.next.as_ref().map_or_else(String::new, |it| format!("To do: {it}\n"));
    let bound = if bound.is_empty() { String::new() } else { format!("95 % bounds: {bound}\n") };
    let again = if again.is_empty() { String::new() } else { format!("Shown again by: {again}\n") };
    let digest = report.runs.iter().find(|run| evidence.starts_with(&run.bundle));
    let digest = digest.and_then(|run| run.manifest_sha256.as_ref());
    let digest = digest.map_or_else(String::new, |it| format!(" (manifest sha256 {it})"));
    format!(
        "{}\n\nBlocks stage {} ({}) for build {build} on {}.\n\nObjective: {objectives}\nMust hold: {claim}\n\
         Measured: {measured}\n{bound}{why}{seen}{next}Evidence: {evidence}{digest}\n{again}Owner of the decision: \
         {}, {}\n",
        blocker.title(&report.begun.stage, build),
        report.begun.stage,
        report.stage_name,
        report.begun.target,
        report.begun.owner,
        report.decided_at,
    )
}
