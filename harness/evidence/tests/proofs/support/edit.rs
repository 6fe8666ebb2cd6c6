//! One edit of a valid history at a time: every place where a runtime could have gone wrong in one
//! way, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use khala_evidence::Record;
use khala_evidence::record::{
    Delivery, Micros, OfflineCause, OpKind, PublishId, Published, Source, StaleReason, StaleTopic,
};
use khala_wire::topic::TopicId;

use super::epochs::{Epoch, acknowledgements, epochs, planned, versions};
use super::records::{state, stream};

/// A change of some records, by their places.
#[derive(Clone, Debug)]
pub enum Change {
    Remove(Vec<usize>),
    Replace(Vec<(usize, Record)>),
    /// Takes the records out and puts others before a place.
    Move(Vec<usize>, usize, Vec<Record>),
    Insert(usize, Record),
}

/// The records with a change made.
pub fn apply(records: &[Record], change: &Change) -> Vec<Record> {
    let mut edited = Vec::with_capacity(records.len() + 1);
    for (index, record) in records.iter().enumerate() {
        match change {
            Change::Insert(place, extra) if *place == index => edited.push(extra.clone()),
            Change::Move(_, place, extra) if *place == index => edited.extend_from_slice(extra),
            _ => {}
        }
        match change {
            Change::Remove(gone) | Change::Move(gone, ..) if gone.contains(&index) => {}
            Change::Replace(others) => {
                let other = others.iter().find(|(place, _)| *place == index);
                edited.push(other.map_or_else(|| record.clone(), |(_, other)| other.clone()));
            }
            _ => edited.push(record.clone()),
        }
    }
    edited
}

fn places(epoch: &Epoch, topic: TopicId, seq: u64) -> Vec<usize> {
    epoch.of(topic).filter(|(_, d)| d.seq == seq).map(|(index, _)| index).collect()
}

/// Seqs of a stream whose absence from the epoch can be told: something came later, and something
/// came before, or the cursor or the reply said where the socket stood.
fn missable(epoch: &Epoch) -> Vec<u64> {
    let firsts = epoch.firsts(stream());
    let Some((_, rest)) = firsts.split_last() else { return Vec::new() };
    let known = |place: usize, index: usize| {
        place > 0 || epoch.cursor(stream()).is_some() || !epoch.is_replay(index)
    };
    let found = rest.iter().enumerate().filter(|(place, (index, _))| known(*place, *index));
    found.map(|(_, (_, delivery))| delivery.seq).collect()
}

/// One update of a stream that one client did not get, although it got a later one, and somebody got it.
pub fn missing_mid_stream(records: &[Record]) -> Vec<Change> {
    let all = epochs(records);
    let elsewhere = |mine: &Epoch, seq: u64| {
        let others = all.iter().filter(|epoch| epoch.sent_index != mine.sent_index);
        others.into_iter().any(|epoch| !places(epoch, stream(), seq).is_empty())
    };
    let changes = all.iter().flat_map(|epoch| {
        let missable = missable(epoch).into_iter().filter(|seq| elsewhere(epoch, *seq));
        missable.map(|seq| Change::Remove(places(epoch, stream(), seq))).collect::<Vec<_>>()
    });
    changes.collect()
}

/// One update of a stream that no client got, although each got a later one; and whether it was
/// acknowledged.
pub fn missing_for_everybody(records: &[Record]) -> Vec<(Change, bool)> {
    let acknowledged = acknowledgements(records);
    let all = epochs(records);
    let mut by_seq: BTreeMap<u64, Vec<(&Epoch, bool)>> = BTreeMap::new();
    let mut owed = BTreeSet::new();
    for epoch in &all {
        let missable = missable(epoch);
        for (_, delivery) in epoch.firsts(stream()) {
            let known = match delivery.source {
                Source::Event { publish, .. } => acknowledged.contains_key(&publish),
                Source::State { .. } | Source::Document { .. } | Source::Foreign => false,
            };
            owed.extend(known.then_some(delivery.seq));
            let can_be_told = missable.contains(&delivery.seq);
            by_seq.entry(delivery.seq).or_default().push((epoch, can_be_told));
        }
    }
    let everywhere = by_seq.into_iter().filter(|(_, got)| got.iter().all(|(_, told)| *told));
    everywhere
        .map(|(seq, got)| {
            let gone = got.iter().flat_map(|(epoch, _)| places(epoch, stream(), seq)).collect();
            (Change::Remove(gone), owed.contains(&seq))
        })
        .collect()
}

