//! What a client counts as known of a state topic without it having been delivered: what lies at or
//! below the watermark of a snapshot, or at or below a cursor that a fault chose.
//!
//! A cursor that a fault chose says that the client has everything up to it; what versions that is,
//! other clients' deliveries at or below it bound from below ([`Versions`]). What that leaves open of
//! publishes begun before the baseline is undecided; what was begun after it must come. A snapshot
//! leaves nothing open: what it does not hold the client does not have.
//!
//! Without a cursor all that is retained is replayed. Where something of a document came, what is newer
//! of it is retained as well; where nothing did, the target's windows may show that nothing was pruned.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::windows::Timelines;
use crate::record::{Micros, Source};

/// From where on a client must be sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Baseline {
    /// What lies at or below it is known; `None` when nothing says what is.
    pub cursor: Option<u64>,
    /// What was begun before may be known, or gone, without a delivery.
    pub before: Micros,
    /// Whether it began without a cursor after its cursor was stale: the log is pruned, so that a
    /// replay of all that is retained need not bring every document.
    pub reset: bool,
    /// Whether it is a snapshot's, of which it is known what it held: nothing of it is open.
    #[serde(default)]
    pub whole: bool,
    /// When the reply to a subscribe without a cursor came: all of the replay was there.
    #[serde(default)]
    pub replayed_by: Option<Micros>,
}

impl Baseline {
    /// Whether a replay from the beginning owes what is older than the baseline all the same, to a
    /// client that was sent version `had` of the document, 0 for none.
    #[must_use]
    pub fn replays_all(&self, topic: TopicId, had: u64, timelines: &Timelines) -> bool {
        let is_unpruned =
            |at| timelines.bounds(topic, at, at).is_some_and(|bounds| bounds.floor_hi == Some(0));
        let from_beginning = self.cursor.is_none() && !self.reset;
        from_beginning && (had > 0 || self.replayed_by.is_some_and(is_unpruned))
    }
}

/// On which seq of a state topic each version of a document was seen, and when it was published.
#[derive(Debug, Default)]
pub struct Versions {
    /// By seq, the highest version so far.
    reflected: BTreeMap<(TopicId, u16), Vec<(u64, u64)>>,
    begun: BTreeMap<(u16, u64), Micros>,
}

/// Whether a client has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// Delivered, or below the baseline.
    Yes,
    /// Neither, and it must.
    No,
    /// Nothing says.
    Open,
}

impl Versions {
    /// Of everything that was seen.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let mut versions = Self::default();
        for (&(topic, seq), contents) in ledger.seen() {
            for content in contents.values() {
                let Source::State { worker, version } = content.source else { continue };
                let list = versions.reflected.entry((topic, worker)).or_default();
                let highest = list.last().map_or(version, |&(_, last)| last.max(version));
                list.push((seq, highest));
            }
        }
        for entry in ledger.acknowledged().values() {
            versions.begun.insert((entry.worker, entry.worker_seq), entry.begun);
        }
        versions
    }

    /// The version of a worker's document that a topic had reflected at `seq`, at the least.
    #[must_use]
    pub fn at(&self, topic: TopicId, worker: u16, seq: u64) -> u64 {
        let Some(list) = self.reflected.get(&(topic, worker)) else { return 0 };
        let index = list.partition_point(|&(at, _)| at <= seq);
        index.checked_sub(1).map_or(0, |index| list[index].1)
    }

    /// Whether a client that has version `had`, delivered or in a snapshot, has the `required` one.
    #[must_use]
    pub fn has(
        &self,
        (topic, worker): (TopicId, u16),
        had: u64,
        required: u64,
        baseline: Option<Baseline>,
    ) -> Has {
        if had >= required {
            return Has::Yes;
        }
        let Some(Baseline { cursor, before, .. }) = baseline.filter(|base| !base.whole) else {
            return Has::No;
        };
        if cursor.is_some_and(|cursor| self.at(topic, worker, cursor) >= required) {
            return Has::Yes;
        }
        let begun = self.begun.get(&(worker, required));
        if begun.is_some_and(|&begun| begun > before) { Has::No } else { Has::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delivery, PublishId};
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;

    fn versions() -> Versions {
        let mut ledger = Ledger::default();
        for (seq, version) in [(10, 3), (20, 7)] {
            ledger.deliver(&Delivery {
                client: 0,
                epoch: 1,
                topic: TOPIC,
                seq,
                at: seq,
                content: seq,
                hash_fits: true,
                source: Source::State { worker: 4, version },
            });
        }
        for (n, worker_seq) in [(0, 7), (1, 9)] {
            ledger.publish(&testing::published(
                PublishId::Planned(n),
                4,
                [worker_seq * 100, worker_seq * 100 + 5],
                Some(worker_seq),
            ));
        }
        Versions::of(&ledger)
    }

    #[test]
    fn what_others_saw_at_or_below_the_cursor_is_known() {
        let baseline = |cursor, before| {
            Some(Baseline { cursor, before, reset: false, replayed_by: None, whole: false })
        };
        let has = |had, required, baseline| versions().has((TOPIC, 4), had, required, baseline);
        assert_eq!(has(7, 7, None), Has::Yes);
        assert_eq!(has(3, 7, None), Has::No);
        assert_eq!(has(0, 7, baseline(Some(20), 800)), Has::Yes);
        assert_eq!(has(0, 7, baseline(Some(19), 800)), Has::Open);
        assert_eq!(has(0, 9, baseline(Some(20), 800)), Has::No, "begun at 900");
        assert_eq!(has(0, 9, baseline(None, 900)), Has::Open);
        let snapshot = |had| {
            let base = baseline(Some(20), 800).map(|base| Baseline { whole: true, ..base });
            has(had, 7, base)
        };
        assert_eq!((snapshot(7), snapshot(6)), (Has::Yes, Has::No), "what it held is known");
    }
}
