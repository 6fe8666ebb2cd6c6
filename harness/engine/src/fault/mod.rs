//! Faults: what is done, and how it is proven from the other side. One file a type, one line here.
//!
//! A fault acts on the clients of a thread through their [`Control`]s. Its proof is counted where
//! the injector has no hand: in the target's own metrics. See `ADDING_A_FAULT.md`.

mod disconnect;

use std::rc::Rc;

use khala_plan::model::FaultKind;
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;

use crate::client::driver::Control;

/// How to take a fault back.
#[derive(Debug, PartialEq, Eq)]
pub enum Undo {
    /// An instant: there is nothing to take back.
    Nothing,
}

/// What the target's side says of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Clients hit; `None` when the target's side cannot tell.
    pub effective: Option<u64>,
    /// How that was counted.
    pub how: String,
}

/// A fault that acts on clients.
pub trait ClientFault {
    /// Acts on these clients, all of one thread.
    fn apply(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo;

    /// Counts from the target's metrics before and after; called again until it is satisfied or
    /// the time for it is over.
    fn prove(&self, fault: &PlannedFault, before: &FanoutMetrics, after: &FanoutMetrics) -> Proof;
}

/// The implementation of a type.
#[must_use]
pub fn of(kind: &FaultKind) -> Box<dyn ClientFault> {
    match *kind {
        FaultKind::Disconnect { style } => Box::new(disconnect::Disconnect { style }),
    }
}
