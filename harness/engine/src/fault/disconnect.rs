//! `disconnect`: cuts the sockets of clients, at an instant.
//!
//! A close or a reset is proven by the target's own count of disconnects, a half-open cut the other way
//! round: the target still counts the dead sockets when the clients are back on new ones. A target that
//! counts neither has taken the clients back on new sockets.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::fault::Definition as _;
use khala_plan::fault::disconnect::Disconnect;
use khala_plan::model::{Cohort, DisconnectStyle};
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;

use super::{Counted, Fault, Proof, ShownBy, Sides, Undo};
use crate::client::orders::{Comeback, Control, Order, Parting};
use crate::session::Goodbye;

/// What the target answered to clients whose sockets were cut.
pub(super) const RETURNED: &str = "new upgrades by clients whose sockets had been cut";
/// How long a client that has waited out its back-off may take to be counted: a token, an upgrade, a subscribe, and
/// the next look at the metrics.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);
/// How long after the cut the target may still count what is dead. By the contract it ends a channel "after 60 s
/// without (seen at the next 15 s tick)" a heartbeat.
const COUNTED_DEAD: Duration = Duration::from_secs(60 + 15);

impl Fault for Disconnect {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let (fault, intended) = (fault.id, fault.at_us);
            let cut = |parting| Order::Cut { fault, intended, parting, comeback: Comeback::AsEver };
            control.give(match self.style {
                DisconnectStyle::Close { code } => cut(Parting::Goodbye(Goodbye::Code(code))),
                DisconnectStyle::Reset => cut(Parting::Reset),
                DisconnectStyle::HalfOpen => Order::Sever { fault, intended },
            });
        }
        Undo::nothing()
    }

    fn counted_as(&self) -> Counted {
        Counted::Disconnects
    }

    fn shown_by(&self) -> &'static [ShownBy] {
        &[ShownBy::Metrics, ShownBy::Answers]
    }

    fn by_metrics(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Option<Proof> {
        let planned = fault.targets.len() as u64;
        if self.style != DisconnectStyle::HalfOpen {
            return cut_sockets(planned, sides);
        }
        let active = |metrics: &FanoutMetrics| metrics.delivery_metrics.active_consumers;
        let both = active(sides.after).saturating_sub(active(sides.before));
        // A gauge: a target that finds out sooner than the clients never counts both.
        (sides.part(both, planned) >= planned)
            .then(|| Proof::of(planned, "dead sockets that the target counted beside the new ones"))
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, RETURNED)
    }

    /// Of a half-open cut until its clients have noticed and are back, and no longer than the dead are counted
    /// beside them.
    fn metrics_within(&self, cohorts: &[&Cohort]) -> Duration {
        if self.style != DisconnectStyle::HalfOpen {
            return Duration::from_secs(5);
        }
        let back = cohorts.iter().map(|cohort| {
            self.noticed_after(cohort.heartbeat).1 + cohort.backoff.longest() + COUNTED_WITHIN
        });
        back.max().unwrap_or(COUNTED_DEAD).min(COUNTED_DEAD)
    }
}

/// Sockets that the target saw end, where it counts them.
pub(super) fn cut_sockets(planned: u64, sides: &Sides<'_>) -> Option<Proof> {
    let (before, after) = (&sides.before.delivery_metrics, &sides.after.delivery_metrics);
    let ended = after.total_disconnects?.saturating_sub(before.total_disconnects?);
    Some(Proof::of(sides.part(ended, planned), "disconnects counted by the target"))
}

#[cfg(test)]
mod tests {
    use khala_plan::surface::Surface;
    use khala_wire::metrics::DeliveryMetrics;

    use super::*;

    fn metrics(total_disconnects: Option<u64>, active_consumers: u64) -> FanoutMetrics {
        let delivery_metrics =
            DeliveryMetrics { total_disconnects, active_consumers, ..DeliveryMetrics::default() };
        FanoutMetrics { delivery_metrics, ..FanoutMetrics::default() }
    }

    fn effective(
        style: DisconnectStyle,
        before: FanoutMetrics,
        after: FanoutMetrics,
    ) -> Option<u64> {
        let fault = PlannedFault {
            id: 0,
            phase: 1,
            at_us: 0,
            duration_us: None,
            spread_us: None,
            kind: Disconnect { style }.into(),
            targets: vec![1, 2, 3],
        };
        let sides = Sides { before: &before, after: &after, planned_together: 3 };
        Disconnect { style }.by_metrics(&fault, &sides).map(|proof| proof.effective)
    }

    #[test]
    fn the_targets_count_decides_and_no_gauge_stands_in_for_it() {
        let reset = DisconnectStyle::Reset;
        assert_eq!(effective(reset, metrics(Some(5), 9), metrics(Some(7), 9)), Some(2));
        assert_eq!(effective(reset, metrics(Some(5), 9), metrics(Some(50), 9)), Some(3));
        assert_eq!(effective(reset, metrics(None, 9), metrics(None, 8)), None);
    }

    #[test]
    fn a_half_open_cut_is_looked_for_until_its_clients_are_back_or_its_dead_are_let_go() {
        let cohort = |surface: Surface, heartbeat| Cohort {
            name: surface.name().to_owned(),
            surface,
            clients: 1,
            topics: surface.default_topics(),
            backoff: surface.default_backoff(),
            heartbeat: Duration::from_secs(heartbeat),
            replay_batch_size: 200,
        };
        let within = |style, cohorts: &[Cohort]| {
            let cohorts: Vec<_> = cohorts.iter().collect();
            Disconnect { style }.metrics_within(&cohorts).as_secs()
        };
        let desktop = |heartbeat| cohort(Surface::Desktop, heartbeat);
        let half_open = |cohorts: &[Cohort]| within(DisconnectStyle::HalfOpen, cohorts);
        // Noticed at the second heartbeat, back 2 s later.
        assert_eq!(half_open(&[desktop(20)]), 2 * 20 + 2 + 10);
        assert_eq!(half_open(&[desktop(2)]), 2 * 2 + 2 + 10);
        // The last to come back, with all the jitter that there may be, has its time too.
        assert_eq!(half_open(&[desktop(20), cohort(Surface::Ios, 20)]), 2 * 20 + 12 + 10);
        // Who notices later than this comes back when nothing is left to be counted beside it.
        assert_eq!(half_open(&[desktop(50)]), 75);
        assert_eq!(within(DisconnectStyle::Reset, &[desktop(50)]), 5);
    }

    #[test]
    fn a_half_open_cut_shows_as_sockets_too_many() {
        let half_open = DisconnectStyle::HalfOpen;
        assert_eq!(effective(half_open, metrics(Some(5), 9), metrics(Some(5), 12)), Some(3));
        assert_eq!(effective(half_open, metrics(Some(5), 9), metrics(Some(8), 11)), None);
    }
}
