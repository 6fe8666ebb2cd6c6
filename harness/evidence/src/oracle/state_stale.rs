//! Rule `state_stale`: when the run has drained, every live client has the last acknowledged version
//! of each of our workers' documents on the state topics that it subscribes to.
//!
//! Planned publishes only: a worker's creation is acknowledged before its event exists. What comes, but
//! late, is judged by [`state_late`](super::state_late). Cases: live client, state topic and document, each triple one. Undecided: what is missing if the run did not
//! drain, and what a fault's cursor or a pruned log may have taken care of ([`Baseline`]). What a
//! snapshot held counts as delivered, and what it lacked as missing. Memory: one version for each
//! topic and worker of a client.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::baseline::{Baseline, Has, Versions};
use super::ledger::Ledger;
use super::lost_publish::End;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use super::windows::Timelines;
use crate::record::PublishId;

/// A live client at the end of the run.
pub struct Holder<'a> {
    /// The client.
    pub client: u32,
    /// What it got.
    pub tracks: &'a BTreeMap<TopicId, Track>,
    /// Versions delivered.
    pub versions: &'a BTreeMap<(TopicId, u16), u64>,
    /// Versions that came with the snapshots from which it resumed.
    pub held: &'a BTreeMap<(TopicId, u16), u64>,
    /// What it counts as known besides.
    pub baselines: &'a BTreeMap<TopicId, Baseline>,
}

/// Judges the ledger against all live clients.
pub fn settle<'a>(
    ledger: &Ledger,
    (versions, timelines): (&Versions, &Timelines),
    published_on: &BTreeSet<TopicId>,
    holders: impl Iterator<Item = Holder<'a>>,
    end: End,
    tally: &mut Tally,
) {
    let mut last: BTreeMap<u16, u64> = BTreeMap::new();
    for (publish, entry) in ledger.acknowledged() {
        if matches!(publish, PublishId::Planned(_)) {
            let version = last.entry(entry.worker).or_default();
            *version = entry.worker_seq.max(*version);
        }
    }
    for holder in holders {
        let states = published_on.iter().filter(|topic| topic.kind() == TopicKind::State);
        for &topic in states {
            let Some(track) = holder.tracks.get(&topic) else { continue };
            if track.standing != Standing::Subscribed {
                continue;
            }
            for (&worker, &required) in &last {
                let of = |versions: &BTreeMap<_, _>| versions.get(&(topic, worker)).copied();
                let had = of(holder.versions).max(of(holder.held)).unwrap_or_default();
                let owes_all = |base: &Baseline| base.replays_all(topic, had, timelines);
                let baseline = holder.baselines.get(&topic).copied().filter(|b| !owes_all(b));
                match versions.has((topic, worker), had, required, baseline) {
                    Has::Yes => tally.judged(Rule::StateStale, 1),
                    Has::No if end.drained => {
                        tally.judged(Rule::StateStale, 1);
                        let message = format!(
                            "the run has drained, and the client has version {had} of worker \
                             {worker}'s document; {required} was acknowledged"
                        );
                        let violation = Violation {
                            at_us: end.at,
                            rule: Rule::StateStale,
                            client: Some(holder.client),
                            topic: Some(topic),
                            seqs: None,
                            epoch: Some(track.epoch),
                            message,
                        };
                        tally.violate(violation, 0);
                    }
                    Has::No | Has::Open => tally.undecided(Rule::StateStale),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;
    const RULE: Rule = Rule::StateStale;

    /// A live client that was sent version `had` of a document whose version 5 was published at 500.
    fn judged(had: u64, baseline: Option<Baseline>, drained: bool) -> Tally {
        judged_with(had, 0, baseline, drained)
    }

    /// The same of one whose snapshot held version `held`.
    fn judged_with(had: u64, held: u64, baseline: Option<Baseline>, drained: bool) -> Tally {
        let mut ledger = Ledger::default();
        for worker_seq in [4, 5] {
            ledger.publish(&testing::published(
                PublishId::Planned(u32::try_from(worker_seq).expect("small")),
                3,
                [worker_seq * 100, worker_seq * 100 + 1],
                Some(worker_seq),
            ));
        }
        let tracks = BTreeMap::from([(TOPIC, Track::default())]);
        let versions = BTreeMap::from([((TOPIC, 3), had)]);
        let baselines = baseline.map(|baseline| (TOPIC, baseline)).into_iter().collect();
        let held = BTreeMap::from([((TOPIC, 3), held)]);
        let holder = Holder {
            client: 0,
            tracks: &tracks,
            versions: &versions,
            held: &held,
            baselines: &baselines,
        };
        let mut tally = Tally::new(5);
        settle(
            &ledger,
            (&Versions::of(&ledger), &Timelines::default()),
            &BTreeSet::from([TOPIC]),
            std::iter::once(holder),
            End { at: 1_000, drained },
            &mut tally,
        );
        tally
    }

    #[test]
    fn the_last_version_is_accepted_and_an_older_one_is_not() {
        let tally = judged(5, None, true);
        assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
        let tally = judged(4, None, true);
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
    }

    #[test]
    fn a_run_that_did_not_drain_and_a_cursor_that_may_have_it_leave_it_open() {
        let cursor = |before| {
            Some(Baseline {
                cursor: Some(9),
                before,
                reset: false,
                replayed_by: None,
                whole: false,
            })
        };
        for tally in [judged(4, None, false), judged(4, cursor(500), true)] {
            assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1));
        }
        assert_eq!(judged(4, cursor(499), true).count(RULE), 1, "published after the cursor");
    }

    #[test]
    fn what_a_snapshot_held_the_client_has_and_what_it_lacked_is_stale() {
        let (cursor, before, reset) = (Some(9), 900, false);
        let snapshot = Some(Baseline { cursor, before, reset, replayed_by: None, whole: true });
        assert_eq!(judged_with(0, 5, snapshot, true).total(), 0);
        for (had, held) in [(0, 0), (0, 4), (4, 0)] {
            let tally = judged_with(had, held, snapshot, true);
            assert_eq!((tally.count(RULE), tally.rule(RULE).undecided), (1, 0), "{had} {held}");
        }
    }

    #[test]
    fn a_replay_from_the_beginning_owes_what_is_newer_than_what_it_brought() {
        let beginning = |reset| {
            Some(Baseline {
                cursor: None,
                before: 900,
                reset,
                replayed_by: Some(950),
                whole: false,
            })
        };
        assert_eq!(judged(4, beginning(false), true).count(RULE), 1);
        for open in [judged(0, beginning(false), true), judged(4, beginning(true), true)] {
            assert_eq!((open.total(), open.rule(RULE).undecided), (0, 1), "it may be pruned");
        }
    }
}
