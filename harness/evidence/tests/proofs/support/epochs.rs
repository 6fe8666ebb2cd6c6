//! A history seen as subscriptions: what each client asked for, and what it got until the next.

use std::collections::BTreeMap;

use khala_evidence::Record;
use khala_evidence::record::{Delivery, Micros, PublishId, Source};
use khala_wire::topic::TopicId;

/// One subscription of one client. Fields that end in `_index` are places in the records.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub client: u32,
    pub sent_at: Micros,
    pub sent_index: usize,
    pub ok_index: Option<usize>,
    pub cursors: BTreeMap<TopicId, Option<u64>>,
    /// Deliveries of the epoch, in order.
    pub deliveries: Vec<(usize, Delivery)>,
    /// Whether the client's last subscription.
    pub is_last: bool,
}

impl Epoch {
    /// Deliveries of one topic, in order.
    pub fn of(&self, topic: TopicId) -> impl Iterator<Item = (usize, Delivery)> + '_ {
        self.deliveries.iter().copied().filter(move |(_, delivery)| delivery.topic == topic)
    }

    /// First deliveries of each seq of one topic: repeats left out.
    pub fn firsts(&self, topic: TopicId) -> Vec<(usize, Delivery)> {
        let mut firsts: Vec<(usize, Delivery)> = Vec::new();
        for (index, delivery) in self.of(topic) {
            if firsts.last().is_none_or(|(_, last)| last.seq < delivery.seq) {
                firsts.push((index, delivery));
            }
        }
        firsts
    }

    /// Whether the delivery at `index` came before the ok reply.
    pub fn is_replay(&self, index: usize) -> bool {
        self.ok_index.is_none_or(|ok| index < ok)
    }

    /// The cursor that was sent for a topic.
    pub fn cursor(&self, topic: TopicId) -> Option<u64> {
        self.cursors.get(&topic).copied().flatten()
    }
}

/// All subscriptions of a history, in the order in which they were sent.
pub fn epochs(records: &[Record]) -> Vec<Epoch> {
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut current: BTreeMap<u32, usize> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        match record {
            Record::SubscribeSent { client, at, topics, .. } => {
                if let Some(&last) = current.get(client) {
                    epochs[last].is_last = false;
                }
                current.insert(*client, epochs.len());
                epochs.push(Epoch {
                    client: *client,
                    sent_at: *at,
                    sent_index: index,
                    ok_index: None,
                    cursors: topics.iter().map(|topic| (topic.topic, topic.cursor)).collect(),
                    deliveries: Vec::new(),
                    is_last: true,
                });
            }
            Record::SubscribeOk { client, .. } => epochs[current[client]].ok_index = Some(index),
            Record::Delivered(delivery) => {
                epochs[current[&delivery.client]].deliveries.push((index, *delivery));
            }
            _ => {}
        }
    }
    epochs
}

/// When each publish was acknowledged.
pub fn acknowledgements(records: &[Record]) -> BTreeMap<PublishId, Micros> {
    let acknowledged = records.iter().filter_map(|record| match record {
        Record::Published(p) if p.worker_seq.is_some() => Some((p.id, p.done)),
        _ => None,
    });
    acknowledged.collect()
}

/// When each version of each worker was acknowledged, for planned publishes.
pub fn versions(records: &[Record]) -> BTreeMap<(u16, u64), Micros> {
    let acknowledged = records.iter().filter_map(|record| match record {
        Record::Published(p) if matches!(p.id, PublishId::Planned(_)) => {
            Some(((p.worker, p.worker_seq?), p.done))
        }
        _ => None,
    });
    acknowledged.collect()
}

/// The publish that a delivery stems from, if it was planned.
pub fn planned(delivery: &Delivery) -> Option<PublishId> {
    match delivery.source {
        Source::Event { publish: publish @ PublishId::Planned(_), .. } => Some(publish),
        _ => None,
    }
}
