//! Rule `lost_publish`: when the run has drained, every acknowledged publish has reached every
//! client that was subscribed throughout.
//!
//! Two cases, both settled at the merge. A publish that no client ever saw, though some client was
//! there to see it, was lost for all of them: at once if a publish that was sent after its acknowledgement
//! was seen, for that one's seq is higher; else when the run has drained. A client that ends below the seq
//! of an acknowledged publish has lost the tail. (What is missing below a client's highest seq is `gap`'s;
//! a hole that nothing can claim excuses no loss.) If the run did not drain, the tails are undecided. A
//! topic that a client left, or was refused, owes it nothing; nor does one owe what was begun before
//! anybody had subscribed to it, unless somebody did without a cursor, and not because the own one was stale.
//!
//! A passive run has no publish of its own: there what anybody was sent before the drain began has reached every
//! such client when it is over, of streams and of states alike, for a later version has a higher seq.
//! Cases: an acknowledged publish and a live client subscribed to its topic, each pair one; of a run
//! that did not drain only those of clients without a missing tail; of a passive one each seq that somebody had
//! before the drain, and client.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::ledger::Ledger;
use super::missing::Claim;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use crate::record::{Micros, PublishId, Source};

/// A client at the end of the run.
pub struct Witness<'a> {
    /// The client.
    pub client: u32,
    /// Whether it is live: connected, replay complete.
    pub live: bool,
    /// What it got.
    pub tracks: &'a BTreeMap<TopicId, Track>,
}

/// How the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When the last client was retired.
    pub at: Micros,
    /// Whether the harness waited for the topics to run dry, so that what is missing is lost.
    pub drained: bool,
}

/// Acknowledged publishes that nobody saw on a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// They can no longer come.
    pub lost: Vec<PublishId>,
    /// They may be on their way.
    pub open: u64,
}

/// Those of a stream.
#[must_use]
pub fn unseen_events(ledger: &Ledger, topic: TopicId, owed_from: Micros, drained: bool) -> Unseen {
    let seqs = ledger.seqs();
    let seen = seqs.keys().filter(|(of, _)| *of == topic);
    let last_begun = seen.filter_map(|(_, publish)| ledger.begun(*publish)).max();
    let mut unseen = Unseen::default();
    for (&publish, entry) in ledger.acknowledged() {
        if seqs.contains_key(&(topic, publish)) || entry.begun < owed_from {
            continue;
        }
        // A worker's creation is acknowledged before its event exists.
        let planned = matches!(publish, PublishId::Planned(_));
        let passed = planned && last_begun.is_some_and(|begun| begun > entry.at);
        if drained || passed {
            unseen.lost.push(publish);
        } else {
            unseen.open += 1;
        }
    }
    unseen
}

/// Acknowledged versions of documents that can no longer come on a state topic, nor one after them: none
/// while it may have been skipped, or be on its way.
#[must_use]
pub fn unseen_versions(
    ledger: &Ledger,
    topic: TopicId,
    owed_from: Micros,
    drained: bool,
) -> Vec<PublishId> {
    if !drained {
        return Vec::new();
    }
    let mut reached: BTreeMap<u16, u64> = BTreeMap::new();
    for contents in ledger.seen().range((topic, 0)..=(topic, u64::MAX)).map(|(_, it)| it) {
        for content in contents.values() {
            if let Source::State { worker, version } = content.source {
                let highest = reached.entry(worker).or_default();
                *highest = version.max(*highest);
            }
        }
    }
    let acknowledged = ledger.acknowledged().iter();
    let lost = acknowledged.filter(|(publish, entry)| {
        matches!(publish, PublishId::Planned(_))
            && entry.begun >= owed_from
            && reached.get(&entry.worker).is_none_or(|reached| *reached < entry.worker_seq)
    });
    lost.map(|(publish, _)| *publish).collect()
}

