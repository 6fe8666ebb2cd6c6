//! A stage report as a document: the decision first, then what to do, then what it rests on.

mod blockers;
mod figures;
mod hold;
mod next;
mod record;

use khala_evidence::judge::Decision;

use crate::decide::Opened;
use crate::doc::{Block, Line, code, prose, strong, text};
use crate::report::StageReport;
use crate::untested::Untested;

/// The document of a report.
pub fn of(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(1, text(report.headline()))];
    blocks.push(Block::Para(strong(&report.statement)));
    blocks.extend(warnings(report));
    blocks.extend(next::next(report));
    blocks.extend(untested(report));
    blocks.extend(figures::gates(report));
    blocks.extend(blockers::plan(report));
    blocks.extend(blockers::issues(report));
    blocks.extend(report.hold.iter().flat_map(hold::hold));
    blocks.extend(figures::kpis(report));
    blocks.extend(figures::fanout(report));
    blocks.extend(record::steps(report));
    blocks.extend(record::evidence(report));
    blocks.extend(record::around(report));
    blocks
}

/// What is said where there would be figures.
const NO_RUN: &str = "No scenario was run";

fn heading(text: &str) -> Block {
    Block::Heading(2, prose(text))
}

/// What a reader must know before anything else.
fn warnings(report: &StageReport) -> Vec<Block> {
    let begun = &report.begun;
    let mut told: Vec<Line> = Vec::new();
    if begun.embedded {
        told.push(prose(
            "No canary was tested. The rollout file names no target, or the variable that it reads for it (such as \
             `KHALA_CANARY`) was not set, so that the embedded reference runtime stood in for it. Nothing here is of a \
             build that is to be rolled out.",
        ));
    }
    if begun.is_rehearsal() {
        told.push(prose("Rehearsal: a GO of it opens rehearsals alone."));
    }
    if let Some(planned) = begun.hold_planned_s {
        told.push(prose(&format!(
            "The hold was {}, in place of the {} that the stage asks for.",
            length(begun.hold_s),
            length(planned)
        )));
    }
    if !begun.set.is_empty() {
        let what = "Every scenario was run with these overrides of the command line: ";
        told.push(text(format!("{what}{}.", begun.set.join(", "))));
    }
    if let Opened::ByWord { reason, instead } = &report.opened {
        let what = prose(&format!("Without a GO of the stage before ({instead})"));
        told.push([what, text(format!(", by the owner's word: {reason}"))].concat());
    }
    if !begun.defects.is_empty() {
        let defects = begun.defects.join(", ");
        told.push(text(format!("The runtime was started with defects: {defects}.")));
    }
    for gap in &report.gaps_s {
        told.push(prose(&format!(
            "It was interrupted, and taken up again after {gap:.0} s, which nobody observed and which are not held."
        )));
    }
    for run in &report.runs {
        let of_it = || [text("Nobody planned, in "), code(&run.scenario), text(": ")].concat();
        told.extend(run.told.iter().map(|line| [of_it(), prose(&format!("{line}."))].concat()));
    }
    let waivers = |what: &'static str, waivers: &[String]| {
        waivers.iter().map(|it| text(format!("{what}: {it}"))).collect::<Vec<_>>()
    };
    told.extend(waivers("Passed over by a waiver", &report.waivers_used));
    told.extend(waivers("A waiver did not count", &report.waivers_unused));
    if told.is_empty() {
        return Vec::new();
    }
    vec![Block::List(false, told)]
}

/// What nobody tested, whatever was decided.
fn untested(report: &StageReport) -> Vec<Block> {
    if report.untested.is_empty() {
        return Vec::new();
    }
    let says = match report.decision {
        Decision::Go => "This GO says nothing of the following:",
        Decision::NoGo | Decision::Hold => "Whatever was found, nothing is known of the following:",
    };
    let row = |one: &Untested| vec![prose(&one.what), prose(&one.why), prose(&one.by)];
    let rows = report.untested.iter().map(row).collect();
    let table = Block::Table(vec!["not tested", "why", "what would test it"], rows);
    let heading = heading("What was not tested or checked");
    match report.decision {
        Decision::NoGo => {
            let what = format!("{} things that nothing is known of", report.untested.len());
            vec![heading, Block::Folded(what, vec![table])]
        }
        _ => vec![heading, Block::Para(prose(says)), table],
    }
}

/// Seconds as people say them.
fn length(seconds: u64) -> String {
    match seconds {
        s if s >= 3_600 && s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
