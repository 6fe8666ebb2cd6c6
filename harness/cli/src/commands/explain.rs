//! `explain`: what befell one client of a run.

use anyhow::Context as _;
use khala_bundle::{Bundle, Evidence, Leftover, Reading};
use khala_evidence::render::story::ClientStory;

use crate::exit::{Exit, Failure};
use crate::show::quoted;
use crate::{args, output};

/// Tells the story of a client.
pub fn run(explain: &args::Explain) -> Result<Exit, Failure> {
    let (dir, client) = (&explain.dir, explain.client);
    let reading = Reading { client: Some(client), ..Reading::default() };
    let evidence = Bundle::open(dir)?.settle_with(reading, Leftover::default())?;
    let report = evidence.report();
    let Evidence { plan, schedule, .. } = &evidence;
    let at_end = evidence.client.as_ref();
    let bundle = quoted(&dir.display().to_string());
    let story =
        ClientStory::of(plan, schedule, &report, at_end, (client, &bundle)).ok_or_else(|| {
            let clients = schedule.arrivals.len();
            let known =
                format!("the run had {clients} clients, 0 to {}", clients.saturating_sub(1));
            Failure::new(Exit::Setup, format!("there is no client {client}: {known}"))
        })?;
    let text = if explain.json {
        serde_json::to_string(&story).context("cannot print the story")? + "\n"
    } else {
        story.render()
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}
