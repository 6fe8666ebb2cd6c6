//! Records to settled facts: by one shard, or split over several and merged in any way.

use super::plans::Planned;
use super::records::client_of;
use khala_evidence::oracle::End;
use khala_evidence::shard::Flow;
use khala_evidence::{Record, Settled, Shard, Sink};

/// All records through one shard.
pub fn settle(planned: &Planned, records: &[Record], end: End) -> Settled {
    shard(planned, records.iter()).settle(&planned.published_on, end)
}

fn shard<'a>(planned: &Planned, records: impl Iterator<Item = &'a Record>) -> Shard {
    let mut shard = Shard::new(planned.context.clone());
    records.for_each(|record| shard.record(record.clone()));
    shard
}

/// How a stream of records is split, and in which order its shards come together again.
#[derive(Clone, Debug)]
pub struct Split {
    pub shards: usize,
    /// Draws for the shard of each client, and of each record that belongs to no client.
    pub places: Vec<usize>,
    /// Draws for the two shards to merge next; the order of the two matters as well.
    pub merges: Vec<(usize, usize)>,
}

/// The records split over shards, merged as drawn.
pub fn settle_split(planned: &Planned, records: &[Record], end: End, split: &Split) -> Settled {
    let place = |draw: usize| split.places[draw % split.places.len()] % split.shards;
    let placed: Vec<usize> = records
        .iter()
        .enumerate()
        .map(|(index, record)| match client_of(record) {
            Some(client) => place(client as usize),
            None => place(index),
        })
        .collect();
    let mut shards: Vec<Shard> = (0..split.shards)
        .map(|number| {
            // All threads of a process stand still together.
            let mine = records.iter().zip(&placed).filter(|(record, place)| {
                **place == number || matches!(record, Record::Stall { .. })
            });
            shard(planned, mine.map(|(record, _)| record))
        })
        .collect();
    let mut draws = split.merges.iter().cycle();
    while shards.len() > 1 {
        let &(first, second) = draws.next().expect("there are draws");
        let left = shards.swap_remove(first % shards.len());
        let right = shards.swap_remove(second % shards.len());
        shards.push(left.merge(right));
    }
    shards.pop().expect("one is left").settle(&planned.published_on, end)
}

/// One shard whose flow is taken away after every `every` records, as a journal does it: written,
/// read, and put together again in another shard, the last one first.
pub fn settle_taken(planned: &Planned, records: &[Record], end: End, every: usize) -> Settled {
    let mut shard = Shard::new(planned.context.clone());
    let mut flows = Vec::new();
    for chunk in records.chunks(every) {
        chunk.iter().for_each(|record| shard.record(record.clone()));
        flows.push(serde_json::to_string(&shard.take()).expect("a flow serialises"));
    }
    let clients = serde_json::to_string(shard.clients()).expect("clients serialise");
    let mut again = Shard::new(planned.context.clone());
    again.put_clients(serde_json::from_str(&clients).expect("clients come back"));
    for flow in flows.iter().rev() {
        again.add(serde_json::from_str::<Flow>(flow).expect("a flow comes back"));
    }
    again.settle(&planned.published_on, end)
}
