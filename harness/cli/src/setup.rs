//! What a plan needs of this machine and of whoever starts it, found before anything is sent to a target:
//! `run` refuses to begin without it, and `check` says the same in the same words
//! ([`refusals`](crate::commands::refusals)).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use khala_engine::command::{self, Place, Redactor};
use khala_engine::error::SetupError;
use khala_engine::preflight;
use khala_engine::reach::guard::Guard;
use khala_engine::target::{extras::Extras, keys};
use khala_plan::Schedule;
use khala_plan::estimate::source_ports;
use khala_plan::model::{Plan, TargetKind};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::exit::{Exit, Failure};

/// How long the name of a target may take to be looked up.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

/// For what this machine cannot carry a plan, and whether its target may be spoken to: all of it. A name that may be is
/// looked up; nothing is sent to where it leads. Each ends with 100.
pub fn of_machine(plan: &Plan, schedule: &Schedule, guard: &Guard) -> Vec<Failure> {
    let setup = |error: SetupError| Failure::new(Exit::Setup, error);
    let asked = [
        preflight::descriptors(plan).map(drop).map_err(setup),
        preflight::sources(plan).map_err(setup),
        enough_ports(plan, schedule),
        may_be_reached(plan, schedule, guard),
        match Extras::of(plan) {
            // Whoever starts it has to give what it names: that is told with all else that is missing.
            Ok(_) | Err(SetupError::Secret { .. }) => Ok(()),
            Err(error) => Err(setup(error)),
        },
    ];
    asked.into_iter().filter_map(Result::err).collect()
}

/// Refuses a target that may not be spoken to, or has no address.
fn may_be_reached(plan: &Plan, schedule: &Schedule, guard: &Guard) -> Result<(), Failure> {
    let refused = |error: SetupError| Failure::new(Exit::Setup, error);
    let Some((runtime, control)) = preflight::reached(plan, schedule, guard).map_err(refused)?
    else {
        return Ok(());
    };
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let threads = threads.context("cannot start a runtime")?;
    let found = threads.block_on(async {
        preflight::address(&runtime, LOOK_UP_WITHIN).await?;
        preflight::address(&control, LOOK_UP_WITHIN).await
    });
    // A look-up that hangs is not waited for.
    threads.shutdown_background();
    found.map(drop).map_err(refused)
}

/// Refuses evidence that could not be kept: a run without evidence is no run.
pub fn no_evidence(error: khala_bundle::Error) -> Failure {
    let help = match error.is_no_room() {
        true => "make room, or name a folder where there is some with --out-dir",
        false => "name a folder that can be written to with --out-dir",
    };
    Failure::new(Exit::Setup, format!("{error}; nothing was sent: {help}"))
}

/// The folder of a file.
pub fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Refuses a plan whose secrets a command tells, with what to do.
///
/// # Errors
/// When there is one.
pub fn no_secret_commands(plan: &Plan, advice: &str) -> Result<(), Failure> {
    let told = command::told_plan(plan).secret_told_by_command(advice);
    told.map_or(Ok(()), |what| Err(Failure::new(Exit::Usage, what)))
}

/// Asks the commands that tell the plan's secrets, before anything of the plan is told or kept. They may be run; what is
/// interrupted is left to who needs them.
///
/// # Errors
/// When one of them tells nothing.
pub fn learn_secrets(plan: &Plan, interrupt: &CancellationToken) -> Result<(), Failure> {
    if plan.secret_commands().is_empty() {
        return Ok(());
    }
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let threads = threads.context("cannot start a runtime")?;
    let learnt = threads.block_on(interrupt.run_until_cancelled(keys::learn(plan)));
    threads.shutdown_background();
    learnt.unwrap_or(Ok(())).map_err(|error| Failure::new(Exit::Setup, error))
}

/// Refuses a plan for whose sockets there are too few source ports.
fn enough_ports(plan: &Plan, schedule: &Schedule) -> Result<(), Failure> {
    let (needed, available) = source_ports(plan, schedule);
    if needed <= available {
        return Ok(());
    }
    let what = format!(
        "the plan needs about {needed} source ports and there are {available}: add to \
         generator.source_addresses, such as `127.0.0.2`"
    );
    Err(Failure::new(Exit::Setup, what))
}

/// What is missing for a run, a sentence each.
#[derive(Debug, Default)]
pub struct Missing {
    /// Without it nothing begins.
    pub needed: Vec<String>,
    /// Only a target that asks for it needs it.
    pub perhaps: Vec<String>,
}

