//! `summary.md`: the report for a pull request or a chat. Its first ten lines are for whoever decides, all
//! that follows is for those who have to find out why.

mod figures;
mod rules;

use std::fmt::Write as _;

use super::befell;
use super::beside;
use super::brief::{self, Brief};
use super::escape::{markdown_code as quoted, markdown_line as cell};
use super::reasons::{self, Reason};
use super::terminal::gates;
use super::texts::{self, HERE};
use super::units::{count, counted};
use super::{RenderError, Renderer};
use crate::judge::Verdict;
use crate::report::RunReport;

pub struct SummaryMd;

impl Renderer for SummaryMd {
    fn file_name(&self) -> &'static str {
        "summary.md"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut out = String::new();
        write(&mut out, report)
            .map_err(|error| RenderError { file: self.file_name(), why: error.to_string() })?;
        Ok(out.into_bytes())
    }
}

fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    brief(out, report)?;
    why(out, report)?;
    gates_table(out, report)?;
    rules::write(out, report)?;
    faults(out, report)?;
    figures::write(out, report)?;
    provenance(out, report)
}

fn brief(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let brief = Brief::of(report, Some(HERE));
    let how = match (report.finished, report.interrupted) {
        (false, _) => " (unfinished)",
        (true, true) => " (interrupted)",
        (true, false) => "",
    };
    writeln!(out, "# {}: {}{how}\n", report.decision, report.scenario.name)?;
    writeln!(out, "**{}**\n", cell(&brief.headline))?;
    for untested in brief::untested(report) {
        writeln!(out, "- **What was not tested.** {}", cell(&untested))?;
    }
    writeln!(out, "- **What was tried.** {}", cell(&brief.tried))?;
    writeln!(out, "- **What users would have seen.** {}", cell(&brief.users))?;
    if let Some(since) = &brief.since {
        writeln!(out, "- **Since when, and whom it befell.** {}", cell(since))?;
    }
    writeln!(out, "- **Whether the test is to blame.** {}", cell(&brief.own_fault))?;
    writeln!(out, "- **What to do next.** {}", cell(&brief.next))?;
    match brief.cautions.as_slice() {
        [] => Ok(()),
        cautions => writeln!(out, "- **What to bear in mind.** {}", cell(&cautions.join(" "))),
    }
}

/// What befell the run, what it did not judge, and each reason once but for the rules that are broken.
fn why(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let befell = befell::lines(report);
    let mut skipped = befell::not_applicable(report);
    if !brief::untested(report).is_empty() {
        skipped.clear();
    }
    let reasons = reasons::all(report);
    if !(befell.is_empty() && skipped.is_empty() && reasons.is_empty()) {
        writeln!(out, "\n## What befell it, and why\n")?;
    }
    for line in &befell {
        writeln!(out, "- **{}**", cell(line))?;
    }
    for Reason { verdict, why, of } in &reasons {
        let of = of.join(", ");
        match verdict {
            Some(verdict) => writeln!(out, "- {verdict} {}: {}", cell(&of), cell(why))?,
            None if of.is_empty() => writeln!(out, "- {}", cell(why))?,
            None => writeln!(out, "- {}; so undecided: {}", cell(why), cell(&of))?,
        }
    }
    for line in &skipped {
        writeln!(out, "- {}", cell(line))?;
    }
    Ok(())
}

fn gates_table(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "\n## Gates\n")?;
    writeln!(out, "| gate | objective | verdict | n | estimate | why |")?;
    writeln!(out, "| --- | --- | --- | ---: | ---: | --- |")?;
    for gate in &report.gates {
        if !gate.judged {
            writeln!(out, "| {} | | not judged | | | not named by this profile |", gate.name)?;
        }
        if gate.advisory && gate.judged {
            writeln!(out, "| {} | | *advisory* | | | decides nothing |", gate.name)?;
        }
        for objective in gates::shown(gate) {
            let note = beside::objective(objective);
            let why = match objective.verdict {
                Verdict::Pass | Verdict::NotApplicable => objective.reason.clone(),
                _ if reasons::is_of_a_broken_rule(objective) => "see [Rules](#rules)".to_owned(),
                _ => note.unwrap_or_else(|| "as above".to_owned()),
            };
            writeln!(
                out,
                "| {} | `{}` {} | {} | {} | {} | {} |",
                gate.name,
                reasons::name(objective),
                cell(&objective.require),
                objective.verdict,
                count(objective.n),
                texts::estimate(objective),
                cell(&why),
            )?;
        }
        for clean in gates::clean(gate) {
            writeln!(out, "| {} | {clean} | PASS | | | |", gate.name)?;
        }
    }
    if let Some(reach) = texts::reach(report) {
        writeln!(out, "\n*{}*{}.", &reach[..5], &reach[5..])?;
    }
    Ok(())
}

