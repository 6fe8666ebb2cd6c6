//! `hook`: a command of the user's, at an instant or for a duration.
//!
//! What a command does to the target is for its author to say: nothing that goes wrong while it lasts is
//! put down to it unless `causes` names it.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Advice, Befalls, Definition, Extent, FaultKind, FaultType};
use crate::model::{ActsOn, Fault};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Raw, Within};
use crate::read::scalar::Placed;
use crate::read::schema::Shape;
use crate::read::suggest;
use crate::read::words::words;
use crate::stability::Consequence;
use crate::units;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "hook",
    summary: "Runs a command of one's own, with `--allow-hooks` only; and another that takes it back, \
              after its `duration` or at once.",
    told: |_, _| "a command of the scenario's own is run".to_owned(),
    mend: "See under Faults how its commands ended, and mend what they say.",
    acts_on: ActsOn::Target,
    extent: Extent::InstantOrInterval,
    by_hand: true,
    exercises: &[],
    attributes: &[&COMMAND, &UNDO, &CHECK, &TIMEOUT, &CAUSES, &EFFECTS_FOR],
    read,
};

const COMMAND: Key<Raw> = Key::new(
    "command",
    Raw(|| Shape::Command),
    "command = [\"systemctl\", \"restart\", \"postgresql\"]",
    "Program and arguments; no shell is asked. It runs in the scenario file's folder with the \
     harness's environment and KHALA_TARGET_URL, KHALA_RUN_ID, KHALA_FAULT_ID, KHALA_PHASE.",
)
.required();
const UNDO: Key<Raw> = Key::new(
    "undo",
    Raw(|| Shape::Command),
    "undo = [\"systemctl\", \"start\", \"postgresql\"]",
    "Takes it back: after the fault's `duration`, which needs it; of an instant as soon as the \
     command has ended. It also runs when the run is cut short, and when the command failed, so it \
     must do no harm where there is nothing to take back.",
);
const CHECK: Key<Raw> = Key::new(
    "check",
    Raw(|| Shape::Command),
    "check = [\"systemctl\", \"is-active\", \"postgresql\"]",
    "Proves with exit code 0 that the command reached the target; it is asked again until its \
     time is over. Default: the exit code of `command` itself.",
);
const TIMEOUT: KeyOr<Within<Duration>> = Key::new(
    "timeout",
    Within(Duration::from_millis(100), Duration::from_secs(120)),
    "timeout = \"30s\"",
    "How long each of the commands may take; then its process group is ended.",
)
.or(Duration::from_secs(10));
const CAUSES: Key<Raw> = Key::new(
    "causes",
    Raw(|| {
        let names = Consequence::all().map(Consequence::name).collect();
        Shape::List(Box::new(Shape::Words(names)), 0)
    }),
    "causes = [\"absence\", \"rejoins\"]",
    "What may follow from it, to anybody, from its start until `effects_for` after its planned \
     end: incidents by kind, `socket_closes` (in place of `socket_ends`: ends of sockets by a close \
     frame of a graceful stop, 1012 or 1000, and no others), and `absence` of the target. All else \
     stays unplanned.",
);
const EFFECTS_FOR: KeyOr<Within<Duration>> = Key::new(
    "effects_for",
    Within(Duration::from_millis(1), Duration::from_secs(600)),
    "effects_for = \"30s\"",
    "For how long after `at`, or after the end of the `duration`, what it `causes` may still \
     come.",
)
.or(Duration::from_secs(5));

/// The commands of a hook, and what they may do to the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Program and arguments; no shell is asked.
    pub command: Vec<String>,
    /// Takes it back: after the fault's duration, of an instant as soon as the command has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Vec<String>>,
    /// Proves with exit code 0 that the command reached the target; `None` takes the command's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    /// How long each of the commands may take.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub timeout: Duration,
    /// What may follow from it.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "serialize_names")]
    pub causes: Vec<Consequence>,
    /// For how long after its planned end that may still come.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_some")]
    pub effects_for: Option<Duration>,
}

impl Definition for Hook {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    /// In the order in which they run.
    fn commands(&self) -> Vec<(&'static str, &[String])> {
        let others = [("check", &self.check), ("undo", &self.undo)];
        let others = others.into_iter().filter_map(|(part, words)| Some((part, words.as_deref()?)));
        std::iter::once(("command", self.command.as_slice())).chain(others).collect()
    }

    fn retold(&self, tell: &dyn Fn(&str) -> String) -> Option<FaultKind> {
        let words = |words: &Vec<String>| words.iter().map(|word| tell(word)).collect();
        let told = Self {
            command: words(&self.command),
            undo: self.undo.as_ref().map(words),
            check: self.check.as_ref().map(words),
            ..self.clone()
        };
        Some(told.into())
    }

    /// Its end is the plan's: a command that takes longer excuses nothing more.
    fn befalls(&self) -> Option<Befalls> {
        Some(Befalls { after: self.effects_for?, causes: Some(self.causes.clone()) })
    }

    fn misfit(&self, fault: &Fault, _phase: Duration) -> Option<Advice> {
        (fault.duration.is_some() && self.undo.is_none()).then(|| {
            let what = "the hook has a `duration`, and no `undo` ends it";
            Advice::new(what, "add `undo` to its attributes, or remove `duration`")
        })
    }
}

fn serialize_names<S: Serializer>(causes: &[Consequence], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(causes.iter().map(|cause| cause.name()))
}

fn serialize_some<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&units::format_duration(duration.unwrap_or_default()))
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    attributes.need_node(&COMMAND);
    let command = words(attributes, &COMMAND);
    let undo = words(attributes, &UNDO);
    let check = words(attributes, &CHECK);
    let timeout = attributes.or(&TIMEOUT);
    let causes = causes(attributes);
    let effects_for = if causes.as_ref().is_some_and(Vec::is_empty) {
        attributes.no_effect(&EFFECTS_FOR, "where it `causes` nothing");
        None
    } else {
        Some(attributes.or(&EFFECTS_FOR))
    };
    let (command, causes) = (command??, causes?);
    let hook = Hook { command, undo: undo?, check: check?, timeout, causes, effects_for };
    Some(hook.into())
}

fn causes(fields: &Fields<'_>) -> Option<Vec<Consequence>> {
    let Some(names) = fields.get_as::<Vec<Placed<String>>>(&CAUSES) else {
        return (!fields.has(&CAUSES)).then(Vec::new);
    };
    let known = |name: &Placed<String>| {
        let found = Consequence::of(&name.value);
        if found.is_none() {
            let what = format!("`{}` is nothing that a hook may cause", name.value);
            let help =
                suggest::did_you_mean(&name.value, Consequence::all().map(Consequence::name));
            fields.cx.report(Diagnostic::error(&name.place, what).help(help));
        }
        found
    };
    let read: Vec<_> = names.iter().filter_map(known).collect();
    (read.len() == names.len()).then_some(read)
}
