//! Rule `after_unsubscribe`: nothing of a topic comes after its unsubscribe was acknowledged, until
//! the client's next subscribe names it; and nothing of one that the socket never subscribed to, although
//! the client's token opens it (of one that it does not open, see `authz_leak`). A list that is refused because
//! another topic of it is stale subscribes to nothing (contract, section 3, subscribe).
//!
//! Such deliveries are not applied, whatever their seq. Cases: times from the reply to an unsubscribe to the
//! next subscribe, or to the end, in which a publish to the topic was begun and acknowledged or some client
//! saw something new: on a silent topic nothing is put to the test. Nothing is undecided. Memory: the
//! [`Track`]'s standing, and `AWAYS_MAX` such times a client; further ones are no cases.

use std::collections::BTreeSet;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use crate::record::{Delivery, Micros, PublishId};

/// Times kept of a client.
const AWAYS_MAX: usize = 64;

/// A time in which a client was not subscribed to a topic that it had left, and nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    topic: TopicId,
    from: Micros,
    until: Micros,
}

/// When the load's publishes were begun, in order, each with when the first of all from there on was
/// acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Publishes(Vec<(Micros, Micros)>);

impl Publishes {
    /// Those of a run.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let planned = |publish: &PublishId| matches!(publish, PublishId::Planned(_));
        let entries = ledger.acknowledged().iter().filter(|(publish, _)| planned(publish));
        let mut all: Vec<_> = entries.map(|(_, entry)| (entry.begun, entry.at)).collect();
        all.sort_unstable();
        let mut first = Micros::MAX;
        for (_, at) in all.iter_mut().rev() {
            first = first.min(*at);
            *at = first;
        }
        Self(all)
    }

    /// Whether one was begun and acknowledged within a time.
    fn within(&self, from: Micros, until: Micros) -> bool {
        let next = self.0.partition_point(|(begun, _)| *begun <= from);
        self.0.get(next).is_some_and(|(_, at)| *at < until)
    }
}

/// An unsubscribe was acknowledged.
pub fn on_unsubscribed(track: &mut Track, at: Micros) {
    track.standing = Standing::Left { at, broken: false };
}

/// A delivery that was not to come.
fn violation(delivery: &Delivery, epoch: u32, message: String) -> Violation {
    let Delivery { client, topic, seq, at, .. } = *delivery;
    Violation {
        at_us: at,
        rule: Rule::AfterUnsubscribe,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        message,
    }
}

/// Judges a delivery; says whether it breaks the rule.
pub fn on_delivery(delivery: &Delivery, track: &mut Track, tally: &mut Tally) -> bool {
    let Standing::Left { broken, at: left_at } = &mut track.standing else { return false };
    *broken = true;
    let after = std::time::Duration::from_micros(delivery.at.saturating_sub(*left_at));
    let message =
        format!("seq {} came {after:.1?} after the unsubscribe was acknowledged", delivery.seq);
    tally.violate(violation(delivery, track.epoch, message), 0);
    true
}