/// Between which seqs of a stream publishes that got lost must have come out: above all that was acknowledged
/// before they were begun, and below all that was begun after they were acknowledged.
#[must_use]
pub fn claims(ledger: &Ledger, topic: TopicId, lost: &[PublishId]) -> Vec<Claim> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for ((_, publish), seq) in ledger.seqs().into_iter().filter(|((of, _), _)| *of == topic) {
        let acknowledged = ledger.acknowledged().get(&publish);
        // A worker's creation is acknowledged before its event exists.
        if let (PublishId::Planned(_), Some(entry)) = (publish, acknowledged) {
            before.push((entry.at, seq));
        }
        after.extend(ledger.begun(publish).map(|begun| (begun, seq)));
    }
    before.sort_unstable();
    after.sort_unstable();
    let mut highest = 0;
    for (_, seq) in &mut before {
        highest = highest.max(*seq);
        *seq = highest;
    }
    let mut lowest = u64::MAX;
    for (_, seq) in after.iter_mut().rev() {
        lowest = lowest.min(*seq);
        *seq = lowest;
    }
    let claim = |&publish: &PublishId| {
        let entry = ledger.acknowledged().get(&publish)?;
        let earlier = before.partition_point(|(at, _)| *at < entry.begun);
        let above = earlier.checked_sub(1).and_then(|last| before.get(last));
        let answered = match publish {
            PublishId::Planned(_) => entry.at,
            PublishId::Lifecycle { .. } | PublishId::OverSession { .. } => Micros::MAX,
        };
        let below = after.get(after.partition_point(|(begun, _)| *begun <= answered));
        Some(Claim {
            publish,
            above: above.map_or(0, |(_, seq)| *seq),
            below: below.map_or(u64::MAX, |(_, seq)| *seq),
        })
    };
    lost.iter().filter_map(claim).collect()
}

/// What the rule must know of a topic beside the ledger.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    /// From when on somebody was owed all that was begun.
    pub from: Micros,
    /// Publishes that are known to be lost by the gap that each of them left.
    pub gaps: BTreeSet<PublishId>,
}

