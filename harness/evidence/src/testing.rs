//! What the unit tests share: plans, read from scenario texts as users write them, and records.

use khala_plan::{Options, Plan, Sources};
use khala_wire::topic::TopicId;

use crate::record::{Delivery, Micros, Outcome, PublishId, Published, Source};

/// A command that was begun when it was due; acknowledged where it has a worker's seq.
pub(crate) fn published(
    id: PublishId,
    worker: u16,
    [start, done]: [Micros; 2],
    worker_seq: Option<u64>,
) -> Published {
    let outcome = if worker_seq.is_some() { Outcome::Ok } else { Outcome::Timeout };
    let (intended, status, payload) = (start, None, 0);
    Published { id, worker, intended, start, done, outcome, status, worker_seq, payload }
}

/// What is delivered of a command that tells when it was begun, and its worker's seq.
pub(crate) fn event(publish: PublishId, begun: Micros, worker_seq: Option<u64>) -> Source {
    let begun = Some(begun);
    Source::Event { publish, intended: begun, begun, payload: 0, worker_seq }
}

/// A delivery to a client on its first socket.
pub(crate) fn delivered(
    topic: TopicId,
    seq: u64,
    at: Micros,
    content: u64,
    source: Source,
) -> Delivery {
    let (client, epoch, hash_fits) = (1, 1, true);
    Delivery { client, epoch, topic, seq, at, content, hash_fits, source }
}

/// The plan of a scenario's text; panics with what is wrong with it.
pub(crate) fn plan(text: &str) -> Plan {
    let loader = |path: &str| Err(format!("{path} is not there"));
    let sources = Sources { path: "test.toml", text, loader: &loader };
    let options = Options {
        profile: None,
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    match khala_plan::load(&sources, &options) {
        Ok(loaded) => loaded.plan,
        Err(wrong) => panic!("{}", wrong.render(false)),
    }
}
