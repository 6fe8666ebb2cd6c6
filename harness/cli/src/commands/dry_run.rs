//! `run --dry-run`: what would be sent where, and whether a run so begun would be refused, in the words and with the code
//! of `run`; nothing is sent, nobody is asked.

use std::fmt::Write as _;

use khala_engine::command;
use khala_engine::preflight;
use khala_engine::reach::Reach;
use khala_plan::model::Mint;
use khala_plan::{Plan, Schedule};
use khala_wire::command::{TOKEN_PATH, WORKERS_PATH};
use khala_wire::metrics::METRICS_PATH;

use super::refusals;
use super::run::Loaded;
use crate::exit::{Exit, Failure};
use crate::{args, output};

/// Tells what a run would send, and for what it would not begin.
///
/// # Errors
/// With all that it would be refused for.
pub fn tell(run: &args::Run, loaded: &Loaded) -> Result<Exit, Failure> {
    let Loaded { plan, schedule, guard } = loaded;
    let refused = refusals::of(plan, schedule, guard, &run.start);
    refusals::warn(&refusals::in_vain(plan, &run.scenario, &run.start));
    // Where nothing may be sent to, nothing is to be told of it but that, which is among what it is refused for.
    if let Ok(ways) = preflight::reached(plan, schedule, guard) {
        let told = command::told_plan(plan);
        output::print(text(&told, schedule, ways.as_ref()).as_bytes())?;
    }
    refusals::together(&refused).map(|()| Exit::Go)
}

fn text(plan: &Plan, schedule: &Schedule, ways: Option<&(Reach, Reach)>) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{text}");
    };
    line(format!("{}: nothing was sent, and nobody was asked. A run would send", plan.name));
    let runtime = match ways {
        None => "the embedded reference runtime, on this machine".to_owned(),
        Some((runtime, _)) => place(runtime),
    };
    line(format!("  to {runtime}"));
    line(format!(
        "    {} clients, a connect each and one more for each time that a fault or the target ends it ({})",
        schedule.arrivals.len(),
        plan.target.socket_path
    ));
    for load in &plan.loads {
        let sent = match plan.target.command.as_slice() {
            [] => format!("POST {WORKERS_PATH}/…"),
            words => {
                format!("whatever this command sends for each command, which is its own: {words:?}")
            }
        };
        line(format!("    {sent}, {}/s over {} workers", load.rate_per_s, load.workers));
    }
    line(format!(
        "    {} commands in all, {} in the busiest second",
        schedule.publishes.len(),
        schedule.most_publishes_in_a_second()
    ));
    line(format!("    GET {METRICS_PATH} each second, where the target has it"));
    if let (Mint::Control { .. }, Some((_, control))) = (&plan.auth.mint, ways) {
        line(format!("  to {}", place(control)));
        line(format!("    POST {TOKEN_PATH} before every connect"));
    }
    let hooks = plan.phases.iter().flat_map(|phase| &phase.faults);
    let hooks = hooks.flat_map(|fault| fault.kind.commands());
    for (_, words) in hooks {
        line(format!("  whatever this command sends, which is its own: {words:?}"));
    }
    out
}

/// Where a way leads, what is between, and by whose leave.
fn place(way: &Reach) -> String {
    let mut out = way.place().origin();
    if let Some(proxy) = way.proxy() {
        out.push_str(&format!(", through the proxy {proxy}"));
    }
    match way.permit().entry() {
        None => out.push_str(", this machine"),
        Some(entry) => out.push_str(&format!(
            ", by the entry for {} in the allow file: {} clients, {} connects and {} writes a second, until {}; \
             its owner is {}",
            entry.name,
            entry.clients,
            entry.connects_per_second,
            entry.messages_per_second,
            entry.expires,
            entry.owner
        )),
    }
    out
}