fn faults(out: &mut String, report: &RunReport) -> std::fmt::Result {
    if report.faults.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Faults, planned against effective\n")?;
    writeln!(out, "| fault | phase | at | planned | effective |")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: |")?;
    for fault in &report.faults {
        writeln!(
            out,
            "| {} {} | {} | {} | {} | {} |",
            fault.id,
            fault.kind,
            fault.phase,
            super::units::duration(fault.at_us),
            count(fault.planned),
            beside::effective(report, fault),
        )?;
    }
    writeln!(out)?;
    for fault in &report.faults {
        let mut proof = beside::fault(report, fault);
        if let Some(exposure) = report.exposures.get(&fault.id) {
            let _ = write!(
                proof,
                "; each client had at least {} of each topic before it, and {} after",
                counted(exposure.before_min, "delivery", "deliveries"),
                count(exposure.after_min)
            );
        }
        writeln!(out, "- {} {}: {}", fault.id, fault.kind, cell(&proof))?;
    }
    let commands = report.faults.iter().flat_map(|fault| &fault.commands);
    for run in commands {
        writeln!(out, "- {}", cell(&run.told()))?;
    }
    writeln!(
        out,
        "\nConnects: {} in all, {}/s at the peak. Most sockets open at once: {}.",
        count(report.fleet.connects),
        count(report.fleet.connects_peak_per_s),
        count(report.fleet.clients_peak)
    )
}

/// Where it was run and how, so that somebody else can do the same.
fn provenance(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let target = &report.target;
    let profile = report.scenario.profile.as_deref().map(|name| format!(", profile `{name}`"));
    writeln!(out, "\n## Provenance\n\n| what | |\n| --- | --- |")?;
    let mut row = |what: &str, value: &str| writeln!(out, "| {what} | {value} |");
    row("run", &format!("`{}`, started {} (UTC)", report.run_id, report.started_at))?;
    row(
        "scenario",
        &format!("{}{}", cell(&report.scenario.name), cell(&profile.unwrap_or_default())),
    )?;
    row("seed", &report.scenario.seed.to_string())?;
    row("target", &format!("`{}` ({})", cell(&target.url), cell(&target.kind)))?;
    if let Some(way) = &target.way {
        row("reached", &cell(&way.to_string()))?;
    }
    let build = target.build.as_deref().map_or_else(|| "not known".to_owned(), quoted);
    row("target's build", &build)?;
    if let Some(sockets) = &target.sockets {
        row("builds of its sockets", &cell(&sockets.told()))?;
    }
    let defects = match target.defects.as_slice() {
        [] if target.kind == "url" => "not known".to_owned(),
        [] => "none".to_owned(),
        some => quoted(&some.join(", ")),
    };
    row("defect in force", &defects)?;
    if let Some(provenance) = &report.provenance {
        let host = &provenance.host;
        let memory = count(host.memory_mib);
        row(
            "host",
            &format!(
                "`{}`, {} cores, {memory} MiB of memory, {}",
                cell(&host.name),
                host.cores,
                cell(&host.system)
            ),
        )?;
        if !provenance.command.is_empty() {
            row("command line", &quoted(&texts::command(&provenance.command)))?;
        }
        row("scenario's SHA-256", &format!("`{}`", provenance.scenario_sha256))?;
    }
    let commit = report.tool.commit.as_deref().map(|commit| format!(" (commit {})", cell(commit)));
    let commit = commit.unwrap_or_default();
    row("made by", &format!("{} {}{commit}", report.tool.name, report.tool.version))
}