/// The end of a stream, from some acknowledged publish on, that one live client did not get and
/// another did.
pub fn missing_tail(records: &[Record]) -> Vec<Change> {
    let acknowledged = acknowledgements(records);
    let all = epochs(records);
    let got_by_another = |mine: &Epoch, seq: u64| {
        all.iter().any(|e| e.client != mine.client && e.of(stream()).any(|(_, d)| d.seq == seq))
    };
    let mut changes = Vec::new();
    for epoch in all.iter().filter(|epoch| epoch.is_last) {
        for (index, delivery) in epoch.firsts(stream()) {
            let owed = planned(&delivery).is_some_and(|p| acknowledged.contains_key(&p));
            if owed && !epoch.is_replay(index) && got_by_another(epoch, delivery.seq) {
                let tail = epoch.of(stream()).map(|(index, _)| index).filter(|i| *i >= index);
                changes.push(Change::Remove(tail.collect()));
            }
        }
    }
    changes
}

/// Commands that were begun and acknowledged so much earlier: what they made was late.
pub fn acknowledged_earlier(records: &[Record], by_us: Micros) -> Vec<Change> {
    let mut changes = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let Record::Published(published) = record else { continue };
        if published.start < by_us || published.worker_seq.is_none() {
            continue;
        }
        let (start, done) = (published.start - by_us, published.done - by_us);
        let earlier = Published { start, done, ..*published };
        changes.push(Change::Replace(vec![(index, Record::Published(earlier))]));
    }
    changes
}

fn with(delivery: &Delivery, change: impl FnOnce(&mut Delivery)) -> Record {
    let mut delivery = *delivery;
    change(&mut delivery);
    Record::Delivered(delivery)
}

/// Two updates of one subscription, both before its reply or both after it, that come one for the
/// other. `which`: the earlier of the two, which is not repeated.
pub fn swapped(
    records: &[Record],
    topic: TopicId,
    which: impl Fn(&Delivery) -> bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for epoch in epochs(records) {
        for pair in epoch.firsts(topic).windows(2) {
            let [(first, earlier), (second, later)] = [pair[0], pair[1]];
            let repeated = places(&epoch, topic, earlier.seq).len() > 1;
            let apart = epoch.is_replay(first) != epoch.is_replay(second);
            if !which(&earlier) || repeated || apart {
                continue;
            }
            changes.push(Change::Replace(vec![
                (first, with(&later, |d| d.at = earlier.at)),
                (second, with(&earlier, |d| d.at = later.at)),
            ]));
        }
    }
    changes
}

/// An update at or below the cursor that the client resumed from, with its content or with another.
pub fn at_or_below_cursor(records: &[Record], topic: TopicId, same: bool) -> Vec<Change> {
    let all = epochs(records);
    let seen: BTreeMap<u64, Delivery> =
        all.iter().flat_map(|epoch| epoch.of(topic)).map(|(_, d)| (d.seq, d)).collect();
    let mut changes = Vec::new();
    for epoch in &all {
        let Some(cursor) = epoch.cursor(topic) else { continue };
        for delivery in seen.range(..=cursor).map(|(_, delivery)| delivery) {
            let extra = with(delivery, |d| {
                (d.client, d.at) = (epoch.client, epoch.sent_at);
                d.content ^= u64::from(!same);
            });
            changes.push(Change::Insert(epoch.sent_index + 1, extra));
        }
    }
    changes
}

/// How a client comes by an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// For the first time.
    Fresh,
    /// Once more: a repeat, or a redelivery after a resume.
    Again,
}

/// The deliveries of one manner, and the number of all deliveries of the same update.
fn deliveries(records: &[Record], manner: Manner) -> Vec<(usize, Delivery, u64)> {
    let mut copies: BTreeMap<(TopicId, u64), u64> = BTreeMap::new();
    let mut had: BTreeMap<(u32, TopicId), u64> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let Record::Delivered(delivery) = record else { continue };
        *copies.entry((delivery.topic, delivery.seq)).or_default() += 1;
        let highest = had.entry((delivery.client, delivery.topic)).or_default();
        let again = delivery.seq <= *highest;
        *highest = delivery.seq.max(*highest);
        if again == (manner == Manner::Again) {
            found.push((index, *delivery));
        }
    }
    found.into_iter().map(|(index, d)| (index, d, copies[&(d.topic, d.seq)])).collect()
}

