//! Finding `future_cursor_silence`: a cursor beyond head was accepted, and what was published after that did
//! not come.
//!
//! The client stays subscribed, then asks for a heartbeat: what the target had sent by its answer stands
//! before it on the wire, so that no slowness of ours makes a silence. Owed are events that somebody else
//! got, whose command was begun after the ok reply to the subscribe and acknowledged longer than the settle
//! bound before the heartbeat was sent; missed are those below the first seq that came. Of a document versions
//! may be skipped: owed is one only where nothing of the topic came. Breaks `gap` where the target's keys make
//! it a rule. Memory: a [`Stay`] for each client and topic of a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::{Acknowledged, Ledger};
use crate::record::{Micros, Source};

/// The finding's name.
pub const NAME: &str = "future_cursor_silence";

/// A client that stayed subscribed to a topic with a cursor beyond head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stay {
    /// The client.
    pub client: u32,
    /// The topic.
    pub topic: TopicId,
    /// The cursor.
    pub cursor: u64,
    /// When the ok reply to the subscribe had come.
    pub from: Micros,
    /// When the heartbeat at the end was sent.
    pub asked: Micros,
    /// The lowest seq of the topic that came in between.
    pub first: Option<u64>,
}

/// What did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// To whom.
    pub stay: Stay,
    /// How many.
    pub missed: u64,
    /// The lowest and the highest seq of them.
    pub seqs: (u64, u64),
    /// When the first and the last of them had been acknowledged.
    pub times: (Micros, Micros),
    /// It, in a sentence.
    pub message: String,
}

/// What did not come to the clients that stayed.
#[must_use]
pub fn settle(stays: &BTreeSet<Stay>, ledger: &Ledger, settle_within: Duration) -> Vec<Silence> {
    let grace = u64::try_from(settle_within.as_micros()).unwrap_or(Micros::MAX);
    let mut came: BTreeMap<TopicId, Vec<Came>> = BTreeMap::new();
    for stay in stays {
        came.entry(stay.topic).or_insert_with(|| came_of(ledger, stay.topic));
    }
    stays.iter().filter_map(|stay| silence(stay, &came[&stay.topic], grace)).collect()
}

/// An acknowledged command that came out.
#[derive(Clone, Copy, Debug)]
struct Came {
    seq: u64,
    begun: Micros,
    acknowledged: Micros,
    is_state: bool,
}

/// What came out on a topic, by seq.
fn came_of(ledger: &Ledger, topic: TopicId) -> Vec<Came> {
    let versions: BTreeMap<(u16, u64), &Acknowledged> =
        ledger.acknowledged().values().map(|it| ((it.worker, it.worker_seq), it)).collect();
    let seen = ledger.seen().range((topic, 0)..=(topic, u64::MAX));
    let came = seen.filter_map(|(&(_, seq), contents)| {
        contents.values().find_map(|content| {
            let (entry, is_state) = match content.source {
                Source::Event { publish, .. } => (ledger.acknowledged().get(&publish)?, false),
                Source::State { worker, version } => (*versions.get(&(worker, version))?, true),
                Source::Document { .. } | Source::Foreign => return None,
            };
            Some(Came { seq, begun: entry.begun, acknowledged: entry.at, is_state })
        })
    });
    came.collect()
}

fn silence(stay: &Stay, came: &[Came], grace: Micros) -> Option<Silence> {
    let until = stay.asked.checked_sub(grace)?;
    let is_missed = |it: &&Came| {
        let owed = it.begun > stay.from && it.acknowledged < until;
        owed && stay.first.is_none_or(|first| !it.is_state && it.seq < first)
    };
    let missed: Vec<_> = came.iter().filter(is_missed).collect();
    let (first, last) = (missed.first()?, missed.last()?);
    let seqs = (first.seq, last.seq);
    let times = missed.iter().map(|it| it.acknowledged);
    let times = (times.clone().min()?, times.max()?);
    let then = match stay.first {
        Some(first) => format!("the first that came was seq {first}"),
        None => "nothing came".to_owned(),
    };
    let message = format!(
        "subscribed with cursor {} beyond head, a client did not get {} acknowledged events of {}, seqs {} to \
         {}; {then}",
        stay.cursor,
        missed.len(),
        stay.topic.name(),
        seqs.0,
        seqs.1
    );
    Some(Silence { stay: *stay, missed: missed.len() as u64, seqs, times, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delivery, PublishId};
    use crate::testing;

    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const STATE: TopicId = TopicId::WORKER_SUMMARIES;
    const SECOND: Micros = 1_000_000;

    /// One command a second, acknowledged 100 ms later and seen by another client as the seq of its number.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for n in 1..=10_u32 {
            let (publish, number) = (PublishId::Planned(n), u64::from(n));
            let begun = number * SECOND;
            ledger.publish(&testing::published(
                publish,
                0,
                [begun, begun + SECOND / 10],
                Some(number),
            ));
            let event = Source::Event {
                publish,
                intended: None,
                begun: None,
                payload: 0,
                worker_seq: None,
            };
            let state = Source::State { worker: 0, version: number };
            for (topic, source) in [(STREAM, event), (STATE, state)] {
                ledger.deliver(&Delivery {
                    client: 1,
                    epoch: 1,
                    topic,
                    seq: number,
                    at: begun + SECOND / 5,
                    content: number,
                    hash_fits: true,
                    source,
                });
            }
        }
        ledger
    }

    fn found(topic: TopicId, first: Option<u64>) -> Vec<Silence> {
        let (from, asked) = (3 * SECOND, 8 * SECOND);
        let stay = Stay { client: 7, topic, cursor: 99, from, asked, first };
        settle(&[stay].into(), &ledger(), Duration::from_secs(2))
    }

    #[test]
    fn what_was_begun_after_the_reply_and_acknowledged_in_time_is_owed() {
        let [silence] = &found(STREAM, None)[..] else { panic!("one") };
        assert_eq!((silence.missed, silence.seqs), (2, (4, 5)));
        assert_eq!(silence.times, (4 * SECOND + SECOND / 10, 5 * SECOND + SECOND / 10));
        assert!(silence.message.contains("nothing came"), "{silence:?}");
    }

    #[test]
    fn what_lies_below_the_first_that_came_is_missed() {
        assert_eq!(found(STREAM, Some(5))[0].seqs, (4, 4));
        assert_eq!(found(STREAM, Some(4)), []);
    }

    #[test]
    fn versions_of_a_document_may_be_skipped_where_a_later_one_came() {
        assert_eq!(found(STATE, None)[0].seqs, (4, 5));
        assert_eq!(found(STATE, Some(5)), []);
    }
}
