//! Faults as the engine reads them: when, and to whom. What is done is a definition of [`crate::fault`].

use std::time::Duration;

use crate::fault::FaultKind;

/// One planned fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// From the start of its phase.
    pub at: Duration,
    /// How long an interval lasts; `None` for instants.
    pub duration: Option<Duration>,
    /// Over how long it comes to its clients, one after the other; `None` is all at once.
    pub spread: Option<Duration>,
    /// To whom, among the cohort it is aimed at.
    pub mode: FaultMode,
    /// Cohort it is aimed at, by name; `None` is the whole fleet.
    pub cohort: Option<String>,
    /// Whether it happens only if somebody switches it on before its time.
    pub by_hand: bool,
}

/// What a fault acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsOn {
    /// Clients, one by one.
    Clients,
    /// The target, as a whole.
    Target,
}

/// To whom a fault happens (names as Chaos Mesh has them).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultMode {
    /// One client, drawn by seed.
    One,
    /// Every client.
    All,
    /// This many clients, drawn by seed.
    Fixed(u32),
    /// This share of the clients, 0 to 100, drawn by seed.
    FixedPercent(f64),
    /// A share of the clients drawn by seed between 0 and this, then clients drawn by seed.
    RandomMaxPercent(f64),
}