impl Missing {
    /// What is missing; `allow_shared_writes` as the flag of `run`.
    pub fn of(plan: &Plan, allow_shared_writes: bool) -> Self {
        let mut needed: Vec<_> = keys::missing(plan).iter().map(ToString::to_string).collect();
        needed.extend(no_writer(plan));
        needed.extend(shared_writes(plan).into_iter().filter(|_| !allow_shared_writes));
        Self { needed, perhaps: keys::not_given(plan) }
    }

    /// Flags that a run wants and that are not given, with why.
    pub fn flags(plan: &Plan, allow_hooks: bool, allow_shared_writes: bool) -> Vec<String> {
        let mut phases = plan.phases.iter().flat_map(|phase| &phase.faults);
        let hooks = phases
            .any(|fault| !fault.kind.commands().is_empty())
            .then(|| "--allow-hooks: it runs the commands of the time line".to_owned());
        let secrets = (!plan.secret_commands().is_empty())
            .then(|| "--allow-hooks: a command tells a secret of the target".to_owned());
        let writes = (!plan.target.command.is_empty())
            .then(|| "--allow-hooks: a command writes to the target".to_owned());
        let hooks = hooks.or(secrets).or(writes).filter(|_| !allow_hooks);
        let shared = shared_writes(plan).filter(|_| !allow_shared_writes);
        hooks.into_iter().chain(shared).collect()
    }

    /// Refuses to begin without what is needed, and tells all that is missing with it: what a target may do without
    /// apart, since it keeps no run from beginning.
    ///
    /// # Errors
    /// When something is needed.
    pub fn refuse(&self) -> Result<(), Failure> {
        let message = match (self.needed.as_slice(), self.perhaps.as_slice()) {
            ([], _) => return Ok(()),
            ([only], []) => only.clone(),
            (needed, perhaps) => {
                let missing = listed("this is missing, and nothing was sent:", needed);
                missing + &listed(&format!("\n{IF_ASKED}:"), perhaps)
            }
        };
        Err(Failure::new(Exit::Setup, message))
    }
}

/// Above what a target may do without: whoever has no such thing has nothing to do.
const IF_ASKED: &str = "also not given, to be left so unless this target asks for it";

/// What is said below a heading, one below the other; nothing where nothing is.
fn listed(heading: &str, what: &[String]) -> String {
    match what {
        [] => String::new(),
        what => format!("{heading}\n  - {}", what.join("\n  - ")),
    }
}

/// That the program which carries commands out cannot be started.
fn no_writer(plan: &Plan) -> Option<String> {
    let words = plan.target.command.as_slice();
    let why = (!words.is_empty()).then(|| Place::here(Duration::ZERO).refuses(words))??;
    let words = Redactor::of_plan(plan).words(words);
    Some(format!("target.command {words} cannot be run: {why}"))
}

/// That a target which others use is written to only when that is said.
fn shared_writes(plan: &Plan) -> Option<String> {
    let TargetKind::Url { base_url } = &plan.target.kind else { return None };
    plan.writes_beside_others()
        .then(|| SetupError::SharedWrites { url: base_url.clone() }.to_string())
}

/// What `run` would want beside the scenario and what it is begun with: sections of what `check` prints; empty where it
/// wants nothing.
pub fn section(plan: &Plan, start: &args::Start) -> String {
    let missing = Missing::of(plan, true);
    let flags = Missing::flags(plan, start.allow_hooks, start.allow_shared_writes);
    let needed: Vec<_> = flags.into_iter().chain(missing.needed).collect();
    let sections = [("\na run needs beside", needed), (&*format!("\n{IF_ASKED}"), missing.perhaps)]
        .map(|(heading, what)| listed(heading, &what));
    sections.into_iter().filter(|section| !section.is_empty()).map(|it| it + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(needed: &[&str], perhaps: &[&str]) -> Missing {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Missing { needed: owned(needed), perhaps: owned(perhaps) }
    }

    #[test]
    fn one_thing_is_told_in_a_sentence_and_several_at_once() {
        let told = |missing: Missing| missing.refuse().err().map(|failure| failure.message);
        assert_eq!(told(missing(&[], &["a token"])), None, "a run finds out whether it is missed");
        assert_eq!(told(missing(&["a key"], &[])).as_deref(), Some("error: a key"));
        assert_eq!(
            told(missing(&["a key", "a flag"], &[])).as_deref(),
            Some("error: this is missing, and nothing was sent:\n  - a key\n  - a flag")
        );
        // What a target may do without is no part of what keeps the run from beginning.
        assert_eq!(
            told(missing(&["a key"], &["a token"])).as_deref(),
            Some(
                "error: this is missing, and nothing was sent:\n  - a key\nalso not given, to be left so \
                 unless this target asks for it:\n  - a token"
            )
        );
    }
}
