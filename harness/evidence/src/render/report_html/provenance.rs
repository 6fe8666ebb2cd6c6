//! Where it was run and how, and the commands to do it again.

use super::super::texts;
use super::super::units::count;
use super::html::Html;
use super::part;
use super::tables::{name, table};
use crate::report::RunReport;

pub fn write(html: &mut Html, report: &RunReport) {
    part(html, "provenance", |html| {
        table(html, "Where and how it was run", &[("What", false), ("Value", false)], |html| {
            for (what, value) in rows(report) {
                html.tag("tr", &[], |html| {
                    name(html, what);
                    html.tag("td", &[], |html| html.leaf("code", &[], &value));
                });
            }
        });
        html.leaf("h3", &[], "Again");
        html.tag("dl", &[("class", "again")], |html| {
            for Again { what, command, says } in commands(report) {
                html.leaf("dt", &[], what);
                html.tag("dd", &[], |html| html.leaf("code", &[], &command));
                if let Some(says) = says {
                    html.leaf("dd", &[], &says);
                }
            }
        });
    });
}

fn rows(report: &RunReport) -> Vec<(&'static str, String)> {
    let target = &report.target;
    let mut rows = vec![
        ("Run", report.run_id.clone()),
        ("Began", report.started_at.clone()),
        ("Ended", report.ended_at.clone()),
        ("Scenario", report.scenario.name.clone()),
    ];
    let mut row = |what, value: String| rows.push((what, value));
    if let Some(profile) = &report.scenario.profile {
        row("Profile", profile.clone());
    }
    row("Seed", report.scenario.seed.to_string());
    row("Target", format!("{} ({})", target.url, target.kind));
    if let Some(way) = &target.way {
        row("Reached", way.to_string());
    }
    row("Target's build", target.build.clone().unwrap_or_else(|| "not known".to_owned()));
    if let Some(sockets) = &target.sockets {
        row("Builds of its sockets", sockets.told());
    }
    row(
        "Defect in force",
        match target.defects.as_slice() {
            [] if target.kind == "url" => "not known".to_owned(),
            [] => "none".to_owned(),
            some => some.join(", "),
        },
    );
    if let Some(provenance) = &report.provenance {
        let host = &provenance.host;
        let memory = count(host.memory_mib);
        row(
            "Host",
            format!("{}, {} cores, {memory} MiB of memory, {}", host.name, host.cores, host.system),
        );
        if !provenance.command.is_empty() {
            row("Command line", texts::command(&provenance.command));
        }
        row("Scenario's SHA-256", provenance.scenario_sha256.clone());
    }
    let commit = report.tool.commit.as_deref().map(|commit| format!(" (commit {commit})"));
    row(
        "Made by",
        format!("{} {}{}", report.tool.name, report.tool.version, commit.unwrap_or_default()),
    );
    rows
}

/// A command that does something again.
struct Again {
    what: &'static str,
    command: String,
    /// What it says, where that is less than a reader may think.
    says: Option<String>,
}

/// The commands, for a reader in the bundle's folder.
fn commands(report: &RunReport) -> Vec<Again> {
    let plain = |what, command| Again { what, command, says: None };
    let whole = texts::whole(report, texts::HERE);
    let mut first = report.oracle.kept.iter();
    let alone = first.find_map(|one| texts::again(report, one, texts::HERE)).map(|command| Again {
        what: "With the first client alone for which a rule was broken",
        command,
        says: Some(texts::alone_says(report, texts::HERE).replace('`', "")),
    });
    let commands = [
        Some(plain("The same run, from this bundle's folder", whole)),
        alone,
        Some(plain(
            "Whether this folder is what the run wrote",
            "khala-harness verify .".to_owned(),
        )),
        Some(plain("This page, made again from the sources", "khala-harness report .".to_owned())),
    ];
    commands.into_iter().flatten().collect()
}
