//! Rule `gap`: where seqs are dense (on streams, and on states if the target's keys say so) none is missing
//! between the resume cursor and what came later.
//!
//! A range is entered when its epoch ends (a new subscribe, or the end of the run): a seq that comes
//! late but in the same epoch is out of order instead, and belongs to `nonmonotonic`. It is judged at the
//! merge: one in which some client saw anything is a gap, one of [holes](super::missing) alone is none,
//! unless the target's keys make a rule of them. One violation a subscription and range, whatever its
//! length; of a range the first is kept. Constant memory: the [`Track`](super::track::Track)'s bounded
//! lists, and what [`Lost`] keeps. Cases: deliveries on such topics. Undecided: ranges beyond those.

use std::collections::BTreeSet;

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::ledger::Ledger;
use super::lost_publish;
use super::missing::{Claim, Lost, Shares, Unseen};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, PublishId};

/// What the plan says of the target's seqs.
#[derive(Clone, Copy, Debug)]
pub struct Seqs {
    /// Nobody else writes to it, so that nobody else leaves holes.
    pub exclusive: bool,
    /// A hole breaks the rule.
    pub holes_are_gaps: bool,
    /// Whether the run has drained.
    pub drained: bool,
    /// From when on somebody was owed all that was begun.
    pub owed_from: Micros,
}

/// What came of the missing seqs of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Publishes that are known to be lost by their gaps.
    pub claimed: BTreeSet<PublishId>,
    /// Seqs that nothing can claim.
    pub holes: u64,
    /// The first of them.
    pub first_hole: Option<u64>,
    /// Commands that failed or were not answered, and came out nowhere.
    pub failed: u64,
}