/// Deliveries of another content than all others have, of which there are more.
pub fn another_content(records: &[Record], manner: Manner) -> Vec<Change> {
    let shared = deliveries(records, manner).into_iter().filter(|(_, _, copies)| *copies > 2);
    let other = |d: &Delivery| with(d, |d| d.content ^= 1);
    shared.map(|(index, d, _)| Change::Replace(vec![(index, other(&d))])).collect()
}

/// Deliveries of ours that do not fit their hash. `content`: whether the content is another one too.
pub fn another_hash(records: &[Record], manner: Manner, content: bool) -> Vec<Change> {
    let all = deliveries(records, manner).into_iter();
    let ours = all.filter(|(_, d, _)| !d.source.is_foreign());
    let other = |d: &Delivery| {
        with(d, |d| {
            d.hash_fits = false;
            d.content ^= u64::from(content);
        })
    };
    ours.map(|(index, d, _)| Change::Replace(vec![(index, other(&d))])).collect()
}

/// Deliveries of acknowledged publishes that carry another payload than was published.
pub fn not_what_was_published(records: &[Record], manner: Manner) -> Vec<Change> {
    let acknowledged = acknowledgements(records);
    let all = deliveries(records, manner).into_iter();
    let ours = all.filter(|(_, d, _)| planned(d).is_some_and(|id| acknowledged.contains_key(&id)));
    let other = |d: &Delivery| {
        with(d, |d| {
            d.content ^= 1;
            if let Source::Event { payload, .. } = &mut d.source {
                *payload ^= 1;
            }
        })
    };
    ours.map(|(index, d, _)| Change::Replace(vec![(index, other(&d))])).collect()
}

/// Sockets that broke under live clients, left instead because the channel was silent.
pub fn silent_channel(records: &[Record]) -> Vec<Change> {
    let mut live: BTreeMap<u32, Micros> = BTreeMap::new();
    let mut changes = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match *record {
            Record::SubscribeOk { client, at, .. } => drop(live.insert(client, at)),
            Record::SubscribeSent { client, .. } => drop(live.remove(&client)),
            Record::Offline { client, at, cause } => {
                let asked =
                    live.remove(&client).filter(|_| matches!(cause, OfflineCause::Broken { .. }));
                let Some(asked) = asked else { continue };
                let cause = OfflineCause::ChannelSilent { asked };
                let left = Record::Offline { client, at, cause };
                changes.push(Change::Replace(vec![(index, left)]));
            }
            _ => {}
        }
    }
    changes
}

/// Commands without an answer that were never sent, although their events came.
pub fn never_begun(records: &[Record]) -> Vec<Change> {
    let seen: BTreeSet<PublishId> = records
        .iter()
        .filter_map(|record| match record {
            Record::Delivered(delivery) => planned(delivery),
            _ => None,
        })
        .collect();
    let unanswered = |record: &Record| match record {
        Record::Published(p) => p.worker_seq.is_none() && seen.contains(&p.id),
        _ => false,
    };
    let places = records.iter().enumerate().filter(|(_, record)| unanswered(record));
    places.map(|(index, _)| Change::Remove(vec![index])).collect()
}

/// The places of an epoch's ok reply and of the operation that it ends.
fn reply(records: &[Record], epoch: &Epoch) -> Option<(Vec<usize>, Vec<Record>)> {
    let ok = epoch.ok_index?;
    let is_mine = |record: &Record| match record {
        Record::Op(op) => op.client == epoch.client && op.kind == OpKind::Subscribe,
        _ => false,
    };
    let op = (epoch.sent_index..ok).rev().find(|index| is_mine(&records[*index]))?;
    Some((vec![op, ok], vec![records[op].clone(), records[ok].clone()]))
}

fn answered_at(mut records: Vec<Record>, when: Micros) -> Vec<Record> {
    for record in &mut records {
        match record {
            Record::Op(op) => op.done = when,
            Record::SubscribeOk { at, .. } => *at = when,
            _ => {}
        }
    }
    records
}

