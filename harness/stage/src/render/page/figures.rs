//! What was measured: by gate, by run, and by the target itself.

use super::{NO_RUN, heading};
use crate::doc::{Block, Line, code, prose, strong};
use crate::evidence::{KPIS_MAX, Kpi, RunSummary, Whole};
use crate::report::{GateRow, StageReport};

pub fn gates(report: &StageReport) -> Vec<Block> {
    let rows = report.gates.iter().map(|gate| {
        let verdict = gate.verdict.map_or_else(|| "not judged".to_owned(), |it| it.to_string());
        let verdict = match gate.untested {
            0 => verdict,
            more => format!("{verdict}, {more} not tested"),
        };
        let needed = if gate.must_apply { "yes" } else { "" };
        let by = gate.by.join(", ");
        vec![code(&gate.gate), strong(verdict), prose(needed), prose(&by), values(gate)]
    });
    let head = vec!["gate", "verdict", "must apply", "judged by", "measured, with 95 % bounds"];
    let mut blocks = vec![heading("Gates")];
    if report.runs.is_empty() {
        blocks.push(Block::Para(prose(&format!("{NO_RUN}, so that no gate was judged."))));
    }
    blocks.push(Block::Table(head, rows.collect()));
    blocks.push(Block::Para(prose(
        "`must apply`: without it the stage is no GO. `judged by`: the scenarios that judged it, each with its verdict; the \
         worst one counts. Figures: what fails first; all of them stand under the KPI snapshots.",
    )));
    blocks
}

/// Objectives of a gate in its row.
const VALUES_MAX: usize = 3;

fn values(gate: &GateRow) -> Line {
    let told = gate.objectives.iter().take(VALUES_MAX).map(|row| {
        let bound = if row.bound.is_empty() { String::new() } else { format!(" ({})", row.bound) };
        let name = row.name();
        format!("{name}: {}{bound}, must be {}", row.measured, claim(&row.require))
    });
    let mut told: Vec<String> = told.collect();
    match gate.objectives.len().saturating_sub(VALUES_MAX) {
        0 => {}
        more => told.push(format!("{more} more below")),
    }
    prose(&told.join("; "))
}

/// A claim as prose has it: no backtick of its own.
fn claim(require: &str) -> String {
    format!("`{}`", require.replace('`', "'"))
}

pub fn kpis(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![heading("KPI and SLO snapshots")];
    blocks.push(Block::Para(prose(&match report.runs.is_empty() {
        true => format!("{NO_RUN}, so that there are no figures."),
        false => "Updates judged: every update that a client received, replayed ones as well, held against the contract by the \
                  oracle. `delivery` times only what came live in the phases that are measured, so that its n is smaller."
            .to_owned(),
    })));
    // Of a hold in several runs the figures are those of all of them.
    let several = report.hold.as_ref().filter(|hold| hold.segments.len() > 1);
    let is_part = |run: &RunSummary| {
        let mut segments = several.iter().flat_map(|hold| &hold.segments);
        segments.any(|segment| segment.bundle == run.bundle)
    };
    for run in report.runs.iter().filter(|run| !is_part(run)) {
        blocks.push(Block::Para(strong(format!(
            "{}: {}, {} clients, {} updates judged, {:.0} s",
            run.scenario, run.decision, run.clients_peak, run.deliveries, run.duration_s
        ))));
        blocks.push(Block::Para([prose("Made by "), code(&run.command)].concat()));
        blocks.extend(objectives(report, &run.scenario));
        blocks.push(figures(&run.kpis));
    }
    if let Some(hold) = several {
        let Whole { duration_s, clients_peak, deliveries, .. } = hold.whole;
        blocks.push(Block::Para(strong(format!(
            "the whole hold, {} runs: {clients_peak} clients, {deliveries} updates judged, {duration_s:.0} s",
            hold.segments.len()
        ))));
        if let Some(last) = report.runs.iter().rfind(|run| is_part(run)) {
            blocks.push(Block::Para(
                [prose("The last of them made by "), code(&last.command)].concat(),
            ));
        }
        blocks.push(figures(&hold.whole.kpis));
    }
    blocks
}

/// What the gates claimed of a run, with what was measured.
fn objectives(report: &StageReport, run: &str) -> Option<Block> {
    let of_gates =
        report.gates.iter().flat_map(|gate| gate.objectives.iter().map(move |row| (gate, row)));
    let rows: Vec<Vec<Line>> = of_gates
        .filter(|(_, row)| row.run == run)
        .map(|(gate, row)| {
            vec![
                code(&gate.gate),
                prose(&row.name()),
                code(&row.require),
                prose(&row.measured),
                prose(&row.bound),
                prose(&row.n.to_string()),
                strong(row.verdict.to_string()),
            ]
        })
        .collect();
    let head = vec!["gate", "objective", "must hold", "measured", "95 % bounds", "n", "verdict"];
    (!rows.is_empty()).then_some(Block::Table(head, rows))
}

fn figures(kpis: &[Kpi]) -> Block {
    let rows = kpis.iter().map(|kpi| {
        vec![
            code(&kpi.metric),
            prose(&kpi.phase),
            prose(&kpi.surface),
            prose(&kpi.n.to_string()),
            prose(&kpi.figure),
        ]
    });
    let table = Block::Table(vec!["metric", "phase", "surface", "n", "figure"], rows.collect());
    let what = match kpis.len() {
        KPIS_MAX => {
            format!("Figures by phase and surface (the first {KPIS_MAX}; all are in the bundle)")
        }
        all => format!("Figures by phase and surface ({all})"),
    };
    Block::Folded(what, vec![table])
}

pub fn fanout(report: &StageReport) -> Vec<Block> {
    let with: Vec<(&RunSummary, _)> =
        report.runs.iter().filter_map(|run| Some((run, run.fanout.as_ref()?))).collect();
    let mut blocks = vec![heading("Fan-out metrics")];
    if with.is_empty() {
        blocks.push(Block::Para(prose(&match report.runs.is_empty() {
            true => format!("{NO_RUN}, so that nobody asked for them."),
            false => "The target showed none.".to_owned(),
        })));
        return blocks;
    }
    blocks.push(Block::Para(prose(
        "Of `GET /internal/v1/khala/fanout/metrics?topic_limit=20`; each snapshot is in the bundle's `metrics/`. \
         At the end: the topics were dry, the clients still there or just going. Clients gone: every one of ours had left, so \
         that consumers beyond the number before the run are others', or leak.",
    )));
    let number =
        |value: Option<u64>| prose(&value.map_or_else(|| "–".to_owned(), |it| it.to_string()));
    let rows = with.iter().flat_map(|(run, fanout)| {
        fanout.lines.iter().map(|line| {
            vec![
                prose(&run.scenario),
                code(&line.name),
                number(line.before),
                number(line.during),
                number(line.after),
                number(line.left),
                number(line.clients),
            ]
        })
    });
    let head =
        vec!["run", "metric", "before", "most during", "at the end", "clients gone", "clients saw"];
    blocks.push(Block::Table(head, rows.collect()));
    let against: Vec<_> = with.iter().flat_map(|(_, fanout)| &fanout.contradictions).collect();
    blocks.push(match against[..] {
        [] => Block::Para(prose("Target and clients do not contradict each other.")),
        _ => Block::List(false, against.into_iter().map(|line| prose(line)).collect()),
    });
    blocks
}
