//! How far apart clients get the same event: the metric `delivery_spread`, which needs nobody's word for when
//! it was published. Settled at the merge, from what the ledger holds of each place.

use khala_plan::metric::MetricId;
use khala_plan::surface::Surface;
use khala_wire::TopicKind;

use super::Flow;
use super::metrics::Key;
use super::stalls::Stalls;
use crate::context::Context;

/// Enters a sample for each event of a stream that two clients got, and each surface that it came to live.
pub(super) fn settle(context: &Context, stalls: &Stalls, flow: &mut Flow) {
    for (&(topic, _), contents) in flow.ledger.seen() {
        let had: u64 = contents.values().map(|content| content.deliveries - content.again).sum();
        let first = contents.values().map(|content| content.first.0).min();
        let (TopicKind::Stream, Some(first), 2..) = (topic.kind(), first, had) else { continue };
        for surface in Surface::ALL {
            let last = contents.values().map(|content| content.last_live[surface as usize]).max();
            let Some(last) = last.filter(|last| *last >= first) else { continue };
            let phase = context.phase_at(first);
            let key = Key { metric: MetricId::DeliverySpread, phase, surface: Some(surface) };
            // Whoever was last: if any of our threads stood still meanwhile, it may have been ours.
            let stood = context.client_threads().any(|it| stalls.of(it).cover(first, last));
            let spread = last - first;
            if stood {
                flow.metrics.sample_apart(key, 0, first, spread);
            } else {
                flow.metrics.sample(key, 0, first, spread, spread);
            }
        }
    }
}
