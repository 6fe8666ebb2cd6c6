//! `restart`: ends the target's process at an instant, and starts it again on the same port.
//!
//! The clients are told a moment before, so that the ends of their sockets count as the fault's doing:
//! they recover from it as from any other cut. They behave as they would if they knew nothing.
//!
//! Proven by the target's metrics, which say which process answers, else by the new process's own word.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::fault::restart::Restart;
use khala_plan::model::Cohort;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Grip, OnTarget, Proof, ShownBy, Sides, Undo};
use crate::client::orders::{Control, Expected, Order};

/// More than a busy thread needs to pass it on.
const LEAD: Duration = Duration::from_millis(300);
/// An end in order, and a start.
const WITHIN: Duration = Duration::from_secs(30);

impl Fault for Restart {
    fn on_clients(&self, fault: &PlannedFault, all: &[Rc<Control>]) -> Undo {
        for control in all {
            let (fault, intended) = (fault.id, fault.at_us);
            control.give(Order::Expect { fault, intended, end: Expected::Process });
        }
        Undo::nothing()
    }

    fn lead(&self) -> Duration {
        LEAD
    }

    fn on_target(&self, _fault: &PlannedFault, grip: Grip) -> OnTarget {
        let signal = self.signal;
        Box::pin(async move {
            let mut child = grip.child.lock().await;
            let child = child.as_mut().ok_or("the target is no process of the harness's")?;
            child.restart(signal).await.map(|()| 1).map_err(|error| error.to_string())
        })
    }

    fn shown_by(&self) -> &'static [ShownBy] {
        &[ShownBy::Metrics, ShownBy::Answers]
    }

    fn by_metrics(&self, _fault: &PlannedFault, sides: &Sides<'_>) -> Option<Proof> {
        let (before, after) = sides.before.process_id.zip(sides.after.process_id)?;
        let how = "another process than before answers for the target's metrics";
        Some(Proof::of(u64::from(before != after), how))
    }

    fn metrics_within(&self, _cohorts: &[&Cohort]) -> Duration {
        WITHIN
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered.min(1), "the process that was started said where it listens")
    }
}

#[cfg(test)]
mod tests {
    use khala_plan::model::RestartSignal;
    use khala_wire::metrics::FanoutMetrics;

    use super::*;

    fn effective(before: Option<u32>, after: Option<u32>) -> Option<u64> {
        let signal = RestartSignal::Kill;
        let fault = PlannedFault {
            id: 0,
            phase: 1,
            at_us: 0,
            duration_us: None,
            spread_us: None,
            kind: Restart { signal }.into(),
            targets: Vec::new(),
        };
        let metrics = |process_id| FanoutMetrics { process_id, ..FanoutMetrics::default() };
        let sides = Sides { before: &metrics(before), after: &metrics(after), planned_together: 1 };
        Restart { signal }.by_metrics(&fault, &sides).map(|proof| proof.effective)
    }

    #[test]
    fn the_same_process_was_not_restarted_and_an_unknown_one_proves_nothing() {
        assert_eq!(effective(Some(7), Some(8)), Some(1));
        assert_eq!(effective(Some(7), Some(7)), Some(0));
        assert_eq!(effective(None, None), None);
        assert_eq!(effective(Some(7), None), None);
    }
}
