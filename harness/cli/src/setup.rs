//! What a plan needs of this machine and of whoever starts it, found before anything is sent to a target:
//! `run` refuses to begin without it, and `check` says the same in the same words.

use std::time::Duration;

use anyhow::Context as _;
use khala_engine::command;
use khala_engine::error::SetupError;
use khala_engine::preflight;
use khala_engine::reach::guard::Guard;
use khala_engine::target::{extras::Extras, keys};
use khala_plan::Schedule;
use khala_plan::estimate::source_ports;
use khala_plan::model::{Plan, TargetKind};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};

/// How long the name of a target may take to be looked up.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

/// Refuses what this machine cannot carry, and a target that may not be spoken to. A name that may be is looked
/// up; nothing is sent to where it leads.
///
/// # Errors
/// With the words and the code of a run, 100.
pub fn refuse(plan: &Plan, schedule: &Schedule, guard: &Guard) -> Result<(), Failure> {
    let refused = |error: SetupError| Failure::new(Exit::Setup, error);
    preflight::descriptors(plan).map_err(refused)?;
    preflight::sources(plan).map_err(refused)?;
    enough_ports(plan, schedule)?;
    if let Some((runtime, control)) = preflight::reached(plan, schedule, guard).map_err(refused)? {
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let threads = threads.context("cannot start a runtime")?;
        let found = threads.block_on(async {
            preflight::address(&runtime, LOOK_UP_WITHIN).await?;
            preflight::address(&control, LOOK_UP_WITHIN).await
        });
        // A look-up that hangs is not waited for.
        threads.shutdown_background();
        found.map_err(refused)?;
    }
    match Extras::of(plan) {
        // Whoever starts it has to give what it names: that is told with all else that is missing.
        Ok(_) | Err(SetupError::Secret { .. }) => Ok(()),
        Err(error) => Err(refused(error)),
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
        needed.extend(shared_writes(plan).into_iter().filter(|_| !allow_shared_writes));
        Self { needed, perhaps: keys::not_given(plan) }
    }

    /// Flags that a run wants, with why.
    pub fn flags(plan: &Plan) -> Vec<String> {
        let mut phases = plan.phases.iter().flat_map(|phase| &phase.faults);
        let hooks = phases
            .any(|fault| !fault.kind.commands().is_empty())
            .then(|| "--allow-hooks: it runs the commands of the time line".to_owned());
        let secrets = (!plan.secret_commands().is_empty())
            .then(|| "--allow-hooks: a command tells a secret of the target".to_owned());
        let writes = (!plan.target.command.is_empty())
            .then(|| "--allow-hooks: a command writes to the target".to_owned());
        hooks.or(secrets).or(writes).into_iter().chain(shared_writes(plan)).collect()
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

/// That a target which others use is written to only when that is said.
fn shared_writes(plan: &Plan) -> Option<String> {
    let TargetKind::Url { base_url } = &plan.target.kind else { return None };
    plan.writes_beside_others()
        .then(|| SetupError::SharedWrites { url: base_url.clone() }.to_string())
}

/// What `run` would want beside the scenario: sections of what `check` prints; empty where it wants nothing.
pub fn section(plan: &Plan) -> String {
    let missing = Missing::of(plan, true);
    let needed: Vec<_> = Missing::flags(plan).into_iter().chain(missing.needed).collect();
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