/// Judges what is missing of a topic.
pub fn settle(
    topic: TopicId,
    lost: &Lost,
    ledger: &Ledger,
    seqs: Seqs,
    tally: &mut Tally,
) -> Found {
    let Some(of_topic) = lost.topics().get(&topic) else { return Found::default() };
    tally.undecided_cases(Rule::Gap, of_topic.beyond());
    let Seqs { drained, owed_from, .. } = seqs;
    let claims = match topic.kind() {
        TopicKind::Stream => {
            let lost = lost_publish::unseen_events(ledger, topic, owed_from, drained).lost;
            lost_publish::claims(ledger, topic, &lost)
        }
        TopicKind::State => {
            let lost = lost_publish::unseen_versions(ledger, topic, owed_from, drained);
            // A state lags behind its commands, so that their times say nothing of its seqs.
            let claim = |publish| Claim { publish, above: 0, below: u64::MAX };
            lost.into_iter().map(claim).collect()
        }
    };
    let failed = ledger.came_to_nothing();
    let may_be = match seqs {
        Seqs { holes_are_gaps: true, .. } => 0,
        Seqs { exclusive: true, .. } => failed,
        Seqs { exclusive: false, .. } => u64::MAX,
    };
    let unseen = Unseen::of(of_topic, topic, ledger);
    let shares = Shares::of(unseen, claims, may_be);
    // Ranges of different clients overlap; they come in order of their first seqs.
    let (mut events, mut next) = (0_u64, 0);
    for (&(first, last), missed) in of_topic.ranges() {
        if shares.are_holes((first, last)) {
            continue;
        }
        let end = last.saturating_add(1);
        events += end.saturating_sub(first.max(next));
        next = end.max(next);
        let what = if first == last {
            format!("seq {first} was never delivered")
        } else {
            format!("seqs {first} to {last} were never delivered")
        };
        let (at_us, client, epoch) = missed.first;
        let violation = Violation {
            at_us,
            rule: Rule::Gap,
            client: Some(client),
            topic: Some(topic),
            seqs: Some((first, last)),
            epoch: Some(epoch),
            message: format!("{what}, although seq {} was", last.saturating_add(1)),
        };
        let (more, last, seconds) = (missed.times - 1, missed.last, &missed.seconds);
        tally.violate_for(violation, more, missed.clients(), last, seconds);
    }
    tally.missing(Rule::Gap, topic, events);
    let (holes, first_hole) = (shares.holes, shares.first_hole());
    Found { claimed: shares.explained, holes, first_hole, failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::track::Missing;
    use crate::record::{Delivery, Outcome, Published, Source};
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;
    const ALONE: Seqs =
        Seqs { exclusive: true, holes_are_gaps: false, drained: true, owed_from: 0 };

    /// Publish n, on worker seq n, begun at 10 n and answered 5 later; not if it failed.
    fn publish(ledger: &mut Ledger, n: u32, outcome: Outcome) {
        let start = u64::from(n) * 10;
        ledger.publish(&Published {
            outcome,
            ..testing::published(
                PublishId::Planned(n),
                0,
                [start, start + 5],
                (outcome == Outcome::Ok).then_some(n.into()),
            )
        });
    }

    fn deliver(ledger: &mut Ledger, n: u32, seq: u64) {
        let publish = PublishId::Planned(n);
        ledger.deliver(&Delivery {
            client: 1,
            epoch: 1,
            topic: TOPIC,
            seq,
            at: 900,
            content: seq,
            hash_fits: true,
            source: Source::Event {
                publish,
                intended: Some(1),
                begun: Some(1),
                payload: 0,
                worker_seq: None,
            },
        });
    }

    /// Seqs 11 and 14 came, as publishes 1 and 4, whatever became of 2 and 3; 12 and 13 came to nobody.
    fn run(second: Outcome, third: Outcome) -> (Lost, Ledger) {
        let (mut lost, mut ledger) = (Lost::default(), Ledger::default());
        let outcomes = [Outcome::Ok, second, third, Outcome::Ok];
        (1..).zip(outcomes).for_each(|(n, outcome)| publish(&mut ledger, n, outcome));
        deliver(&mut ledger, 1, 11);
        deliver(&mut ledger, 4, 14);
        for client in 0..70 {
            let missing = Missing { first: 12, last: 13, noticed_at: 200 - u64::from(client) };
            lost.add(client, TOPIC, 1, &[missing]);
        }
        (lost, ledger)
    }

    fn judged(run: &(Lost, Ledger), seqs: Seqs) -> (Tally, Found) {
        let mut tally = Tally::new(5);
        let found = settle(TOPIC, &run.0, &run.1, seqs, &mut tally);
        (tally, found)
    }

    const FAILED: Outcome = Outcome::ConnectionFailed;

    #[test]
    fn what_failed_commands_may_have_left_is_a_hole_and_no_gap() {
        let (tally, found) = judged(&run(FAILED, FAILED), ALONE);
        assert_eq!((tally.total(), found.holes, found.first_hole), (0, 2, Some(12)));
        assert_eq!((found.failed, found.claimed), (2, BTreeSet::new()));
    }

    #[test]
    fn an_acknowledged_publish_that_nobody_saw_makes_a_gap_of_it_drained_or_not() {
        for drained in [true, false] {
            let (tally, found) = judged(&run(FAILED, Outcome::Ok), Seqs { drained, ..ALONE });
            assert_eq!((tally.count(Rule::Gap), found.holes), (70, 1));
            assert_eq!(found.claimed, BTreeSet::from([PublishId::Planned(3)]));
            assert_eq!(tally.rule(Rule::Gap).clients.len(), 70);
        }
    }

    #[test]
    fn more_holes_than_failed_commands_are_gaps_where_nobody_else_writes() {
        let mut one_too_many = run(FAILED, FAILED);
        deliver(&mut one_too_many.1, 3, 15);
        let (tally, found) = judged(&one_too_many, ALONE);
        assert_eq!((tally.count(Rule::Gap), found.failed), (70, 1), "the third came out after all");
        let shared = Seqs { exclusive: false, ..ALONE };
        let (tally, found) = judged(&one_too_many, shared);
        assert_eq!((tally.total(), found.holes), (0, 2), "of others");
        let by_key = Seqs { holes_are_gaps: true, ..shared };
        let (tally, found) = judged(&one_too_many, by_key);
        assert_eq!((tally.count(Rule::Gap), found.holes), (70, 0));
    }

    #[test]
    fn what_anybody_saw_is_a_gap_of_those_who_did_not() {
        let mut seen = run(FAILED, FAILED);
        deliver(&mut seen.1, 2, 12);
        let (tally, found) = judged(&seen, Seqs { exclusive: false, ..ALONE });
        assert_eq!((tally.count(Rule::Gap), found.holes), (70, 1));
    }

    #[test]
    fn each_range_is_told_once_with_what_came_after_it() {
        let mut run = run(FAILED, Outcome::Ok);
        run.0.add(3, TOPIC, 7, &[Missing { first: 14, last: 14, noticed_at: 95 }]);
        let (tally, _) = judged(&run, ALONE);
        let kept = tally.kept();
        let told: Vec<_> = kept.iter().map(|hole| (hole.at_us, &*hole.message)).collect();
        let one = (95, "seq 14 was never delivered, although seq 15 was");
        let more = (131, "seqs 12 to 13 were never delivered, although seq 14 was");
        assert_eq!((told, tally.count(Rule::Gap)), (vec![one, more], 71));
        // Seqs 12 and 13 to 70 clients, 14 to one of them.
        let cause = &tally.rule(Rule::Gap).causes[&(Some(TOPIC), "".into())];
        assert_eq!((cause.updates, cause.events, cause.last_us), (141, 3, 200));
        let whose = (kept[0].client, kept[0].topic, kept[0].epoch, kept[0].seqs);
        assert_eq!(whose, (Some(3), Some(TOPIC), Some(7), Some((14, 14))));
    }
}
