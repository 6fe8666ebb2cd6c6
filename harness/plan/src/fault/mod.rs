//! The fault types: what a scenario may write under `[[phase.fault]]`.
//!
//! A type is one file here (its attributes, their documentation, how they are read, and all that the rest
//! of the house asks about it, as a [`Definition`]), one line in [`REGISTRY`], and in the engine one file
//! that applies it, with one line of a registry. Nothing else knows the types apart.

pub mod command_over_socket;
pub mod cursor;
pub mod disconnect;
pub mod handshake_flood;
pub mod hook;
pub mod offline;
pub mod pause;
pub mod publish_burst;
pub mod restart;
pub mod retention_trim;
pub mod revoke_sessions;
pub mod slow_reader;
pub mod token;
pub mod unsubscribe;

use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Serialize, Serializer};

use crate::model::{ActsOn, Fault, Plan, Resume};
use crate::read::fields::Fields;
use crate::read::key::{Keys, Table};
use crate::schedule::{PlannedFault, Schedule};
use crate::stability::Consequence;

/// Every type that can be used, in the order in which the documentation lists them.
pub const REGISTRY: &[FaultType] = &[
    disconnect::TYPE,
    offline::TYPE,
    slow_reader::TYPE,
    unsubscribe::TYPE,
    cursor::TYPE,
    token::TYPE,
    revoke_sessions::TYPE,
    command_over_socket::TYPE,
    restart::TYPE,
    retention_trim::TYPE,
    publish_burst::TYPE,
    hook::TYPE,
    handshake_flood::TYPE,
    pause::TYPE,
];

/// A fault type, as a scenario and its documentation see it.
pub struct FaultType {
    /// `type` in a scenario.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What it does, for people who do not know its name: a clause about so many clients, who are already
    /// put into words, such as "60 clients".
    pub told: fn(&str, u64) -> String,
    /// What to do where it hit less than planned, in a sentence or two, before the run is repeated.
    pub mend: &'static str,
    /// What it acts on; on clients it has a `mode`, and may have a `cohort`.
    pub acts_on: ActsOn,
    /// Whether it has a `duration`.
    pub extent: Extent,
    /// Whether a switch may say that it happens; the schedule holds what a burst publishes.
    pub by_hand: bool,
    /// What it may give the rules of the oracle a case of.
    pub exercises: &'static [Exercise],
    /// The keys of `attributes`.
    pub(crate) attributes: Keys,
    /// Reads `attributes`; reports what is wrong with them.
    pub(crate) read: fn(&mut Fields<'_>) -> Option<FaultKind>,
}

impl FaultType {
    /// The table of its attributes.
    pub(crate) fn table(&self) -> Table {
        Table::attributes(self.name, self.summary, self.attributes)
    }
}

/// How long a fault type lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// No time.
    Instant,
    /// No time, at an instant of each client's own if a `spread` is given.
    InstantOfEach,
    /// Its `duration`.
    Interval,
    /// Its `duration` where one is given, else no time.
    InstantOrInterval,
}

/// What some rules have no case without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exercise {
    /// Clients read slowly.
    SlowReading,
    /// Cursors are older than what the target holds or replays.
    StaleCursor,
    /// Clients leave topics.
    Unsubscribing,
    /// Commands are sent where none may travel.
    Commands,
}

/// What a fault needs, of the target or of the rest of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A process of the harness's own.
    OwnProcess,
    /// Sessions or devices are revoked on request.
    Revocation,
    /// A topic is pruned on request.
    RetentionHook,
    /// What a topic holds, read from the fan-out metrics.
    Windows,
    /// A worker to publish for.
    Load,
}

/// How clients read that do not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowness {
    /// Bytes read per second; `None` reads nothing.
    pub rate_bytes_per_s: Option<u32>,
    /// `SO_RCVBUF` in bytes, set before connect.
    pub rcvbuf_bytes: u32,
}

/// What is published on top of the first load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Events.
    pub events: u32,
    /// Over how long, at equal gaps.
    pub over: Duration,
}

