//! `hook`: runs a command of the user's, and another that takes it back.
//!
//! Proven by the exit code of its check, else by that of the command: what else shows that a command
//! reached the target its author alone knows. From the command's start on its undo is owed: it runs when
//! the duration is over, and when the run is cut short, whatever became of the command.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use khala_evidence::command::{CommandEnd, CommandRun};
use khala_plan::model::Hook as Commands;
use khala_plan::schedule::PlannedFault;
use tokio_util::sync::CancellationToken;

use super::{Fault, Grip, OnTarget, Proof};
use crate::command::owed::Owed;
use crate::command::{self, Place, Redactor};
use crate::observe::EventKind;

/// Between two tries of a check.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// What hooks of a run share; without it none may run.
#[derive(Debug)]
pub struct Hooks {
    /// Where the scenario file is.
    pub folder: PathBuf,
    /// Id of the run.
    pub run_id: String,
    /// The phases' names, in order.
    pub phases: Vec<String>,
    /// Takes secrets out of what commands say.
    pub redactor: Redactor,
    /// The run is cut short, or over.
    pub ending: CancellationToken,
}

/// The fault.
#[derive(Debug)]
pub struct Hook(pub Commands);

impl Fault for Hook {
    fn on_target(&self, fault: &PlannedFault, grip: Grip) -> OnTarget {
        let (commands, fault) = (self.0.clone(), fault.clone());
        Box::pin(async move {
            let hooks = grip.hooks.clone().ok_or("hooks are not allowed: see --allow-hooks")?;
            let place = place(&commands, &fault, &grip, &hooks);
            Play { commands, fault, grip, hooks, place }.all().await
        })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        let whose = if self.0.check.is_some() { "check" } else { "command" };
        Proof::of(answered.min(1), &format!("the exit code of its {whose}"))
    }
}

fn place(commands: &Commands, fault: &PlannedFault, grip: &Grip, hooks: &Hooks) -> Place {
    let phase = hooks.phases.get(usize::from(fault.phase)).cloned().unwrap_or_default();
    Place {
        folder: hooks.folder.clone(),
        variables: vec![
            ("KHALA_TARGET_URL", grip.target.base_url.clone().into()),
            ("KHALA_RUN_ID", hooks.run_id.clone().into()),
            ("KHALA_FAULT_ID", fault.id.to_string().into()),
            ("KHALA_PHASE", phase.into()),
        ],
        within: commands.timeout,
    }
}

/// A hook that is being carried out.
struct Play {
    commands: Commands,
    fault: PlannedFault,
    grip: Grip,
    hooks: Arc<Hooks>,
    place: Place,
}

impl Play {
    async fn all(self) -> Result<u64, String> {
        let undo = self.commands.undo.as_deref();
        let owed = undo.map(|undo| (undo, Owed::new(undo, &self.place)));
        let mut done = self.command_and_check().await;
        if let Some((undo, owed)) = owed {
            if !done.as_ref().is_err_and(|failed| failed.at_once) {
                self.until_over().await;
            }
            let ran = self.one("undo", undo, None).await;
            owed.settled();
            if let Some(why) = failed(&ran) {
                let before =
                    done.err().map(|failed| format!("{}; ", failed.why)).unwrap_or_default();
                let why = format!("{before}NOT TAKEN BACK: the undo: {why}");
                done = Err(Failed { why, at_once: true });
            }
        }
        done.map(|()| 1).map_err(|failed| failed.why)
    }

    async fn command_and_check(&self) -> Result<(), Failed> {
        let ending = Some(&self.hooks.ending);
        let ran = self.one("command", &self.commands.command, ending).await;
        if let Some(why) = failed(&ran) {
            return Err(Failed { why: format!("the command: {why}"), at_once: true });
        }
        let Some(check) = self.commands.check.as_deref() else { return Ok(()) };
        let why = failed(&self.checked(check).await);
        why.map_or(Ok(()), |why| Err(Failed { why: format!("the check: {why}"), at_once: false }))
    }

    /// Asks the check until it says yes, its time is over, or what it looks for is taken back.
    async fn checked(&self, check: &[String]) -> CommandRun {
        let now = self.grip.clock.now();
        let timeout = crate::clock::micros(self.commands.timeout);
        let over = self.over_us().filter(|over| *over > now);
        let until = now.saturating_add(timeout).min(over.unwrap_or(u64::MAX));
        self.say(EventKind::CommandBegan {
            id: self.fault.id,
            part: "check".to_owned(),
            command: self.shown(check),
        });
        let mut tries = 1;
        let ran = loop {
            let left = until.saturating_sub(self.grip.clock.now());
            let within = Duration::from_micros(left).max(CHECK_EVERY).min(self.commands.timeout);
            let place = Place { within, ..self.place.clone() };
            let ending = Some(&self.hooks.ending);
            let (redactor, clock) = (&self.hooks.redactor, self.grip.clock);
            let ran = command::run("check", check, &place, ending, redactor, clock).await;
            let hopeless = matches!(ran.end, CommandEnd::CutShort | CommandEnd::NotRun { .. });
            let again_us = self.grip.clock.now() + crate::clock::micros(CHECK_EVERY);
            if ran.succeeded() || hopeless || again_us >= until {
                break CommandRun { tries, ..ran };
            }
            tries += 1;
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = self.hooks.ending.cancelled() => break CommandRun { tries, ..ran },
            }
        };
        self.say(EventKind::CommandEnded { id: self.fault.id, run: ran.clone() });
        ran
    }

    async fn one(
        &self,
        part: &str,
        words: &[String],
        ending: Option<&CancellationToken>,
    ) -> CommandRun {
        let (id, command) = (self.fault.id, self.shown(words));
        self.say(EventKind::CommandBegan { id, part: part.to_owned(), command });
        let (redactor, clock) = (&self.hooks.redactor, self.grip.clock);
        let ran = command::run(part, words, &self.place, ending, redactor, clock).await;
        self.say(EventKind::CommandEnded { id, run: ran.clone() });
        ran
    }

    fn shown(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.hooks.redactor.word(word)).collect()
    }

    fn say(&self, kind: EventKind) {
        self.grip.told.say(self.grip.clock.now(), kind);
    }

    /// When its duration is over, if it has one.
    fn over_us(&self) -> Option<u64> {
        self.fault.duration_us.map(|lasts| self.fault.at_us + lasts)
    }

    /// Waits until its duration is over, or the run is.
    async fn until_over(&self) {
        let Some(over) = self.over_us() else { return };
        tokio::select! {
            () = tokio::time::sleep_until(self.grip.clock.instant(over)) => {}
            () = self.hooks.ending.cancelled() => {}
        }
    }
}

/// What went wrong.
struct Failed {
    why: String,
    /// Whether what may have been done is taken back at once.
    at_once: bool,
}

fn failed(ran: &CommandRun) -> Option<String> {
    (!ran.succeeded()).then(|| ran.end.to_string())
}
