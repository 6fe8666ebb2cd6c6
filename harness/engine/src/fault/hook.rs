//! `hook`: runs a command of the user's, and another that takes it back.
//!
//! Proven by the exit code of its check, else by that of the command: what else shows that a command
//! reached the target its author alone knows. From the command's start on its undo is owed: it runs when
//! the duration is over, and when the run is cut short, whatever became of the command.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use khala_evidence::command::{CommandEnd, CommandRun};
use khala_plan::fault::hook::Hook;
use khala_plan::schedule::PlannedFault;
use tokio_util::sync::CancellationToken;

use super::{Fault, Grip, OnTarget, Proof};
use crate::clock::Clock;
use crate::command::{self, Place, Redactor};
use crate::conductor::Told;
use crate::observe::EventKind;
use crate::owed::{Debt, Owed, TakingBack};

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
}

impl Fault for Hook {
    fn on_target(&self, fault: &PlannedFault, grip: Grip) -> OnTarget {
        let (commands, fault) = (self.clone(), fault.clone());
        Box::pin(async move {
            let hooks = grip.hooks.clone().ok_or("hooks are not allowed: see --allow-hooks")?;
            let place = place(&commands, &fault, &grip, &hooks);
            let (told, clock) = (grip.told.clone(), grip.clock);
            let shell = Shell { fault: fault.id, place, hooks, told, clock };
            Play { commands, fault, shell, grip }.all().await
        })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        let whose = if self.check.is_some() { "check" } else { "command" };
        Proof::of(answered.min(1), &format!("the exit code of its {whose}"))
    }
}

fn place(commands: &Hook, fault: &PlannedFault, grip: &Grip, hooks: &Hooks) -> Place {
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

/// Runs commands for one fault, and tells of them.
#[derive(Clone)]
struct Shell {
    fault: u16,
    place: Place,
    hooks: Arc<Hooks>,
    told: Told,
    clock: Clock,
}

impl Shell {
    async fn run(
        &self,
        part: &str,
        words: &[String],
        ending: Option<&CancellationToken>,
    ) -> CommandRun {
        self.begins(part, words);
        let redactor = &self.hooks.redactor;
        let ran = command::run(part, words, &self.place, ending, redactor, self.clock).await;
        self.ended(&ran);
        ran
    }

    fn begins(&self, part: &str, words: &[String]) {
        let command = words.iter().map(|word| self.hooks.redactor.word(word)).collect();
        self.say(EventKind::CommandBegan { id: self.fault, part: part.to_owned(), command });
    }

    fn ended(&self, ran: &CommandRun) {
        self.say(EventKind::CommandEnded { id: self.fault, run: ran.clone() });
    }

    fn say(&self, kind: EventKind) {
        self.told.say(self.clock.now(), kind);
    }
}

/// A command that takes back what another did.
struct UndoCommand {
    words: Vec<String>,
    shell: Shell,
}

impl Debt for UndoCommand {
    fn what(&self) -> String {
        let redactor = &self.shell.hooks.redactor;
        let words: Vec<_> = self.words.iter().map(|word| redactor.word(word)).collect();
        format!("run {words:?} by hand")
    }

    fn take_back(self: Arc<Self>) -> TakingBack {
        Box::pin(async move {
            let ran = self.shell.run("undo", &self.words, None).await;
            failed(&ran).map_or(Ok(()), |why| Err(format!("the undo: {why}")))
        })
    }

    fn begin(&self) {
        self.shell.place.begin(&self.words);
    }
}

/// A hook that is being carried out.
struct Play {
    commands: Hook,
    fault: PlannedFault,
    shell: Shell,
    grip: Grip,
}

impl Play {
    async fn all(self) -> Result<u64, String> {
        let owed = match &self.commands.undo {
            Some(words) => Some(self.owe(words.clone()).await),
            None => None,
        };
        let mut done = self.command_and_check().await;
        if let Some(owed) = owed {
            if !done.as_ref().is_err_and(|failed| failed.at_once) {
                self.grip.until_over(&self.fault).await;
            }
            if let Err(why) = owed.take_back().await {
                let before =
                    done.err().map(|failed| format!("{}; ", failed.why)).unwrap_or_default();
                done = Err(Failed { why: format!("{before}NOT TAKEN BACK: {why}"), at_once: true });
            }
        }
        done.map(|()| 1).map_err(|failed| failed.why)
    }

    async fn owe(&self, words: Vec<String>) -> Owed {
        let debt = UndoCommand { words, shell: self.shell.clone() };
        Owed::new(debt, self.fault.id, &self.shell.told, self.shell.clock).await
    }

    async fn command_and_check(&self) -> Result<(), Failed> {
        let ending = Some(&self.grip.ending);
        let ran = self.shell.run("command", &self.commands.command, ending).await;
        if let Some(why) = failed(&ran) {
            return Err(Failed { why: format!("the command: {why}"), at_once: true });
        }
        let Some(check) = self.commands.check.as_deref() else { return Ok(()) };
        let why = failed(&self.checked(check).await);
        why.map_or(Ok(()), |why| Err(Failed { why: format!("the check: {why}"), at_once: false }))
    }

    /// Asks the check until it says yes, its time is over, or what it looks for is taken back.
    async fn checked(&self, check: &[String]) -> CommandRun {
        let Shell { place, hooks, clock, .. } = &self.shell;
        let now = clock.now();
        let timeout = crate::clock::micros(self.commands.timeout);
        let over = self.over_us().filter(|over| *over > now);
        let until = now.saturating_add(timeout).min(over.unwrap_or(u64::MAX));
        self.shell.begins("check", check);
        let mut tries = 1;
        let ran = loop {
            let left = until.saturating_sub(clock.now());
            let within = Duration::from_micros(left).max(CHECK_EVERY).min(self.commands.timeout);
            let place = Place { within, ..place.clone() };
            let ending = Some(&self.grip.ending);
            let ran = command::run("check", check, &place, ending, &hooks.redactor, *clock).await;
            let hopeless = matches!(ran.end, CommandEnd::CutShort | CommandEnd::NotRun { .. });
            let again_us = clock.now() + crate::clock::micros(CHECK_EVERY);
            if ran.succeeded() || hopeless || again_us >= until {
                break CommandRun { tries, ..ran };
            }
            tries += 1;
            tokio::select! {
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = self.grip.ending.cancelled() => break CommandRun { tries, ..ran },
            }
        };
        self.shell.ended(&ran);
        ran
    }

    /// When its duration is over, if it has one.
    fn over_us(&self) -> Option<u64> {
        self.fault.duration_us.map(|lasts| self.fault.at_us + lasts)
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