/// What a fault on the target as a whole may do to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Befalls {
    /// For how long after its planned end.
    pub after: Duration,
    /// What may follow from it; `None` is anything.
    pub causes: Option<Vec<Consequence>>,
}

/// Something about a fault that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is the matter, in a sentence without a full stop.
    pub what: String,
    /// Why.
    pub note: Option<String>,
    /// What to do about it.
    pub help: String,
    /// Whether a target by URL tells it better, which is asked before the load.
    pub is_asked: bool,
}

impl Advice {
    /// Without a note.
    pub(crate) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), note: None, help: help.into(), is_asked: false }
    }

    /// Why.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// That the target is asked before the load, and tells it better.
    pub(crate) fn asked(self) -> Self {
        Self { is_asked: true, ..self }
    }
}

/// What is attributes, told apart by the type alone: compared, printed, and written as the scenario has
/// them. Every type that can be is.
pub trait Attributes: Any + Debug + Send + Sync + erased_serde::Serialize {
    /// Whether another fault is of the same type, with equal attributes.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + Debug + Send + Sync + Serialize + PartialEq> Attributes for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

erased_serde::serialize_trait_object!(Definition);

/// What comes of a fault that the harness cannot carry out.
const HITS_NOBODY: &str = "the fault will hit nobody, and its gates will be INCONCLUSIVE";
/// What lets it carry out faults on tokens.
const SIGN_OURSELVES: &str = "write `mint = \"hs256\"` and the key in `[auth]`";

/// All that is asked about a fault by those who do not apply it. The attributes are its fields, and
/// serialise as the scenario writes them. What is not said of one is what most have.
pub trait Definition: Attributes {
    /// The registry's line.
    fn fault_type(&self) -> &'static FaultType;

    /// Whether it gives rules a case of this.
    fn exercises(&self, what: Exercise) -> bool {
        self.fault_type().exercises.contains(&what)
    }

    /// Whether it needs this.
    fn needs(&self, _what: Need) -> bool {
        false
    }

    /// Whether it acts on every client, although it is aimed at the target.
    fn hits_everybody(&self) -> bool {
        false
    }

    /// How long after its instant clients whose sockets it ends may come back, their back-off aside; `None`
    /// where it ends no socket.
    fn away(&self) -> Option<Duration> {
        None
    }

    /// How soon and how late after its instant a client that heartbeats so often knows that its socket has
    /// ended; at once, where the socket tells it.
    fn noticed_after(&self, _heartbeat: Duration) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }

    /// Whether the target answers nobody while it lasts, although it takes connections.
    fn silences_the_target(&self) -> bool {
        false
    }

    /// Whether clients whose sockets it ends wait out their back-off before they come back.
    fn backs_off(&self) -> bool {
        true
    }

    /// Whether a client's deliveries before it are compared with those after it.
    fn is_storm(&self) -> bool {
        self.away().is_some()
    }

    /// How long clients leave topics for.
    fn topics_left_for(&self) -> Option<Duration> {
        None
    }

    /// The cursor with which clients come back, where it is one of the target's window.
    fn resumes(&self) -> Option<Resume> {
        None
    }

    /// Whether the target prunes this topic.
    fn prunes(&self, _topic: TopicId) -> bool {
        false
    }

    /// For how long it goes on acting on a client; `duration` is the fault's.
    fn acts_for(&self, _plan: &Plan, duration: Option<Duration>) -> Duration {
        duration.unwrap_or_default()
    }

    /// Sockets of each client that the harness itself closes in order: their ports wait out TIME_WAIT. A
    /// reset leaves none.
    fn closes_in_order(&self) -> u64 {
        0
    }

    /// Sockets that it has open at once, beside the clients' own and those that asides share.
    fn sockets(&self) -> u64 {
        0
    }

    /// Whether it tries something for its clients on sockets beside their own.
    fn opens_asides(&self) -> bool {
        false
    }

    /// How its clients read while it lasts.
    fn slowness(&self) -> Option<Slowness> {
        None
    }

    /// What is published for it.
    fn burst(&self) -> Option<Burst> {
        None
    }

    /// What it may do to anybody, of a fault on the target as a whole.
    fn befalls(&self) -> Option<Befalls> {
        None
    }

