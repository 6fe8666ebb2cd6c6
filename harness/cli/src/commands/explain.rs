//! `explain`: what befell one client of a run.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_bundle::{Bundle, Evidence, LATEST, Leftover, Reading};
use khala_evidence::render::story::{self, ClientStory};
use khala_evidence::report::RunReport;

use crate::exit::{Exit, Failure};
use crate::show::quoted;
use crate::{args, output};

/// Tells the story of a client, or of one violation.
pub fn run(explain: &args::Explain) -> Result<Exit, Failure> {
    let dir = &explain.dir;
    let bundle = Bundle::open(dir)?;
    let client = match (explain.client, explain.violation) {
        (Some(client), _) => client,
        (None, Some(number)) => {
            let report = bundle.settle()?.report();
            match story::client_of(&report, number) {
                Some(client) => client,
                None => return no_client(&report, number, explain.json),
            }
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "name a client or a violation")),
    };
    let reading = Reading { client: Some(client), ..Reading::default() };
    let evidence = bundle.settle_with(reading, Leftover::default())?;
    let report = evidence.report();
    let Evidence { plan, schedule, .. } = &evidence;
    let at_end = evidence.client.as_ref();
    let bundle = quoted(&lasting(dir).display().to_string());
    let mut story = ClientStory::of(plan, schedule, &report, at_end, (client, &bundle))
        .ok_or_else(|| {
            let clients = schedule.arrivals.len();
            let known =
                format!("the run had {clients} clients, 0 to {}", clients.saturating_sub(1));
            Failure::new(Exit::Usage, format!("there is no client {client}: {known}"))
        })?;
    story = story.with_not_kept(&evidence.settled.tally);
    if let Some(number) = explain.violation {
        story = story.with_only(number).ok_or_else(|| no_such(&report, number, Some(client)))?;
    }
    let text = if explain.json {
        serde_json::to_string(&story).context("cannot print the story")? + "\n"
    } else {
        story.render()
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

/// The folder's own name where `latest` is named: commands that are typed later must not mean another run.
fn lasting(dir: &Path) -> PathBuf {
    let is_latest = dir.file_name().is_some_and(|name| name == LATEST);
    let leads_to = is_latest.then(|| std::fs::read_link(dir).ok()).flatten();
    leads_to.map_or_else(|| dir.to_owned(), |to| dir.with_file_name(to))
}

/// Tells of a violation that concerns no client.
fn no_client(report: &RunReport, number: usize, json: bool) -> Result<Exit, Failure> {
    let (Some(one), Some(text)) = (story::numbered(report, number), story::alone(report, number))
    else {
        return Err(no_such(report, number, None));
    };
    let text = if json {
        serde_json::to_string(&one).context("cannot print the violation")? + "\n"
    } else {
        text
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

fn no_such(report: &RunReport, number: usize, client: Option<u32>) -> Failure {
    let kept = report.oracle.kept.len();
    let whose = client.map(|client| format!(" of client {client}")).unwrap_or_default();
    let known = format!("violations.ndjson has {kept}, numbered from 1");
    Failure::new(Exit::Usage, format!("there is no violation {number}{whose}: {known}"))
}