/// Judges the ledger against all clients. `owed`: by topic.
pub fn settle(
    ledger: &Ledger,
    published_on: &BTreeSet<TopicId>,
    owed: &BTreeMap<TopicId, Owed>,
    witnesses: &[Witness<'_>],
    end: End,
    tally: &mut Tally,
) {
    let seqs = ledger.seqs();
    for &topic in published_on.iter().filter(|topic| topic.kind() == TopicKind::Stream) {
        let watching: Vec<_> = witnesses
            .iter()
            .filter(|witness| witness.live)
            .filter_map(|witness| Some((witness.client, witness.tracks.get(&topic)?)))
            .filter(|(_, track)| track.standing == Standing::Subscribed)
            .collect();
        let drained = end.drained && !watching.is_empty();
        let nothing = Owed::default();
        let owed = owed.get(&topic).unwrap_or(&nothing);
        let unseen = never_seen(ledger, topic, owed, (drained, !watching.is_empty()), tally);
        let head = ledger
            .acknowledged()
            .keys()
            .filter_map(|&publish| seqs.get(&(topic, publish)))
            .max()
            .copied()
            .unwrap_or_default();
        let publishes = ledger.acknowledged().len() as u64;
        let mut tail = 0;
        for (client, track) in watching {
            if end.drained {
                tail = head.saturating_sub(track.highest.unwrap_or_default()).max(tail);
            }
            let decided = end.drained || track.highest.unwrap_or_default() >= head;
            tally.judged(Rule::LostPublish, if decided { publishes } else { 0 });
            tail_lost(client, topic, track, (head, "acknowledged"), end, tally);
        }
        tally.missing(Rule::LostPublish, topic, unseen + tail);
    }
}

/// Judges clients against what others were sent before the drain began, at `due_by`: a passive run has no other
/// ledger. `due_by` is the harness's own to choose, because others publish on.
pub fn settle_by_sight(
    ledger: &Ledger,
    witnesses: &[Witness<'_>],
    due_by: Micros,
    end: End,
    tally: &mut Tally,
) {
    let mut heads: BTreeMap<TopicId, (u64, u64)> = BTreeMap::new();
    for (&(topic, seq), contents) in ledger.seen() {
        let first = contents.values().map(|content| content.first.0).min();
        if first.is_some_and(|first| first < due_by) {
            let (head, seqs) = heads.entry(topic).or_default();
            (*head, *seqs) = (seq.max(*head), *seqs + 1);
        }
    }
    for (topic, (head, seqs)) in heads {
        let mut most = 0;
        for witness in witnesses.iter().filter(|witness| witness.live) {
            let Some(track) = witness.tracks.get(&topic) else { continue };
            if track.standing != Standing::Subscribed {
                continue;
            }
            let behind = head.saturating_sub(track.highest.unwrap_or_default());
            most = if end.drained { behind.max(most) } else { most };
            tally.judged(Rule::LostPublish, if end.drained || behind == 0 { seqs } else { 0 });
            let of = "others had had before the drain began";
            tail_lost(witness.client, topic, track, (head, of), end, tally);
        }
        tally.missing(Rule::LostPublish, topic, most);
    }
}

/// Judges the publishes that nobody saw; gives how many of them are violations.
fn never_seen(
    ledger: &Ledger,
    topic: TopicId,
    owed: &Owed,
    (drained, watched): (bool, bool),
    tally: &mut Tally,
) -> u64 {
    let mut unseen = 0;
    let Unseen { lost, open } = unseen_events(ledger, topic, owed.from, drained);
    tally.undecided_cases(Rule::LostPublish, if watched { open } else { 0 });
    for publish in &lost {
        // What came out on a seq that every client missed is known to nobody by name, but what is missing
        // is: each client has it as a `gap`, and the lost publish is its consequence.
        // Where no client has a gap, as after lost cursors, nothing else tells of the loss.
        if owed.gaps.contains(publish) {
            tally.consequence(Rule::LostPublish);
            continue;
        }
        let Some(entry) = ledger.acknowledged().get(publish) else { continue };
        let what = match publish {
            PublishId::Planned(n) => format!("publish {n}"),
            PublishId::Lifecycle { .. } => "a lifecycle event".to_owned(),
            // Never acknowledged as a publish; said for completeness.
            PublishId::OverSession { client } => format!("the command of client {client}"),
        };
        let message = format!(
            "{what} (worker {}, worker seq {}) was acknowledged and reached no client",
            entry.worker, entry.worker_seq
        );
        let violation = Violation {
            at_us: entry.at,
            rule: Rule::LostPublish,
            client: None,
            topic: Some(topic),
            seqs: None,
            epoch: None,
            message,
        };
        tally.violate(violation, 0);
        unseen += 1;
    }
    unseen
}

/// Judges the tail of a client. `of`: by what it is owed up to `head`.
fn tail_lost(
    client: u32,
    topic: TopicId,
    track: &Track,
    (head, of): (u64, &str),
    end: End,
    tally: &mut Tally,
) {
    let highest = track.highest.unwrap_or_default();
    if highest >= head {
        return;
    }
    if !end.drained {
        tally.undecided(Rule::LostPublish);
        return;
    }
    let violation = Violation {
        at_us: end.at,
        rule: Rule::LostPublish,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((highest + 1, head)),
        epoch: Some(track.epoch),
        message: format!(
            "the run has drained, and the client ends at seq {highest} of {head} {of}"
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delivery, Source};
    use crate::testing;

    const RULE: Rule = Rule::LostPublish;
    const TOPIC: TopicId = TopicId::WORKER_EVENTS;
    const END: End = End { at: 9_000, drained: true };

    fn publish(ledger: &mut Ledger, n: u32) {
        ledger.publish(&testing::published(PublishId::Planned(n), 0, [1, 2], Some(u64::from(n))));
    }

    fn deliver(ledger: &mut Ledger, n: u32, seq: u64) {
        let publish = PublishId::Planned(n);
        let source = Source::Event {
            publish,
            intended: Some(1),
            begun: Some(1),
            payload: 0,
            worker_seq: None,
        };
        ledger.deliver(&Delivery {
            client: 1,
            epoch: 1,
            topic: TOPIC,
            seq,
            at: 5,
            content: seq,
            hash_fits: true,
            source,
        });
    }

    #[test]
    fn a_gap_that_everybody_has_explains_the_publish_that_claims_it() {
        let mut ledger = Ledger::default();
        (1..=6).for_each(|n| publish(&mut ledger, n));
        deliver(&mut ledger, 1, 11);
        deliver(&mut ledger, 2, 14);
        // After lost cursors nobody has a gap, and nothing else tells of the loss.
        for (gaps, lost, explained) in [(&[3, 5][..], 2, 2), (&[], 4, 0), (&[1, 2], 4, 0)] {
            let mut tally = Tally::new(9);
            let gaps = gaps.iter().copied().map(PublishId::Planned).collect();
            never_seen(&ledger, TOPIC, &Owed { from: 0, gaps }, (true, true), &mut tally);
            assert_eq!((tally.count(RULE), tally.rule(RULE).consequences), (lost, explained));
        }
    }

    #[test]
    fn a_lost_publish_came_out_between_those_that_were_before_and_after_it() {
        let claim = |seen: &[u32], lost: u32| {
            let claims = claims(&three(seen), TOPIC, &[PublishId::Planned(lost)]);
            claims.iter().map(|claim| (claim.above, claim.below)).collect::<Vec<_>>()
        };
        assert_eq!(claim(&[1, 3], 2), [(1, 3)]);
        assert_eq!(claim(&[1, 2], 3), [(2, u64::MAX)]);
        assert_eq!(claim(&[2, 3], 1), [(0, 2)]);
        assert_eq!(claim(&[], 1), [(0, u64::MAX)]);
        // Of one that was under way at the same time nothing is known.
        let mut ledger = three(&[1, 3]);
        let wide = PublishId::Planned(4);
        ledger.publish(&testing::published(wide, 0, [15, 30], Some(9)));
        let claims = claims(&ledger, TOPIC, &[wide]);
        assert_eq!(claims, [Claim { publish: wide, above: 0, below: u64::MAX }]);
    }

    /// Publishes 1 to 3, begun at 10, 20 and 30 and each acknowledged 5 later; those of `seen` came.
    fn three(seen: &[u32]) -> Ledger {
        let mut ledger = Ledger::default();
        for n in 1..=3 {
            let start = u64::from(n) * 10;
            ledger.publish(&testing::published(
                PublishId::Planned(n),
                0,
                [start, start + 5],
                Some(u64::from(n)),
            ));
        }
        seen.iter().for_each(|&n| deliver(&mut ledger, n, u64::from(n)));
        ledger
    }

    #[test]
    fn a_publish_is_lost_at_once_when_one_that_was_sent_after_its_answer_was_seen() {
        for (seen, lost, open) in [
            (&[1, 3][..], &[2][..], 0),
            (&[3], &[1, 2], 0),
            (&[1, 2], &[], 1),
            (&[2], &[1], 1),
            (&[], &[], 3),
        ] {
            let unseen = unseen_events(&three(seen), TOPIC, 0, false);
            let lost: Vec<_> = lost.iter().copied().map(PublishId::Planned).collect();
            assert_eq!(unseen, Unseen { lost, open }, "{seen:?}");
        }
        let all = unseen_events(&three(&[1]), TOPIC, 0, true);
        assert_eq!((all.lost.len(), all.open), (2, 0), "drained");
    }

    #[test]
    fn one_that_was_sent_before_the_answer_says_nothing_of_it() {
        let mut ledger = three(&[3]);
        let command = |id, start, done| testing::published(id, 0, [start, done], Some(9));
        let open = |ledger: &Ledger| unseen_events(ledger, TOPIC, 0, false).open;
        ledger.publish(&command(PublishId::Planned(4), 12, 30));
        assert_eq!(open(&ledger), 1, "its answer came when the other was sent");
        ledger.publish(&command(PublishId::Planned(4), 12, 29));
        assert_eq!(open(&ledger), 0);
        // A worker's creation is acknowledged before its event exists.
        ledger.publish(&command(PublishId::Lifecycle { worker: 0, seq: 1 }, 1, 2));
        assert_eq!(open(&ledger), 1);
    }

    #[test]
    fn what_was_begun_before_anybody_was_there_is_owed_to_nobody() {
        let lost = |from| unseen_events(&three(&[3]), TOPIC, from, true).lost.len();
        assert_eq!((lost(10), lost(11), lost(20), lost(21)), (2, 1, 1, 0));
    }

    #[test]
    fn a_version_is_unseen_while_neither_it_nor_a_later_one_came_and_only_when_drained() {
        let mut ledger = three(&[]);
        let topic = TopicId::WORKER_SUMMARIES;
        let unseen = |ledger: &Ledger, drained| unseen_versions(ledger, topic, 0, drained);
        assert_eq!((unseen(&ledger, true).len(), unseen(&ledger, false).len()), (3, 0));
        ledger.deliver(&Delivery {
            client: 1,
            epoch: 1,
            topic,
            seq: 7,
            at: 5,
            content: 7,
            hash_fits: true,
            source: Source::State { worker: 0, version: 2 },
        });
        assert_eq!(unseen(&ledger, true), [PublishId::Planned(3)]);
        assert_eq!(unseen_versions(&ledger, topic, 31, true), []);
    }

    #[test]
    fn without_a_drain_only_a_client_that_has_all_is_a_case() {
        let mut ledger = Ledger::default();
        (1..=3).for_each(|n| publish(&mut ledger, n));
        (1..=3).for_each(|n| deliver(&mut ledger, n, 10 + u64::from(n)));
        for (has, drained, [lost, judged, open]) in [
            (13, false, [0, 3, 0]),
            (14, false, [0, 3, 0]),
            (12, false, [0, 0, 1]),
            (12, true, [1, 3, 0]),
            (13, true, [0, 3, 0]),
        ] {
            let mut track = Track::default();
            track.begin(1, Some(has));
            let tracks = BTreeMap::from([(TOPIC, track)]);
            let witness = Witness { client: 1, live: true, tracks: &tracks };
            let mut tally = Tally::new(9);
            let end = End { at: 9_000, drained };
            let owed = BTreeMap::new();
            settle(&ledger, &BTreeSet::from([TOPIC]), &owed, &[witness], end, &mut tally);
            let found = tally.rule(RULE);
            let found = [found.violations, found.judged, found.undecided];
            assert_eq!(found, [lost, judged, open], "{has} of 13, drained: {drained}");
        }
    }

    #[test]
    fn a_lost_tail_is_named_from_the_seq_after_the_last_that_came() {
        let mut track = Track::default();
        track.begin(1, Some(11));
        let mut tally = Tally::new(9);
        tail_lost(1, TOPIC, &track, (14, "acknowledged"), END, &mut tally);
        assert_eq!(tally.kept()[0].seqs, Some((12, 14)));
        tail_lost(1, TOPIC, &track, (11, "acknowledged"), END, &mut tally);
        assert_eq!(tally.count(RULE), 1);
    }

    #[test]
    fn without_a_ledger_of_its_own_a_run_holds_clients_against_what_others_had_before_the_drain() {
        const DUE: Micros = 6;
        let mut ledger = Ledger::default();
        (1..=3).for_each(|n| deliver(&mut ledger, n, 10 + u64::from(n)));
        let late = |seq| Delivery {
            client: 1,
            epoch: 1,
            topic: TOPIC,
            seq,
            at: DUE,
            content: seq,
            hash_fits: true,
            source: Source::Foreign,
        };
        ledger.deliver(&late(14));
        for (has, live, drained, [lost, judged, open]) in [
            (13, true, true, [0, 3, 0]),
            (12, true, true, [1, 3, 0]),
            (12, true, false, [0, 0, 1]),
            (13, true, false, [0, 3, 0]),
            (12, false, true, [0, 0, 0]),
        ] {
            let mut track = Track::default();
            track.begin(1, Some(has));
            let tracks = BTreeMap::from([(TOPIC, track)]);
            let witness = Witness { client: 1, live, tracks: &tracks };
            let mut tally = Tally::new(9);
            settle_by_sight(&ledger, &[witness], DUE, End { at: 9_000, drained }, &mut tally);
            let found = tally.rule(RULE);
            let found = [found.violations, found.judged, found.undecided];
            assert_eq!(found, [lost, judged, open], "{has}, live: {live}, drained: {drained}");
        }
    }
}
