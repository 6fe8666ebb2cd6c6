//! A correct runtime's authority: bad tokens, revocations and commands over the socket; and the edits
//! of what it said.

use khala_evidence::Record;
use khala_evidence::record::{
    BadToken, CommandAnswer, Delivery, Micros, OfflineCause, Op, OpKind, Outcome, Place, PublishId,
    Source, TokenAnswer,
};
use khala_wire::topic::{NOTIFICATIONS, TopicId};

use super::edit::Change;
use super::records::stream;
use super::world::World;

/// Longer than the grace of the history's plan, its settle bound.
const BEYOND_GRACE_US: Micros = 200_001;

impl World {
    /// A bad token, refused at the step that the contract names, or never answered.
    pub fn try_token(&mut self, client: u32, kind: BadToken) {
        let start = self.now;
        let (at, step) = (self.tick(300), kind.refused_at());
        let answer = TokenAnswer::Refused { step };
        let (place, word) = match kind {
            BadToken::Revoked => (Place::Join, "reauth_required"),
            BadToken::WrongScope => (Place::Subscribe, "forbidden_topic"),
            _ => (Place::Connect, "403"),
        };
        self.records.push(Record::Word { client, at, place, word: word.into() });
        self.records.push(Record::TokenTried { client, start, at, kind, answer });
    }

    /// The session of a client that has a socket is revoked; what was under way still comes.
    pub fn revoke(&mut self, client: u32) {
        let at = self.tick(300);
        self.records.push(Record::Revoked { client, at, connected: true });
        for topic in self.topics(client) {
            self.push(client, topic, false);
        }
        let at = self.tick(10);
        let (place, word) = (Place::Close, "1011".into());
        self.records.push(Record::Word { client, at, place, word });
        self.end(client, OfflineCause::Fault { id: 0, intended: at });
    }

    /// A command over a socket, refused.
    pub fn command(&mut self, client: u32) {
        let at = self.tick(300);
        self.records.push(Record::CommandSent { client, at, answer: CommandAnswer::Refused });
    }
}

fn each(records: &[Record], edit: impl Fn(&Record) -> Option<Record>) -> Vec<Change> {
    let edited = records.iter().enumerate().filter_map(|(index, record)| {
        edit(record).map(|record| Change::Replace(vec![(index, record)]))
    });
    edited.collect()
}

/// One bad token that could subscribe.
pub fn accepted_token(records: &[Record]) -> Vec<Change> {
    each(records, |record| match *record {
        Record::TokenTried { client, start, at, kind, .. } => {
            let answer = TokenAnswer::Accepted;
            Some(Record::TokenTried { client, start, at, kind, answer })
        }
        _ => None,
    })
}

/// A heartbeat that is answered on the socket of a revoked session, sent after the grace.
pub fn heard_after_revocation(records: &[Record]) -> Vec<Change> {
    let inserted = records.iter().enumerate().filter_map(|(index, record)| {
        let Record::Revoked { client, at, connected: true } = *record else { return None };
        let start = at + BEYOND_GRACE_US;
        let (kind, outcome) = (OpKind::Heartbeat, Outcome::Ok);
        let op = Op { client, kind, intended: start, start, done: start + 1, outcome };
        Some(Change::Insert(index + 1, Record::Op(op)))
    });
    inserted.collect()
}

/// An update from a topic that nobody was granted.
pub fn leaked(records: &[Record]) -> Vec<Change> {
    let topic = TopicId::of(NOTIFICATIONS).expect("known");
    let inserted = records.iter().enumerate().filter_map(|(index, record)| {
        let Record::Delivered(delivery) = *record else { return None };
        Some(Change::Insert(index, Record::Delivered(Delivery { topic, ..delivery })))
    });
    inserted.collect()
}

/// One command that was answered with ok.
pub fn obeyed(records: &[Record]) -> Vec<Change> {
    each(records, |record| match *record {
        Record::CommandSent { client, at, .. } => {
            Some(Record::CommandSent { client, at, answer: CommandAnswer::Obeyed })
        }
        _ => None,
    })
}

/// One event of others on the stream that turns out to be a command over a socket.
pub fn came_out(records: &[Record]) -> Vec<Change> {
    let foreign = |record: &Record| match record {
        Record::Delivered(delivery)
            if delivery.topic == stream()
                && delivery.source == Source::Foreign
                && delivery.hash_fits =>
        {
            Some(*delivery)
        }
        _ => None,
    };
    let mut seqs: Vec<u64> = records.iter().filter_map(foreign).map(|d| d.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let of = |seq: u64| {
        let found = records.iter().enumerate().filter_map(|(index, record)| {
            let delivery = foreign(record).filter(|delivery| delivery.seq == seq)?;
            let publish = PublishId::OverSession { client: 0 };
            let source = Source::Event {
                publish,
                intended: None,
                begun: None,
                payload: 0,
                worker_seq: None,
            };
            Some((index, Record::Delivered(Delivery { source, ..delivery })))
        });
        Change::Replace(found.collect())
    };
    seqs.into_iter().map(of).collect()
}

/// One word that the contract does not have.
pub fn unheard_of(records: &[Record]) -> Vec<Change> {
    each(records, |record| match *record {
        Record::Word { client, at, place, .. } => {
            Some(Record::Word { client, at, place, word: "1008".into() })
        }
        _ => None,
    })
}
