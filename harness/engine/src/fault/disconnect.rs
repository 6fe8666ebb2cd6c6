//! `disconnect`: cuts the sockets of clients, at an instant.
//!
//! Proven by the target's own count of disconnects where it offers one; a gauge of active consumers
//! would miss whoever is back before it is read.

use std::rc::Rc;

use khala_plan::model::DisconnectStyle;
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;

use super::{ClientFault, Proof, Undo};
use crate::client::driver::{Control, Order};

/// The fault.
#[derive(Debug)]
pub struct Disconnect {
    /// How the cut looks to the target.
    pub style: DisconnectStyle,
}

impl ClientFault for Disconnect {
    fn apply(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let (fault, intended, style) = (fault.id, fault.at_us, self.style);
            control.give(Order::Cut { fault, intended, style });
        }
        Undo::Nothing
    }

    fn prove(&self, fault: &PlannedFault, before: &FanoutMetrics, after: &FanoutMetrics) -> Proof {
        let counts =
            (before.delivery_metrics.total_disconnects, after.delivery_metrics.total_disconnects);
        let planned = fault.targets.len() as u64;
        match counts {
            (Some(before), Some(after)) => Proof {
                effective: Some(after.saturating_sub(before).min(planned)),
                how: "disconnects counted by the target".to_owned(),
            },
            _ => {
                let (before, after) = (
                    before.delivery_metrics.active_consumers,
                    after.delivery_metrics.active_consumers,
                );
                Proof {
                    effective: Some(before.saturating_sub(after).min(planned)),
                    how: "drop of active consumers in the target's metrics".to_owned(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_plan::model::FaultKind;
    use khala_wire::metrics::DeliveryMetrics;

    use super::*;

    fn metrics(total_disconnects: Option<u64>, active_consumers: u64) -> FanoutMetrics {
        let delivery_metrics =
            DeliveryMetrics { total_disconnects, active_consumers, ..DeliveryMetrics::default() };
        FanoutMetrics { delivery_metrics, ..FanoutMetrics::default() }
    }

    #[test]
    fn the_targets_count_decides_and_the_gauge_stands_in_for_it() {
        let style = DisconnectStyle::Reset;
        let fault = PlannedFault {
            id: 0,
            phase: 1,
            at_us: 0,
            kind: FaultKind::Disconnect { style },
            targets: vec![1, 2, 3],
        };
        let prove = |before, after| Disconnect { style }.prove(&fault, &before, &after).effective;
        assert_eq!(prove(metrics(Some(5), 9), metrics(Some(7), 9)), Some(2));
        assert_eq!(prove(metrics(Some(5), 9), metrics(Some(50), 9)), Some(3));
        assert_eq!(prove(metrics(None, 9), metrics(None, 8)), Some(1));
    }
}
