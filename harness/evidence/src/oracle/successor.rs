//! Finding `comes_with_its_successor`: an event that only comes when the next one pushes it out, under a load
//! so dense that none waits beyond the settle bound.
//!
//! It shows in the delays: they grow one for one with the time to the next publish, while a runtime that
//! gathers batches for a while delays all alike. Looked at are acknowledged publishes of the load, from the
//! acknowledgement to when the first client had it, or a later version of the document; the next one is that
//! of the topic, or that of the worker. Needs `EVENTS_MIN` of them, with gaps `SPREAD_MIN`-fold apart.
//! Fails nothing: what is late is judged by `late_publish` and `state_stale`.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;

use super::ledger::Ledger;
use crate::record::{Micros, PublishId, Source};

/// The finding's name.
pub const NAME: &str = "comes_with_its_successor";

/// Publishes of which anything is said.
const EVENTS_MIN: usize = 30;
/// How many times the longest gap between them must be the shortest.
const SPREAD_MIN: Micros = 10;
/// Seconds of delay for each second to the next publish that count as one for one.
const ONE_FOR_ONE: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// Share of the delays' variance that the gaps must explain.
const EXPLAINED_MIN: f64 = 0.8;

/// A publish of the load: its worker, when it was acknowledged, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Came {
    worker: u16,
    acknowledged: Micros,
    at: Micros,
}

/// What is to be told of a topic, with how many publishes it is seen.
#[must_use]
pub fn find(ledger: &Ledger, topic: TopicId) -> Option<(String, u64)> {
    let mut came = came(ledger, topic);
    came.sort_unstable_by_key(|one| (one.acknowledged, *one));
    let of_topic = ("the topic", gaps(&came, |_, _| true));
    came.sort_unstable();
    let of_worker = ("their worker", gaps(&came, |one, next| one.worker == next.worker));
    let fits = |(whose, pairs): (&str, Vec<(Micros, Micros)>)| {
        let slope = one_for_one(&pairs)?;
        let shortest = pairs.iter().map(|(gap, _)| *gap).min()?;
        let longest = pairs.iter().map(|(gap, _)| *gap).max()?;
        let message = format!(
            "{} publishes on {} come with the next one of {whose}: their delay grows by {slope:.2} s for each \
             second until that is acknowledged ({} to {} ms)",
            pairs.len(),
            topic.name(),
            shortest / 1_000,
            longest / 1_000
        );
        Some((message, pairs.len() as u64))
    };
    [of_topic, of_worker].into_iter().find_map(fits)
}

fn came(ledger: &Ledger, topic: TopicId) -> Vec<Came> {
    let mut events: BTreeMap<PublishId, Micros> = BTreeMap::new();
    let mut versions: BTreeMap<u16, BTreeMap<u64, Micros>> = BTreeMap::new();
    for contents in ledger.seen().range((topic, 0)..=(topic, u64::MAX)).map(|(_, it)| it) {
        for content in contents.values() {
            let at = content.first.0;
            let first = match content.source {
                Source::Event { publish, .. } => events.entry(publish).or_insert(at),
                Source::State { worker, version } => {
                    versions.entry(worker).or_default().entry(version).or_insert(at)
                }
                Source::Document { .. } | Source::Foreign => continue,
            };
            *first = at.min(*first);
        }
    }
    // A later version that came earlier brought the older one with it.
    for of_worker in versions.values_mut() {
        let mut earliest = Micros::MAX;
        for at in of_worker.values_mut().rev() {
            earliest = earliest.min(*at);
            *at = earliest;
        }
    }
    let planned = ledger.acknowledged().iter().filter_map(|(publish, entry)| {
        let PublishId::Planned(_) = publish else { return None };
        let version = || {
            let of_worker = versions.get(&entry.worker)?;
            of_worker.range(entry.worker_seq..).next().map(|(_, at)| *at)
        };
        let at = events.get(publish).copied().or_else(version)?;
        Some(Came { worker: entry.worker, acknowledged: entry.at, at })
    });
    planned.collect()
}

/// Of each and the next in the list, if they belong together: the time between their acknowledgements, and
/// the delay of the earlier.
fn gaps(came: &[Came], together: impl Fn(&Came, &Came) -> bool) -> Vec<(Micros, Micros)> {
    let pairs = came.windows(2).filter_map(|pair| {
        let [one, next] = pair else { return None };
        if !together(one, next) {
            return None;
        }
        let gap = next.acknowledged.checked_sub(one.acknowledged).filter(|gap| *gap > 0)?;
        Some((gap, one.at.saturating_sub(one.acknowledged)))
    });
    pairs.collect()
}

