//! Histories made by hand, one record at a time, for what no correct runtime does. Publish number n
//! comes out on seq n of the stream.

use khala_evidence::oracle::End;
use khala_evidence::record::{Cut, Micros, OfflineCause, PublishId, Source};
use khala_evidence::{Record, Settled};

use super::plans;
use super::records::{self, Entry, stream};
use super::shards;

/// What passes between two records.
const STEP_US: Micros = 1_000;

/// The update of a publish, as it should be.
pub fn event(n: u32) -> Entry {
    let (seq, content) = (u64::from(n), u64::from(n) * 1_000);
    let source = Source::Event {
        publish: PublishId::Planned(n),
        intended: Some(1),
        begun: Some(1),
        payload: seq,
        worker_seq: None,
    };
    Entry { topic: stream(), seq, content, hash_fits: true, source }
}

/// A history in the making.
#[derive(Default)]
pub struct ByHand {
    pub records: Vec<Record>,
    now: Micros,
}

impl ByHand {
    fn add(&mut self, record: impl FnOnce(Micros) -> Record) -> &mut Self {
        self.now += STEP_US;
        self.records.push(record(self.now));
        self
    }

    /// Publishes that are acknowledged.
    pub fn publish(&mut self, numbers: std::ops::RangeInclusive<u32>) -> &mut Self {
        for n in numbers {
            let (id, seq) = (PublishId::Planned(n), u64::from(n));
            self.add(|at| records::published(id, 0, at - 1, at, Some(seq), seq));
        }
        self
    }

    /// A socket, and a subscribe to the stream on it.
    pub fn subscribe(&mut self, client: u32, epoch: u32, cursor: Option<u64>) -> &mut Self {
        self.add(|at| records::connected(client, at));
        self.add(|at| records::subscribe_sent(client, epoch, at, &[(stream(), cursor, 0)]))
    }

    /// The ok reply to it, and where the socket stands.
    pub fn ok(&mut self, client: u32, epoch: u32, watermark: u64) -> &mut Self {
        self.add(|at| records::subscribe_ok(client, epoch, at, &[(stream(), watermark)]))
    }

    pub fn deliver(
        &mut self,
        client: u32,
        epoch: u32,
        numbers: std::ops::RangeInclusive<u32>,
    ) -> &mut Self {
        for n in numbers {
            self.deliver_entry(client, epoch, &event(n));
        }
        self
    }

    pub fn deliver_entry(&mut self, client: u32, epoch: u32, entry: &Entry) -> &mut Self {
        self.add(|at| records::delivered(client, epoch, at, entry))
    }

    pub fn lose(&mut self, client: u32) -> &mut Self {
        self.add(|at| records::offline(client, at, OfflineCause::Broken { how: Cut::Eof }))
    }

    /// The facts of the run, which ends here, drained.
    pub fn settle(&mut self) -> Settled {
        let end = End { at: self.now + STEP_US, drained: true };
        shards::settle(plans::history(), &self.records, end)
    }
}
