//! Rule `after_unsubscribe`: nothing of a topic comes after its unsubscribe was acknowledged, until
//! the client's next subscribe names it; and nothing of one that the socket never subscribed to, although
//! the client's token opens it (of one that it does not open, see `authz_leak`).
//!
//! Such deliveries are not applied. Cases: unsubscribed topics on which some client saw something new
//! meanwhile, for on a silent topic nothing is put to the test. Nothing is undecided. Memory: the
//! [`Track`]'s standing.

use khala_wire::topic::TopicId;

use super::ledger::Ledger;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use crate::record::{Delivery, Micros};

/// An unsubscribe was acknowledged.
pub fn on_unsubscribed(track: &mut Track, at: Micros) {
    track.standing = Standing::Left { at, broken: false };
}

/// Judges a delivery; says whether it breaks the rule.
pub fn on_delivery(delivery: &Delivery, track: &mut Track, tally: &mut Tally) -> bool {
    let Standing::Left { broken, at: left_at } = &mut track.standing else { return false };
    *broken = true;
    let Delivery { client, topic, seq, at, .. } = *delivery;
    let violation = Violation {
        at_us: at,
        rule: Rule::AfterUnsubscribe,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(track.epoch),
        message: format!(
            "seq {seq} came {:.1?} after the unsubscribe was acknowledged",
            std::time::Duration::from_micros(at.saturating_sub(*left_at))
        ),
    };
    tally.violate(violation, 0);
    true
}

/// A batch of a granted topic came over a socket on which no subscribe had named it.
pub fn on_never_subscribed(
    client: u32,
    topic: TopicId,
    seq: Option<u64>,
    at: Micros,
    tally: &mut Tally,
) {
    let what = seq.map_or_else(|| "a batch".to_owned(), |seq| format!("seq {seq}"));
    let violation = Violation {
        at_us: at,
        rule: Rule::AfterUnsubscribe,
        client: Some(client),
        topic: Some(topic),
        seqs: seq.map(|seq| (seq, seq)),
        epoch: None,
        message: format!("{what} came over a socket that had never subscribed to the topic"),
    };
    tally.violate(violation, 0);
}

/// The client subscribes again; some client has seen `head_seen`.
pub fn on_subscribing(track: &Track, head_seen: u64, tally: &mut Tally) {
    if let Standing::Left { broken, .. } = track.standing {
        let tested = broken || head_seen > track.highest.unwrap_or_default();
        tally.judged(Rule::AfterUnsubscribe, u64::from(tested));
    }
}

/// The run ends while the client is away from the topic.
pub fn settle(topic: TopicId, track: &Track, ledger: &Ledger, tally: &mut Tally) {
    if let Standing::Left { broken, at } = track.standing {
        let last = ledger.seen().range((topic, 0)..=(topic, u64::MAX)).next_back();
        let moved = last.is_some_and(|(&(_, seq), contents)| {
            seq > track.highest.unwrap_or_default()
                && contents.values().any(|content| content.first.0 > at)
        });
        tally.judged(Rule::AfterUnsubscribe, u64::from(broken || moved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Source;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;
    const RULE: Rule = Rule::AfterUnsubscribe;

    fn delivery(seq: u64, at: Micros) -> Delivery {
        let source = Source::Foreign;
        Delivery { client: 0, epoch: 1, topic: TOPIC, seq, at, content: 1, hash_fits: true, source }
    }

    fn left() -> Track {
        let mut track = Track::default();
        track.begin(1, Some(8));
        on_unsubscribed(&mut track, 100);
        track
    }

    #[test]
    fn a_delivery_after_the_reply_is_a_violation_until_the_next_subscribe() {
        let (mut track, mut tally) = (left(), Tally::new(5));
        assert!(on_delivery(&delivery(9, 101), &mut track, &mut tally));
        on_subscribing(&track, 8, &mut tally);
        track.begin(2, Some(8));
        assert!(!on_delivery(&delivery(9, 102), &mut track, &mut tally));
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
    }

    #[test]
    fn what_was_never_subscribed_to_is_a_violation_that_says_so() {
        let mut tally = Tally::new(5);
        on_never_subscribed(3, TOPIC, Some(9), 50, &mut tally);
        on_never_subscribed(3, TOPIC, None, 51, &mut tally);
        let kept = tally.kept();
        assert_eq!(
            (kept[0].client, kept[0].topic, kept[0].seqs),
            (Some(3), Some(TOPIC), Some((9, 9)))
        );
        assert!(kept.iter().all(|it| it.message.ends_with("had never subscribed to the topic")));
    }

    #[test]
    fn silence_is_a_case_that_held_only_if_something_was_to_be_heard() {
        for (head_seen, judged) in [(9, 1), (8, 0)] {
            let mut tally = Tally::new(5);
            on_subscribing(&left(), head_seen, &mut tally);
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, judged));
        }
        for (seq, at, judged) in [(9, 101, 1), (9, 99, 0), (8, 101, 0)] {
            let (mut ledger, mut tally) = (Ledger::default(), Tally::new(5));
            ledger.deliver(&delivery(seq, at));
            settle(TOPIC, &left(), &ledger, &mut tally);
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, judged), "{seq} {at}");
        }
    }

    #[test]
    fn what_came_out_when_the_client_left_is_no_case() {
        let (mut ledger, mut tally) = (Ledger::default(), Tally::new(5));
        ledger.deliver(&delivery(9, 100));
        settle(TOPIC, &left(), &ledger, &mut tally);
        assert_eq!(tally.rule(RULE).judged, 0);
    }
}