    /// Whether a target with which nothing is wrong may refuse its clients something on their way back. One
    /// whose sockets were merely cut off it has to let in.
    fn invites_refusals(&self) -> bool {
        self.befalls().is_some()
    }

    /// Why it has no place in a passive run, beside real traffic, if it has none: it writes to the target, or
    /// opens sockets that no ceiling of connects holds.
    fn disturbs(&self) -> Option<&'static str> {
        let writes = [Need::OwnProcess, Need::Revocation, Need::RetentionHook, Need::Load]
            .map(|it| self.needs(it));
        if writes.contains(&true) || self.burst().is_some() {
            return Some("it changes something on the target");
        }
        (self.opens_asides() || self.sockets() > 0).then_some(
            "it opens sockets beside the clients' own, which no ceiling of connects holds",
        )
    }

    /// The commands of the user's that it runs: what each is for, and its words.
    fn commands(&self) -> Vec<(&'static str, &[String])> {
        Vec::new()
    }

    /// The same with `tell` applied to the texts that are its author's own; `None` where it has none.
    fn retold(&self, _tell: &dyn Fn(&str) -> String) -> Option<FaultKind> {
        None
    }

    /// What is wrong with it in a phase of this length.
    fn misfit(&self, _fault: &Fault, _phase: Duration) -> Option<Advice> {
        None
    }

    /// What will not come of it, or not as its author thinks.
    fn advice(&self, _fault: &PlannedFault, _plan: &Plan, _schedule: &Schedule) -> Option<Advice> {
        None
    }
}

/// What a fault does: a [`Definition`], shared.
#[derive(Clone, Debug)]
pub struct FaultKind(Arc<dyn Definition>);

impl FaultKind {
    /// The type's name in a scenario.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.fault_type().name
    }

    /// What it acts on.
    #[must_use]
    pub fn acts_on(&self) -> ActsOn {
        self.fault_type().acts_on
    }

    /// Whether another is of the same type.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (ours, theirs): (&dyn Any, &dyn Any) = (&*self.0, &*other.0);
        ours.type_id() == theirs.type_id()
    }

    /// The same as it may be told: `tell` is applied to the texts that are its author's own.
    #[must_use]
    pub fn told(&self, tell: &dyn Fn(&str) -> String) -> Self {
        self.retold(tell).unwrap_or_else(|| self.clone())
    }

    /// Its attributes, if it is of this type.
    #[must_use]
    pub fn attributes<T: Definition>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }
}

impl<T: Definition> From<T> for FaultKind {
    fn from(definition: T) -> Self {
        Self(Arc::new(definition))
    }
}

impl Deref for FaultKind {
    type Target = dyn Definition;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for FaultKind {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (*self.0).serialize(serializer)
    }
}

/// The type of this name.
#[must_use]
pub fn of(name: &str) -> Option<&'static FaultType> {
    REGISTRY.iter().find(|fault| fault.name == name)
}

/// The names of the types that exercise something.
pub(crate) fn exercising(what: Exercise) -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().filter(move |it| it.exercises.contains(&what)).map(|it| it.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::DisconnectStyle;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = REGISTRY.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), REGISTRY.len());
    }

    #[test]
    fn each_type_says_what_mends_it() {
        for fault in REGISTRY {
            assert!(fault.mend.ends_with('.') && fault.mend.len() > 40, "{}", fault.name);
        }
    }

    #[test]
    fn kinds_are_equal_when_type_and_attributes_are() {
        let cut = |style| FaultKind::from(disconnect::Disconnect { style });
        let trim = FaultKind::from(retention_trim::RetentionTrim {
            topic: TopicId::WORKER_EVENTS,
            keep: 0,
        });
        assert_eq!(cut(DisconnectStyle::Reset), cut(DisconnectStyle::Reset));
        assert_ne!(cut(DisconnectStyle::Reset), cut(DisconnectStyle::HalfOpen));
        assert_ne!(cut(DisconnectStyle::Reset), trim);
        assert!(trim.attributes::<disconnect::Disconnect>().is_none());
    }
}
