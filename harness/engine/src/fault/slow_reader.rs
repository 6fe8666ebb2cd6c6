//! `slow_reader`: an interval in which clients read slowly or not at all.
//!
//! Their sockets have had a small receive buffer from the first connect on. Proven by the target's
//! count of evictions where it evicted all of them, else by what it sent and they left in the kernel.

use std::rc::Rc;

use khala_plan::fault::slow_reader::SlowReader;
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;

use super::{Fault, Proof, ShownBy, Sides, Undo};
use crate::client::orders::{Control, Order};
use crate::throttle::Pace;

impl Fault for SlowReader {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        let pace = self.rate_bytes_per_s.map_or(Pace::Paused, Pace::Rate);
        let (fault, targets) = (fault.id, targets.to_vec());
        let tell = move |pace| {
            targets.iter().for_each(|control| control.give(Order::Read { fault, pace }));
        };
        tell(pace);
        Undo::with(move || tell(Pace::Full))
    }

    fn shown_by(&self) -> &'static [ShownBy] {
        &[ShownBy::Metrics, ShownBy::Answers]
    }

    fn by_metrics(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Option<Proof> {
        let evictions = |metrics: &FanoutMetrics| metrics.delivery_metrics.slow_consumer_evictions;
        let evicted = evictions(sides.after).saturating_sub(evictions(sides.before));
        let deepest =
            sides.after.topic_windows.iter().map(|window| window.queue_depth).max().unwrap_or(0);
        let planned = fault.targets.len() as u64;
        // Who was not evicted may be slow all the same: that is what `no_eviction` wants to know.
        (sides.part(evicted, planned) >= planned).then(|| Proof {
            effective: planned,
            how: format!(
                "evictions counted by the target; its deepest queue now holds {deepest} events"
            ),
        })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        let how =
            "clients whose socket held bytes of the target's in the kernel that they had not read";
        Proof::of(answered, how)
    }
}
