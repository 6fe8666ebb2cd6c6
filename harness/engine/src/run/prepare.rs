//! What is done before the first client arrives: the target is started or resolved and asked whether it
//! speaks Khala, the workers are created.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use khala_plan::Plan;
use khala_plan::fault::Need;
use khala_plan::model::{FirstSubscribe, RAMP, TargetKind};
use khala_plan::schedule::Schedule;
use khala_wire::topic::TopicId;

use super::Options;
use crate::command::Redactor;
use crate::error::SetupError;
use crate::fault::Hooks;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer};
use crate::preflight::heads::Learnt;
use crate::publisher::Created;
use crate::reach::Reach;
use crate::target::Target;
use crate::target::child::{Recipe, Reference};
use crate::target::extras::Extras;
use crate::target::lock::Lock;
use crate::{preflight, publisher, target};

/// How long the name of a target may take to be looked up.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// What commands of the user's run with, where they may.
pub(super) fn hooks(plan: &Plan, target: &Target, options: &Options) -> Option<Arc<Hooks>> {
    let folder = options.hooks_in.clone()?;
    let secrets = target.credentials.secrets().into_iter();
    let secrets = secrets.chain(target.extras.secrets().map(|secret| secret.as_bytes().to_vec()));
    let redactor = Redactor::of_environment(secrets);
    let declared = plan.phases.iter().map(|phase| phase.name.clone());
    let phases = std::iter::once(RAMP.to_owned()).chain(declared).collect();
    let run_id = options.run_id.clone();
    Some(Arc::new(Hooks { folder, run_id, phases, redactor }))
}

/// A target that may be spoken to.
pub(super) struct Readied {
    /// The process, where it is the embedded runtime.
    pub(super) reference: Option<Reference>,
    pub(super) target: Target,
    /// Held for the run.
    pub(super) lock: Option<Lock>,
}

pub(super) async fn prepare_target(
    plan: &Plan,
    schedule: &Schedule,
    options: &Options,
) -> Result<Readied, SetupError> {
    let extras = Extras::of(plan)?;
    match &plan.target.kind {
        TargetKind::Reference { defects, topics } => {
            let recipe = Recipe {
                command: options.reference_command.clone(),
                defects: defects.clone(),
                seed: plan.seed,
                topics: topics.clone(),
                slow_consumer: plan.target.slow_consumer,
                keeps_state: needs_a_process(plan),
            };
            let reference = Reference::start(&recipe).await?;
            let base_url = reference.base_url.clone();
            let reach = Reach::here(&base_url)?;
            let credentials = reference.credentials.clone();
            let socket_path = plan.target.socket_path.clone();
            let control = reach.clone();
            let target = Target { base_url, reach, control, socket_path, credentials, extras };
            Ok(Readied { reference: Some(reference), target, lock: None })
        }
        TargetKind::Url { .. } => {
            let Some((reach, control)) = preflight::reached(plan, schedule, &options.guard)? else {
                return Err(SetupError::Generator(io::Error::other("a target without a url")));
            };
            let base_url = reach.place().origin();
            let writes = !plan.loads.is_empty();
            if writes && !plan.target.exclusive && !options.allow_shared_writes {
                return Err(SetupError::SharedWrites { url: base_url });
            }
            let socket_path = plan.target.socket_path.clone();
            let credentials = target::keys::credentials(plan).await?;
            preflight::address(&control, ADDRESS_TIMEOUT).await?;
            let lock = match preflight::address(&reach, ADDRESS_TIMEOUT).await? {
                // Beside whoever else is there, it only listens.
                _ if plan.is_passive() => None,
                Some(address) => Some(target::lock::take(address)?),
                None => None,
            };
            let target = Target { base_url, reach, control, socket_path, credentials, extras };
            Ok(Readied { reference: None, target, lock })
        }
    }
}

/// Whether a fault needs the target to be a process of the harness's own.
fn needs_a_process(plan: &Plan) -> bool {
    let mut faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    faults.any(|fault| fault.kind.needs(Need::OwnProcess))
}

/// What a run has when its target is ready.
pub(super) struct Prepared {
    pub(super) http: Http,
    pub(super) workers: Vec<String>,
    /// What the creation of the workers came to.
    pub(super) created: Created,
    pub(super) build: Result<Option<String>, String>,
    /// What the target does not give.
    pub(super) lacks: Vec<String>,
    /// Where the clients' first subscribes resume; empty where they begin at the start.
    pub(super) heads: Vec<(TopicId, u64)>,
}

/// Tells before the load what the target does not give.
fn tell_lacks(lacks: &[String], observer: &mut dyn Observer) {
    for what in lacks {
        let kind = EventKind::TargetLacks { what: what.clone() };
        observer.event(&Event { at_us: 0, kind });
    }
}

pub(super) async fn prepare(
    plan: &Plan,
    schedule: &Schedule,
    target: &Target,
    user_agent: &str,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Prepared, SetupError> {
    preflight::speaks_khala(plan, target, user_agent).await?;
    let ready = EventKind::TargetReady { url: target.base_url.clone() };
    observer.event(&Event { at_us: 0, kind: ready });
    let http = Http::new(&target.reach, user_agent, plan.target.request_timeout)
        .carrying(target.extras.clone());
    let mut lacks = match plan.target.kind {
        TargetKind::Reference { .. } => Vec::new(),
        TargetKind::Url { .. } => {
            preflight::lacks::of(plan, schedule, target, &http, user_agent).await
        }
    };
    tell_lacks(&lacks, observer);
    let build = target::build::learn(plan, &http, &options.version).await;
    let workers = publisher::worker_names(plan, &options.run_id);
    let created =
        publisher::create_workers(plan, target, &http, &workers).await.map_err(|error| {
            SetupError::Workers {
                mend: preflight::mend_worker(plan, error.status()),
                why: error.to_string(),
            }
        })?;
    let heads = match plan.fleet.first_subscribe {
        FirstSubscribe::FromStart => Vec::new(),
        FirstSubscribe::FromNow => match preflight::heads::learn(plan, target, user_agent).await? {
            Learnt::Heads(heads) => heads,
            Learnt::Ended(why) => {
                let what = format!(
                    "the target does not let a client replay its past, which fleet.first_subscribe = \
                     \"from-now\" needs once ({why}): everybody's first subscribe is from the start, and judged"
                );
                tell_lacks(std::slice::from_ref(&what), observer);
                lacks.push(what);
                Vec::new()
            }
        },
    };
    Ok(Prepared { http, workers, created, build, lacks, heads })
}