/// Ok replies before the replay of a stream, of which something was acknowledged before the
/// subscribe was sent. `with_cursor`: whether the subscribe had one.
pub fn reply_before_replay(records: &[Record], with_cursor: bool) -> Vec<Change> {
    let acknowledged = acknowledgements(records);
    let mut changes = Vec::new();
    for epoch in epochs(records) {
        let known = |d: &Delivery| {
            let at = planned(d).and_then(|id| acknowledged.get(&id));
            at.is_some_and(|at| *at < epoch.sent_at)
        };
        let mut replay =
            epoch.of(stream()).filter(|(index, _)| epoch.is_replay(*index)).map(|(_, d)| d);
        // What stands above a seq that is not decided may be held back.
        let owed = match epoch.cursor(stream()) {
            Some(cursor) => replay.any(|d| known(&d) && d.seq == cursor + 1),
            None => replay.any(|d| known(&d)),
        };
        let subscribed = epoch.cursors.contains_key(&stream());
        if !subscribed || !owed || epoch.cursor(stream()).is_some() != with_cursor {
            continue;
        }
        let Some((places, moved)) = reply(records, &epoch) else { continue };
        let moved = answered_at(moved, epoch.sent_at + 1);
        changes.push(Change::Move(places, epoch.sent_index + 1, moved));
    }
    changes
}

/// Replays that leave out a version that had settled before the subscribe was sent. `known`: whether
/// the client had an older version of the document.
pub fn replay_without_a_settled_version(
    records: &[Record],
    settle_us: Micros,
    known: bool,
) -> Vec<Change> {
    let acknowledged = versions(records);
    let all = epochs(records);
    let version_of = |d: &Delivery, worker: u16| match d.source {
        Source::State { worker: w, version } if w == worker => Some(version),
        _ => None,
    };
    let mut changes = Vec::new();
    for epoch in all.iter().filter(|epoch| epoch.cursors.contains_key(&state())) {
        let Some(ok) = epoch.ok_index else { continue };
        for worker in 0..3 {
            let settled = acknowledged.iter().filter(|((w, _), at)| {
                *w == worker && at.saturating_add(settle_us) < epoch.sent_at
            });
            let Some(required) = settled.map(|((_, version), _)| *version).max() else { continue };
            let mine = all.iter().filter(|e| e.client == epoch.client);
            let had: BTreeMap<usize, u64> = mine
                .flat_map(|e| e.of(state()))
                .filter(|(index, _)| *index < ok)
                .filter_map(|(index, d)| Some((index, version_of(&d, worker)?)))
                .collect();
            // What is left out: everything of the replay that is new enough.
            let gone: Vec<usize> = had
                .iter()
                .filter(|(index, version)| **index > epoch.sent_index && **version >= required)
                .map(|(index, _)| *index)
                .collect();
            let left = had.iter().filter(|(index, _)| !gone.contains(index)).map(|(_, v)| *v).max();
            let is_older = left.is_none_or(|left| left < required);
            if !gone.is_empty() && is_older && left.is_some() == known {
                changes.push(Change::Remove(gone));
            }
        }
    }
    changes
}

/// Ok replies that never come, in the last subscription of a client.
pub fn no_reply(records: &[Record]) -> Vec<(Change, u32)> {
    let last = epochs(records).into_iter().filter(|epoch| epoch.is_last);
    last.filter_map(|epoch| Some((Change::Remove(reply(records, &epoch)?.0), epoch.client)))
        .collect()
}

/// Subscriptions that end as stale in their middle, after each delivery that a live one brought: rightly, with
/// figures that say otherwise, or with none.
pub fn ended_stale(records: &[Record]) -> Vec<Change> {
    let mut answered = BTreeSet::new();
    let mut changes = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match record {
            Record::SubscribeOk { client, .. } => drop(answered.insert(*client)),
            Record::SubscribeSent { client, .. } | Record::Offline { client, .. } => {
                answered.remove(client);
            }
            Record::Delivered(delivery) if answered.contains(&delivery.client) => {
                changes.push(Change::Insert(index + 1, stale_after(delivery)));
            }
            _ => {}
        }
    }
    changes
}

fn stale_after(delivery: &Delivery) -> Record {
    let Delivery { client, epoch, topic, seq, at, .. } = *delivery;
    let cursor = seq;
    let right = StaleTopic {
        topic,
        reason: StaleReason::RetentionFloor,
        cursor,
        floor: Some(cursor + 1),
        head: Some(cursor + 9),
        budget: Some(100),
        lag: Some(9),
        tier: None,
    };
    let none = StaleTopic { floor: None, head: None, budget: None, lag: None, ..right };
    let said = match at % 6 {
        0 => right,
        1 => StaleTopic { floor: Some(cursor), ..right },
        2 => StaleTopic { reason: StaleReason::ReplayBudget, ..right },
        3 => StaleTopic { lag: Some(8), ..right },
        4 => StaleTopic { reason: StaleReason::Unsaid, ..none },
        _ => none,
    };
    Record::SubscribeStale { client, epoch, at, topics: vec![said] }
}
