//! `disconnect`: cuts the sockets of clients, at an instant.
//!
//! A close or a reset is proven by the target's own count of disconnects; a gauge of active
//! consumers stands in for it where there is none, and misses whoever is back before it is read. A
//! half-open cut is proven the other way round: the target still counts the dead sockets when the
//! clients are back on new ones.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::model::DisconnectStyle;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Sides, Undo};
use crate::client::orders::{Control, Order};

/// Until clients notice at a heartbeat (the next after one that was not answered) and are back.
const HALF_OPEN_PROOF: Duration = Duration::from_secs(58);

/// The fault.
#[derive(Debug)]
pub struct Disconnect {
    /// How the cut looks to the target.
    pub style: DisconnectStyle,
}

impl Fault for Disconnect {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let (fault, intended, style) = (fault.id, fault.at_us, self.style);
            control.give(Order::Cut { fault, intended, style });
        }
        Undo::nothing()
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        let planned = fault.targets.len() as u64;
        if self.style == DisconnectStyle::HalfOpen {
            let active = |metrics: &khala_wire::metrics::FanoutMetrics| {
                metrics.delivery_metrics.active_consumers
            };
            let both = active(sides.after).saturating_sub(active(sides.before));
            return Proof {
                effective: Some(sides.part(both, planned)),
                how: "dead sockets that the target counted beside the new ones".to_owned(),
            };
        }
        cut_sockets(planned, sides)
    }

    fn proof_timeout(&self) -> Duration {
        match self.style {
            DisconnectStyle::HalfOpen => HALF_OPEN_PROOF,
            _ => Duration::from_secs(5),
        }
    }
}

/// Sockets that the target saw end.
pub(super) fn cut_sockets(planned: u64, sides: &Sides<'_>) -> Proof {
    let (before, after) = (&sides.before.delivery_metrics, &sides.after.delivery_metrics);
    match (before.total_disconnects, after.total_disconnects) {
        (Some(before), Some(after)) => Proof {
            effective: Some(sides.part(after.saturating_sub(before), planned)),
            how: "disconnects counted by the target".to_owned(),
        },
        _ => {
            let gone = before.active_consumers.saturating_sub(after.active_consumers);
            Proof {
                effective: Some(sides.part(gone, planned)),
                how: "drop of active consumers in the target's metrics".to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_plan::model::FaultKind;
    use khala_wire::metrics::{DeliveryMetrics, FanoutMetrics};

    use super::*;
    use crate::heads::Answers;

    fn metrics(total_disconnects: Option<u64>, active_consumers: u64) -> FanoutMetrics {
        let delivery_metrics =
            DeliveryMetrics { total_disconnects, active_consumers, ..DeliveryMetrics::default() };
        FanoutMetrics { delivery_metrics, ..FanoutMetrics::default() }
    }

    fn effective(style: DisconnectStyle, before: FanoutMetrics, after: FanoutMetrics) -> u64 {
        let fault = PlannedFault {
            id: 0,
            phase: 1,
            at_us: 0,
            duration_us: None,
            spread_us: None,
            kind: FaultKind::Disconnect { style },
            targets: vec![1, 2, 3],
        };
        let sides = Sides {
            before: &before,
            after: &after,
            answers_before: Answers::default(),
            answers_after: Answers::default(),
            planned_together: 3,
        };
        Disconnect { style }.prove(&fault, &sides).effective.expect("can tell")
    }

    #[test]
    fn the_targets_count_decides_and_the_gauge_stands_in_for_it() {
        let reset = DisconnectStyle::Reset;
        assert_eq!(effective(reset, metrics(Some(5), 9), metrics(Some(7), 9)), 2);
        assert_eq!(effective(reset, metrics(Some(5), 9), metrics(Some(50), 9)), 3);
        assert_eq!(effective(reset, metrics(None, 9), metrics(None, 8)), 1);
    }

    #[test]
    fn a_half_open_cut_shows_as_sockets_too_many() {
        let half_open = DisconnectStyle::HalfOpen;
        assert_eq!(effective(half_open, metrics(Some(5), 9), metrics(Some(5), 12)), 3);
        assert_eq!(effective(half_open, metrics(Some(5), 9), metrics(Some(8), 9)), 0);
    }
}
