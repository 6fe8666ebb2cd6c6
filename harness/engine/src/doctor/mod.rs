//! A target examined before anybody runs anything against it: each thing that a run needs is tried once, by one
//! client, and told with what came and what to do.
//!
//! Reads are free. What writes (a worker, one event, the worker's end) is tried only where that may be.

mod facts;
mod lines;
mod local;
mod profile;
mod target;

use std::sync::Arc;

use khala_plan::{Plan, Schedule};

pub use self::lines::{Came, Line};
pub use self::profile::{Fact, filled};
use crate::clock;
use crate::http::Http;
use crate::preflight;
use crate::reach::guard::Guard;
use crate::target::extras::Extras;
use crate::target::{Target, keys};

/// How to examine.
pub struct Options {
    /// What may be spoken to.
    pub guard: Arc<Guard>,
    /// Whether the target may be written to.
    pub writes: bool,
    /// Whether its time-outs are waited for: a minute and a half.
    pub waits: bool,
    /// Version of the tool, for the `User-Agent`.
    pub version: String,
    /// A name that no other run has, for the worker.
    pub id: String,
}

/// Examines the target of a plan, and whether this machine carries the plan; `told` has each line as it comes.
/// Whether all that a run needs is there.
pub async fn examine(
    plan: &Plan,
    schedule: &Schedule,
    options: &Options,
    told: &mut dyn FnMut(Line),
) -> bool {
    let mut sound = true;
    let mut told = |line: Line| {
        sound &= line.came != Came::Wrong;
        told(line);
    };
    if let Some(target) = ready(plan, schedule, options, &mut told).await {
        target::examine(plan, schedule, &target, options, &mut told).await;
    }
    local::examine(plan, schedule, &mut told);
    sound
}

/// The target by what the plan says of it; nobody is asked.
async fn ready(
    plan: &Plan,
    schedule: &Schedule,
    options: &Options,
    told: &mut dyn FnMut(Line),
) -> Option<Target> {
    let ways = match preflight::reached(plan, schedule, &options.guard) {
        Ok(ways) => ways,
        Err(error) => {
            told(Line::wrong("way", "what the scenario and the allow file say of it", &error));
            return None;
        }
    };
    let Some((reach, control)) = ways else {
        let what = "the target is the embedded runtime, which each run starts anew";
        told(Line::skipped("way", what, "name a target by --target"));
        return None;
    };
    let by = match reach.permit().entry() {
        None => "this machine".to_owned(),
        Some(entry) => format!(
            "by the entry of the allow file, until {}; its owner is {}",
            entry.expires, entry.owner
        ),
    };
    told(Line::good(
        "way",
        "what the scenario and the allow file say of it",
        format!("{}, {by}", reach.place().origin()),
    ));
    let opened = match Extras::of(plan) {
        Ok(extras) => keys::credentials(plan).await.map(|credentials| (extras, credentials)),
        Err(error) => Err(error),
    };
    match opened {
        Ok((extras, credentials)) => {
            let (base_url, socket_path) = (reach.place().origin(), plan.target.socket_path.clone());
            Some(Target { base_url, reach, control, socket_path, credentials, extras })
        }
        Err(error) => {
            let advice = "give it there, or name another place by its key (auth.secret, target.admin_token, …)";
            told(
                Line::wrong("secrets", "the secrets that the scenario names", &error)
                    .mended(advice),
            );
            target::reached(plan, &reach, &control, told).await;
            None
        }
    }
}

/// A client of HTTP for the examination.
fn http(plan: &Plan, target: &Target, options: &Options) -> Http {
    Http::new(&target.reach, &user_agent(options), plan.target.request_timeout)
        .carrying(target.extras.clone())
}

fn user_agent(options: &Options) -> String {
    format!("khala-harness/{} (doctor {})", options.version, options.id)
}

/// How long something took, to be read.
fn took(since: tokio::time::Instant) -> String {
    let ms = (clock::now() - since).as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}