/// Judges a delivery of a topic whose list was refused for another topic's sake; `answered`: whether an earlier
/// subscribe of the topic on the same socket was answered with ok, and may be in force still. Says whether it breaks the
/// rule.
pub fn on_refused_list(
    delivery: &Delivery,
    track: &Track,
    answered: bool,
    tally: &mut Tally,
) -> bool {
    if track.standing != Standing::Out || answered {
        return false;
    }
    let message = format!(
        "seq {} came after the list with its topic was refused, before another subscribe: one stale topic \
         refuses the whole list",
        delivery.seq
    );
    tally.violate(violation(delivery, track.epoch, message), 0);
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

/// The client subscribes again; some client has seen `head_seen`. What only its publishes can tell is put
/// by.
pub fn on_subscribing(
    topic: TopicId,
    track: &Track,
    (head_seen, until): (u64, Micros),
    aways: &mut Vec<Away>,
    tally: &mut Tally,
) {
    let Standing::Left { broken, at: from } = track.standing else { return };
    if broken || head_seen > track.highest.unwrap_or_default() {
        tally.judged(Rule::AfterUnsubscribe, 1);
    } else if aways.len() < AWAYS_MAX {
        aways.push(Away { topic, from, until });
    }
}

/// Counts the cases of times that are over. `published_on`: where the run's commands come out.
pub fn settle_aways(
    aways: &[Away],
    published_on: &BTreeSet<TopicId>,
    publishes: &Publishes,
    tally: &mut Tally,
) {
    let tested = |away: &&Away| {
        published_on.contains(&away.topic) && publishes.within(away.from, away.until)
    };
    tally.judged(Rule::AfterUnsubscribe, aways.iter().filter(tested).count() as u64);
}

/// The run ends, for the client at `until`, while it is away from the topic.
pub fn settle(
    topic: TopicId,
    track: &Track,
    ledger: &Ledger,
    (publishes, until): (Option<&Publishes>, Micros),
    tally: &mut Tally,
) {
    if let Standing::Left { broken, at } = track.standing {
        let last = ledger.seen().range((topic, 0)..=(topic, u64::MAX)).next_back();
        let moved = last.is_some_and(|(&(_, seq), contents)| {
            seq > track.highest.unwrap_or_default()
                && contents.values().any(|content| content.first.0 > at)
        });
        let published = publishes.is_some_and(|publishes| publishes.within(at, until));
        let tested = broken || moved || published;
        tally.judged(Rule::AfterUnsubscribe, u64::from(tested));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Source;
    use crate::testing;

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
        on_subscribing(TOPIC, &track, (8, 102), &mut Vec::new(), &mut tally);
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
            let mut aways = Vec::new();
            on_subscribing(TOPIC, &left(), (head_seen, 300), &mut aways, &mut tally);
            assert_eq!(aways.len(), 1 - usize::try_from(judged).expect("small"));
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, judged));
        }
        for (seq, at, judged) in [(9, 101, 1), (9, 99, 0), (8, 101, 0)] {
            let (mut ledger, mut tally) = (Ledger::default(), Tally::new(5));
            ledger.deliver(&delivery(seq, at));
            settle(TOPIC, &left(), &ledger, (None, 900), &mut tally);
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, judged), "{seq} {at}");
        }
    }

    fn published(commands: &[(Micros, Micros)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (&(start, done), n) in commands.iter().zip(0..) {
            ledger.publish(&testing::published(
                PublishId::Planned(n),
                0,
                [start, done],
                Some(n.into()),
            ));
        }
        ledger
    }

    #[test]
    fn what_was_begun_and_acknowledged_meanwhile_makes_a_case_of_it_whoever_saw_it() {
        for (commands, judged) in [
            (&[(101, 299)][..], 1),
            (&[(100, 299)], 0),
            (&[(101, 300)], 0),
            (&[(90, 120), (120, 400), (130, 200), (500, 600)], 1),
            (&[(90, 120), (120, 400), (500, 600)], 0),
        ] {
            let publishes = Publishes::of(&published(commands));
            let away = Away { topic: TOPIC, from: 100, until: 300 };
            let count = |published_on: &BTreeSet<TopicId>| {
                let mut tally = Tally::new(5);
                settle_aways(&[away], published_on, &publishes, &mut tally);
                tally.rule(RULE).judged
            };
            assert_eq!(count(&BTreeSet::from([TOPIC])), judged, "{commands:?}");
            assert_eq!(count(&BTreeSet::new()), 0);
            let mut tally = Tally::new(5);
            settle(TOPIC, &left(), &Ledger::default(), (Some(&publishes), 300), &mut tally);
            assert_eq!(tally.rule(RULE).judged, judged, "{commands:?}, to the end");
        }
    }

    #[test]
    fn times_beyond_the_bound_are_no_cases() {
        let (mut aways, mut tally) = (Vec::new(), Tally::new(5));
        for _ in 0..=AWAYS_MAX {
            on_subscribing(TOPIC, &left(), (8, 300), &mut aways, &mut tally);
        }
        assert_eq!((aways.len(), tally.rule(RULE).judged), (AWAYS_MAX, 0));
    }

    #[test]
    fn a_replay_of_what_the_client_had_counts_as_well() {
        let (mut track, mut tally) = (left(), Tally::new(5));
        assert!(on_delivery(&delivery(3, 101), &mut track, &mut tally));
        assert_eq!(tally.count(RULE), 1);
    }

    #[test]
    fn what_came_out_when_the_client_left_is_no_case() {
        let (mut ledger, mut tally) = (Ledger::default(), Tally::new(5));
        ledger.deliver(&delivery(9, 100));
        settle(TOPIC, &left(), &ledger, (None, 900), &mut tally);
        assert_eq!(tally.rule(RULE).judged, 0);
    }
}
