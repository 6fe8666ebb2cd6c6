//! Records to settled facts: by one shard, or split over several and merged in any way.

use super::plans::Planned;
use super::records::client_of;
use khala_evidence::journal::{self, Entries, Entry};
use khala_evidence::oracle::End;
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
    let threads: Vec<Option<u16>> =
        records.iter().map(|record| thread_of(planned, record)).collect();
    let mut shards: Vec<Shard> = (0..split.shards)
        .map(|number| {
            let is_here =
                |thread| placed.iter().zip(&threads).any(|at| at == (&number, &Some(thread)));
            let mine = records.iter().zip(&placed).filter(|(record, place)| match record {
                // A thread tells its stalls where it tells what its clients did.
                Record::Stall { thread, .. } => **place == number || is_here(*thread),
                _ => **place == number,
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

/// The thread that a record is of, if it is of a client or a command.
fn thread_of(planned: &Planned, record: &Record) -> Option<u16> {
    let generator = &planned.plan.generator;
    match record {
        Record::Published(_) | Record::Withheld { .. } => Some(generator.publisher_thread()),
        Record::Answered(answered) if answered.client.is_none() => {
            Some(generator.publisher_thread())
        }
        _ => client_of(record).map(|client| generator.thread_of(client)),
    }
}

/// One shard whose flow is taken away after every `every` records, written to a journal, the last one
/// first, read, and put together again in another shard.
pub fn settle_taken(planned: &Planned, records: &[Record], end: End, every: usize) -> Settled {
    let mut shard = Shard::new(planned.context.clone());
    let mut frames = Vec::new();
    let mut write = |entry: Entry| frames.push(journal::frame(&entry).expect("it can be written"));
    for chunk in records.chunks(every) {
        chunk.iter().for_each(|record| shard.record(record.clone()));
        write(Entry::Flow { thread: 0, second: 0, flow: Box::new(shard.take()) });
    }
    write(Entry::Clients { clients: shard.into_clients() });
    let frames: Vec<u8> = frames.into_iter().rev().flatten().collect();
    let mut again = Shard::new(planned.context.clone());
    for entry in Entries::of([journal::HEAD, &frames].concat().as_slice()).expect("a journal") {
        match entry.expect("an entry comes back") {
            Entry::Flow { flow, .. } => again.add(*flow),
            Entry::Clients { clients } => again.put_clients(clients),
            other => panic!("nobody wrote {other:?}"),
        }
    }
    again.settle(&planned.published_on, end)
}