/// The slope of delays over gaps, if it is one for one.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
fn one_for_one(pairs: &[(Micros, Micros)]) -> Option<f64> {
    let shortest = pairs.iter().map(|(gap, _)| *gap).min()?;
    let longest = pairs.iter().map(|(gap, _)| *gap).max()?;
    if pairs.len() < EVENTS_MIN || longest / shortest.max(1) < SPREAD_MIN {
        return None;
    }
    let n = pairs.len() as f64;
    let mean = |of: fn(&(Micros, Micros)) -> Micros| {
        pairs.iter().map(|pair| of(pair) as f64).sum::<f64>() / n
    };
    let (gap, delay) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| {
        pairs.iter().map(|&(g, d)| of(g as f64 - gap, d as f64 - delay)).sum::<f64>()
    };
    let (gg, gd, dd) = (sum(&|g, _| g * g), sum(&|g, d| g * d), sum(&|_, d| d * d));
    let slope = gd / gg;
    let explained = gd * gd / (gg * dd);
    (ONE_FOR_ONE.contains(&slope) && explained >= EXPLAINED_MIN).then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Delivery;
    use crate::testing;

    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const STATE: TopicId = TopicId::WORKER_SUMMARIES;

    /// Publishes of one worker, `gap(n)` ms before the next, each acknowledged at once and come `delay(n)` ms
    /// later.
    fn found(
        topic: TopicId,
        count: u32,
        gap: impl Fn(u64) -> u64,
        delay: impl Fn(u64) -> u64,
    ) -> Option<(String, u64)> {
        let (mut ledger, mut now) = (Ledger::default(), 1_000_000);
        for n in 0..count {
            let (publish, number) = (PublishId::Planned(n), u64::from(n));
            ledger.publish(&testing::published(publish, 0, [now, now], Some(number)));
            let source = if topic == STREAM {
                Source::Event {
                    publish,
                    intended: Some(now),
                    begun: Some(now),
                    payload: 0,
                    worker_seq: None,
                }
            } else {
                Source::State { worker: 0, version: number }
            };
            let at = now + delay(number) * 1_000;
            let (seq, content) = (number, number);
            let (client, epoch, hash_fits) = (1, 1, true);
            ledger.deliver(&Delivery { client, epoch, topic, seq, at, content, hash_fits, source });
            now += gap(number) * 1_000;
        }
        find(&ledger, topic)
    }

    /// From 20 to 205 ms.
    fn spread(n: u64) -> u64 {
        20 + n * 7 % 38 * 5
    }

    #[test]
    fn what_comes_when_the_next_one_does_is_told_of_streams_and_states() {
        for topic in [STREAM, STATE] {
            let (message, count) = found(topic, 40, spread, |n| spread(n) + 3).expect("is found");
            assert_eq!(count, 39);
            let told = "come with the next one of the topic: their delay grows by 1.00 s";
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn the_next_one_is_looked_for_among_the_workers_own_too() {
        let came: Vec<_> = (0..80_u64)
            .map(|n| {
                let (worker, nth) = (u16::from(n % 2 == 1), n / 2);
                let at = |nth: u64| (0..nth).map(spread).sum::<u64>() + u64::from(worker) * 7;
                Came { worker, acknowledged: at(nth), at: at(nth + 1) }
            })
            .collect();
        let mut of_worker = came.clone();
        of_worker.sort_unstable();
        let pairs = gaps(&of_worker, |one, next| one.worker == next.worker);
        assert_eq!((pairs.len(), one_for_one(&pairs).is_some()), (78, true));
        let mut of_topic = came;
        of_topic.sort_unstable_by_key(|one| one.acknowledged);
        assert_eq!(one_for_one(&gaps(&of_topic, |_, _| true)), None);
    }

    #[test]
    fn delays_of_another_cause_are_none() {
        assert_eq!(found(STREAM, 40, spread, |_| 3), None, "at once");
        assert_eq!(found(STREAM, 40, spread, |n| 30 + n * 13 % 50), None, "whatever the gap");
        assert_eq!(found(STREAM, 40, spread, |n| spread(n) / 2), None, "half as much");
    }

    #[test]
    fn few_publishes_or_gaps_of_one_length_say_nothing() {
        assert_eq!(found(STREAM, 30, spread, spread), None);
        assert!(found(STREAM, 39, spread, spread).is_some());
        let alike = |n| 100 + n % 7;
        assert_eq!(found(STREAM, 40, alike, alike), None);
    }
}
