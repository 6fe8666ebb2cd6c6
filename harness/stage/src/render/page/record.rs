//! What it rests on: steps, evidence by digest, attempts, and how it was run.

use khala_evidence::judge::Verdict;

use super::{NO_RUN, heading};
use crate::command;
use crate::decide::Opened;
use crate::doc::{Block, Line, code, prose, strong, text};
use crate::report::{AttemptRow, StageReport, StepRow};

pub fn steps(report: &StageReport) -> Vec<Block> {
    let row = |step: &StepRow| {
        let verdict = step.verdict.map_or_else(
            || "–".to_owned(),
            |it| match it {
                Verdict::Inconclusive => "HOLD".to_owned(),
                it => it.to_string(),
            },
        );
        let tries = match (step.tries, step.interrupted.len()) {
            (_, 0) => step.tries.to_string(),
            (tries, cut) => format!("{tries}, {cut} interrupted"),
        };
        vec![
            prose(&step.step),
            strong(verdict),
            prose(step.began_at.as_deref().unwrap_or("–")),
            prose(&tries),
            prose(&format!("{:.1} s", step.took_s)),
            prose(&step.what),
        ]
    };
    let head = vec!["step", "verdict", "began (UTC)", "tries", "took", "what was seen"];
    let mut blocks = vec![
        heading("Steps"),
        Block::Table(head, report.steps.iter().map(row).collect()),
        Block::Para(prose(
            "`tries`: how often a step was begun, more than once only after an interruption. –: not run.",
        )),
    ];
    // What an issue has whole stands in it alone.
    let in_issue = |step: &StepRow| {
        let mut of_it = report.blockers.iter().filter(|blocker| blocker.step == step.step);
        of_it.any(|blocker| step.command.is_none() && blocker.details == step.lines)
    };
    for step in &report.steps {
        if in_issue(step) && !step.lines.is_empty() {
            blocks.push(Block::Para(strong(&step.step)));
            blocks.push(Block::Para(prose("What was seen stands in its blocker, above.")));
            continue;
        }
        if step.lines.is_empty() && step.command.is_none() && step.interrupted.is_empty() {
            continue;
        }
        blocks.push(Block::Para(strong(&step.step)));
        let interrupted = step.interrupted.iter().map(|it| format!("interrupted: `{it}`"));
        let lines: Vec<Line> =
            step.lines.iter().cloned().chain(interrupted).map(|line| prose(&line)).collect();
        if !lines.is_empty() {
            blocks.push(Block::List(false, lines));
        }
        blocks.extend(step.command.clone().map(Block::Verbatim));
    }
    blocks
}

pub fn evidence(report: &StageReport) -> Vec<Block> {
    let digest = |of: Option<&String>| of.map_or_else(|| prose("none: it was killed"), code);
    let mut rows: Vec<Vec<Line>> = report
        .runs
        .iter()
        .map(|run| {
            let manifest = digest(run.manifest_sha256.as_ref());
            vec![
                prose(&run.scenario),
                code(&run.bundle),
                manifest,
                prose(&run.decision.to_string()),
            ]
        })
        .collect();
    let segments = report.hold.iter().flat_map(|hold| &hold.segments);
    let known = |bundle: &str| report.runs.iter().any(|run| run.bundle == bundle);
    rows.extend(segments.filter(|one| !known(&one.bundle)).map(|one| {
        let what = format!("{}, {:.0} s observed", one.decision, one.observed_s);
        let manifest = digest(one.manifest_sha256.as_ref());
        vec![prose("part of the hold"), code(&one.bundle), manifest, prose(&what)]
    }));
    if rows.is_empty() {
        let why = format!(
            "{NO_RUN}, so that there is no bundle: what was found stands with the steps, above."
        );
        return vec![heading("Evidence"), Block::Para(prose(&why))];
    }
    let head = vec!["run", "bundle", "SHA-256 of its manifest", "it says"];
    vec![
        heading("Evidence"),
        Block::Para(prose(
            "A bundle is named by the digest of its manifest, which has the digest of every file: `khala-harness \
             verify DIR` checks both.",
        )),
        Block::Table(head, rows),
    ]
}

pub fn around(report: &StageReport) -> Vec<Block> {
    let begun = &report.begun;
    let opened = match &report.opened {
        Opened::First => "It is the first stage.".to_owned(),
        Opened::By { stage, at, report } => {
            format!("Opened by the GO of stage {stage} at {at} (`{report}`).")
        }
        Opened::ByWord { .. } => "Opened by the owner's word, see above.".to_owned(),
        Opened::Not { why, .. } => format!("Not opened: {why}."),
    };
    let commit = begun.tool_commit.as_deref().unwrap_or("not known");
    let lines = vec![
        [
            text(format!("Target: {}. ", begun.target)),
            prose(&format!("Builds that answered: {}.", report.builds)),
        ]
        .concat(),
        prose(&opened),
        prose(&format!("Began at {}, decided at {} (UTC).", report.began_at, report.decided_at)),
        [
            text("Rollout "),
            code(&begun.rollout),
            prose(&format!(", file of SHA-256 `{}`.", begun.rollout_sha256)),
        ]
        .concat(),
        [
            text(format!("khala-harness {} (commit {commit}): ", begun.tool_version)),
            code(command::line(&begun.command)),
        ]
        .concat(),
    ];
    let row = |one: &AttemptRow| {
        let is_this = one.attempt == begun.attempt;
        vec![
            prose(&format!("{}{}", one.attempt, if is_this { " (this)" } else { "" })),
            prose(&one.began_at),
            text(&one.owner),
            strong(&one.decision),
            code(&one.report),
        ]
    };
    let head = vec!["attempt", "began", "owner", "decision", "report"];
    vec![
        heading("Attempts of this stage and build"),
        Block::Para(prose("The last one counts: a later NO-GO or HOLD takes an earlier GO back.")),
        Block::Table(head, report.attempts.iter().map(row).collect()),
        heading("How it was run"),
        Block::List(false, lines),
    ]
}
