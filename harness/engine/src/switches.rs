//! Faults that wait for a hand: each happens at its planned time, if somebody has switched it on by then.
//!
//! The time stays the plan's, so that what is judged goes by the same windows whoever was at the switch. A
//! switch is locked a second before the first thread acts on it: all threads see the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use khala_evidence::event::{Event, EventKind};
use khala_evidence::record::Micros;
use khala_plan::Plan;
use khala_plan::schedule::Schedule;

use crate::clock::{Clock, micros};
use crate::fault;

/// How long before its first deed a switch is locked.
const LOCKED_BEFORE: Duration = Duration::from_secs(1);
/// Changes of all switches of a run; what comes after is refused.
const CHANGES_MAX: usize = 1_000;

/// The switches of a run.
#[derive(Debug, Default)]
pub struct Switches {
    clock: OnceLock<Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_fault: BTreeMap<u16, Switch>,
    /// What was not yet told to the observer.
    said: Vec<Event>,
    changes: usize,
}

#[derive(Debug)]
struct Switch {
    on: bool,
    locked_us: Micros,
}

/// Why a switch stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The scenario does not allow it, or there is no such fault.
    #[error("no fault of this number can be switched by hand")]
    NotByHand,
    /// Its time has come, or is a second away.
    #[error("it is too late: the fault is due, or was")]
    Late,
    /// Somebody plays with it.
    #[error("switches were changed {CHANGES_MAX} times in this run, which is enough")]
    TooOften,
}

impl Switches {
    /// All off.
    #[must_use]
    pub fn of(plan: &Plan, schedule: &Schedule) -> Self {
        // In the order of the schedule's ids.
        let declared = plan.phases.iter().flat_map(|phase| &phase.faults);
        let by_hand = declared.zip(&schedule.faults).filter(|(declared, _)| declared.by_hand);
        let by_fault = by_hand.map(|(_, planned)| {
            let before = micros(fault::of(&planned.kind).lead() + LOCKED_BEFORE);
            let locked_us = planned.at_us.saturating_sub(before);
            (planned.id, Switch { on: false, locked_us })
        });
        let inner = Inner { by_fault: by_fault.collect(), ..Inner::default() };
        Self { clock: OnceLock::new(), inner: Mutex::new(inner) }
    }

    /// The run's time begins.
    pub(crate) fn begin(&self, clock: Clock) {
        // A run begins once.
        let _ = self.clock.set(clock);
    }

    /// Whether a fault is to happen; true of those that wait for nobody.
    #[must_use]
    pub fn is_on(&self, fault: u16) -> bool {
        self.inner().by_fault.get(&fault).is_none_or(|switch| switch.on)
    }

    /// The faults that wait for a hand, and whether they are on.
    #[must_use]
    pub fn all(&self) -> BTreeMap<u16, bool> {
        self.inner().by_fault.iter().map(|(&fault, switch)| (fault, switch.on)).collect()
    }

    /// Switches a fault on or off; `by` is who, for the evidence.
    ///
    /// # Errors
    /// When the scenario does not allow it, it is too late, or it was done too often.
    pub fn turn(&self, fault: u16, on: bool, by: &str) -> Result<(), Stuck> {
        let at_us = self.clock.get().map_or(0, Clock::now);
        self.turn_at(at_us, fault, on, by)
    }

    fn turn_at(&self, at_us: Micros, fault: u16, on: bool, by: &str) -> Result<(), Stuck> {
        let mut inner = self.inner();
        let Inner { by_fault, said, changes } = &mut *inner;
        let switch = by_fault.get_mut(&fault).ok_or(Stuck::NotByHand)?;
        if at_us >= switch.locked_us {
            return Err(Stuck::Late);
        }
        if switch.on == on {
            return Ok(());
        }
        if *changes >= CHANGES_MAX {
            return Err(Stuck::TooOften);
        }
        *changes += 1;
        switch.on = on;
        let kind = EventKind::FaultSwitched { id: fault, on, by: by.to_owned() };
        said.push(Event { at_us, kind });
        Ok(())
    }

    /// What was switched since the last time.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.inner().said)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing that is done under the lock can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_locked_before_its_time_and_every_change_is_told() {
        let switch = Switch { on: false, locked_us: 5_000_000 };
        let inner = Inner { by_fault: [(3, switch)].into(), ..Inner::default() };
        let switches = Switches { inner: Mutex::new(inner), ..Switches::default() };
        assert!(switches.is_on(0), "it waits for nobody");
        assert!(!switches.is_on(3));
        assert_eq!(switches.turn_at(1, 0, false, "me"), Err(Stuck::NotByHand));
        assert_eq!(switches.turn_at(4_999_999, 3, true, "me"), Ok(()));
        assert_eq!(switches.turn_at(4_999_999, 3, true, "me"), Ok(()), "it is on already");
        assert_eq!(switches.turn_at(5_000_000, 3, false, "me"), Err(Stuck::Late));
        assert!(switches.is_on(3));
        let kind = EventKind::FaultSwitched { id: 3, on: true, by: "me".to_owned() };
        assert_eq!(switches.take(), [Event { at_us: 4_999_999, kind }]);
        assert_eq!(switches.take(), []);
    }
}
