//! For what a run does not begin, as far as that can be known while nothing is sent: `run` asks here before it sends
//! anything, and `check` and `run --dry-run` say the same with the same code.

use khala_engine::command::{Place, Redactor};
use khala_engine::reach::guard::Guard;
use khala_plan::{Plan, Schedule};

use super::reference::stays_here;
use super::{seal, webhook};
use crate::args::{Scenario, Start};
use crate::exit::{Exit, Failure};
use crate::{output, setup, signals};

/// All for which a run is refused that is begun so.
pub fn of(plan: &Plan, schedule: &Schedule, guard: &Guard, start: &Start) -> Vec<Failure> {
    let leave = "--dashboard-allow-remote";
    let asked = [
        if start.allow_hooks { Ok(()) } else { no_hooks(plan) },
        start.stop_file.as_deref().map_or(Ok(()), signals::no_stop_file_yet),
        start.dashboard.map_or(Ok(()), |listen| {
            stays_here("--dashboard", listen, start.dashboard_allow_remote, leave)
        }),
        seal::With::of(&start.seal).map(drop),
        start.webhook.as_deref().map_or(Ok(()), |url| {
            webhook::of(url, guard, env!("CARGO_PKG_VERSION"), "nobody yet").map(drop)
        }),
    ];
    let mut refused: Vec<_> = asked.into_iter().filter_map(Result::err).collect();
    refused.extend(setup::of_machine(plan, schedule, guard));
    refused.extend(setup::Missing::of(plan, start.allow_shared_writes).refuse().err());
    let kept = khala_bundle::can_keep(&start.out_dir, plan, schedule);
    refused.extend(kept.map_err(setup::no_evidence).err());
    refused
}

/// All of them as one, which ends with the first one's code.
///
/// # Errors
/// When there are any.
pub fn together(refused: &[Failure]) -> Result<(), Failure> {
    let Some(first) = refused.first() else { return Ok(()) };
    let messages: Vec<_> = refused.iter().map(|failure| failure.message.as_str()).collect();
    Err(Failure { exit: first.exit, message: messages.join("\n") })
}

/// A scenario may come from elsewhere: its commands run only if somebody says so.
fn no_hooks(plan: &Plan) -> Result<(), Failure> {
    setup::no_secret_commands(
        plan,
        "read what `khala-harness check` prints, then add --allow-hooks",
    )?;
    let mut hooks = plan.phases.iter().flat_map(|phase| {
        let commands = phase.faults.iter().flat_map(|fault| fault.kind.commands());
        commands.map(move |(_, words)| (&phase.name, words))
    });
    let Some((phase, words)) = hooks.next() else { return Ok(()) };
    let more = match hooks.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let what = format!(
        "the scenario `{}` runs {}{more} in its phase `{phase}`; nothing was started: read what \
         `khala-harness check` prints, then add --allow-hooks",
        plan.name,
        Redactor::of_plan(plan).words(words)
    );
    Err(Failure::new(Exit::Usage, what))
}

/// What will not happen in a run that is begun so, for which it will be a HOLD whatever the target does: faults that wait
/// for a hand which nobody can lend them, commands that cannot be started.
pub fn in_vain(plan: &Plan, scenario: &Scenario, start: &Start) -> Vec<String> {
    let faults = || {
        let of = |phase| move |fault| (phase, fault);
        plan.phases.iter().flat_map(move |phase| phase.faults.iter().map(of(phase)))
    };
    let waiting = faults().filter(|(_, fault)| fault.by_hand && start.dashboard.is_none());
    let waiting = waiting.map(|(phase, fault)| {
        format!(
            "the fault {} in `{}` waits for a hand, and without --dashboard nobody can switch it on",
            fault.kind.name(),
            phase.name
        )
    });
    let place = Place {
        folder: setup::folder_of(&scenario.file),
        ..Place::here(std::time::Duration::ZERO)
    };
    let redactor = Redactor::of_plan(plan);
    let absent = faults().flat_map(|(phase, fault)| {
        let commands = fault.kind.commands().into_iter();
        commands.map(move |(part, words)| (phase, fault, part, words))
    });
    let absent = absent.filter_map(|(phase, fault, part, words)| {
        let why = place.refuses(words)?;
        let words = redactor.words(words);
        Some(format!(
            "the fault {} in `{}` cannot happen: its {part} {words} cannot be run: {why}",
            fault.kind.name(),
            phase.name
        ))
    });
    waiting.chain(absent).collect()
}

/// Says what will not happen.
pub fn warn(in_vain: &[String]) {
    in_vain.iter().for_each(|what| output::say(&format!("warning: {what}")));
}
