//! Rule `tail_before_snapshot`: after `stale_cursor` nothing of the topics that it lists comes to the
//! client before its next subscribe, whether it refuses a subscribe or ends a subscription.
//!
//! Such deliveries are not applied, so they make no holes. Cases: topics listed in refusals. Nothing
//! is undecided. Memory: the [`Track`]'s standing.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use crate::record::Delivery;

/// A topic was refused as stale, or its subscription has ended so.
pub fn on_refused(track: &mut Track, tally: &mut Tally) {
    track.standing = Standing::Stale;
    tally.judged(Rule::TailBeforeSnapshot, 1);
}

/// Judges a delivery; says whether it breaks the rule.
pub fn on_delivery(delivery: &Delivery, track: &Track, tally: &mut Tally) -> bool {
    if track.standing != Standing::Stale {
        return false;
    }
    let Delivery { client, topic, seq, at, epoch, .. } = *delivery;
    let violation = Violation {
        at_us: at,
        rule: Rule::TailBeforeSnapshot,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        message: format!(
            "seq {seq} came after its topic was called stale, before another subscribe"
        ),
    };
    tally.violate(violation, 0);
    true
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::TopicId;

    use super::*;
    use crate::record::Source;

    #[test]
    fn a_delivery_after_the_refusal_is_a_violation_until_the_next_subscribe() {
        let delivery = Delivery {
            client: 0,
            epoch: 1,
            topic: TopicId::WORKER_EVENTS,
            seq: 9,
            at: 5,
            content: 1,
            hash_fits: true,
            source: Source::Foreign,
        };
        let (mut track, mut tally) = (Track::default(), Tally::new(5));
        track.begin(1, Some(3));
        assert!(!on_delivery(&delivery, &track, &mut tally));
        on_refused(&mut track, &mut tally);
        assert!(on_delivery(&delivery, &track, &mut tally));
        track.begin(2, Some(8));
        assert!(!on_delivery(&delivery, &track, &mut tally));
        assert_eq!(tally.count(Rule::TailBeforeSnapshot), 1);
        assert_eq!(tally.rule(Rule::TailBeforeSnapshot).judged, 1);
    }
}
