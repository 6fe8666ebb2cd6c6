//! What the machine asks, as frames; and the refs by which answers find what they answer.

use std::collections::BTreeMap;
use std::rc::Rc;

use khala_plan::model::Garbage;
use khala_wire::cursor::ResumeAfter;
use khala_wire::frame::{self, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, Empty, Unsubscribe};
use khala_wire::topic::TopicId;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde::Serialize;
use serde_json::{Value, json};

use super::Phoenix;
use crate::client::machine::spoken::{Ask, Subscribe, Tried, Try};

/// Refs of what has no answer yet: of each kind the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) join: Option<u64>,
    pub(super) subscribe: Option<Subscribing>,
    /// Kept when it is answered, until the next subscribe.
    pub(super) unsubscribe: Option<Leaving>,
    pub(super) heartbeat: Option<u64>,
    pub(super) barrier: Option<u64>,
    /// The socket's own heartbeat.
    pub(super) ping: Option<u64>,
}

/// A subscribe without an answer yet.
#[derive(Clone, Debug)]
pub(super) struct Subscribing {
    pub(super) reference: u64,
    /// What it asked for; `None` if it is not the client's own.
    pub(super) own: Option<Rc<Subscribe>>,
}

/// An unsubscribe.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub(super) reference: u64,
    pub(super) topics: Rc<[TopicId]>,
}

impl Asked {
    /// Whether a ref is that of a heartbeat of the socket which awaits an answer.
    pub(super) fn asked_the_socket(&self, reference: Option<u64>) -> bool {
        reference.is_some() && reference == self.ping
    }

    /// Whether a ref is that of a request of the channel which awaits an answer.
    pub(super) fn asked_the_channel(&self, reference: Option<u64>) -> bool {
        let subscribe = self.subscribe.as_ref().map(|subscribe| subscribe.reference);
        let unsubscribe = self.unsubscribe.as_ref().map(|leaving| leaving.reference);
        let refs = [self.join, subscribe, unsubscribe, self.heartbeat, self.barrier];
        reference.is_some() && refs.contains(&reference)
    }

    /// The channel has ended: what was asked of it is answered no more.
    pub(super) fn end(&mut self) {
        *self = Self { ping: self.ping, ..Self::default() };
    }
}

impl Phoenix {
    pub(super) fn encode(&mut self, ask: &Ask) -> String {
        let reference = self.next_ref;
        self.next_ref += 1;
        match ask {
            Ask::Join => {
                self.asked = Asked { join: Some(reference), ..Asked::default() };
                self.joins.begin(reference);
                self.message(reference, event::JOIN, &Empty {})
            }
            Ask::Subscribe(subscribe) => {
                self.asked.unsubscribe = None;
                self.name(&subscribe.cursors);
                self.anew(&subscribe.topics);
                let asked = Some(Rc::new(subscribe.clone()));
                self.asked.subscribe = Some(Subscribing { reference, own: asked });
                self.message(reference, event::SUBSCRIBE, &own(subscribe))
            }
            Ask::Try(tried) => {
                if let Tried::At(cursors) = &tried.cursors {
                    self.name(cursors);
                }
                self.anew(&tried.topics);
                self.asked.subscribe = Some(Subscribing { reference, own: None });
                self.message(reference, event::SUBSCRIBE, &not_its_own(tried))
            }
            Ask::Unsubscribe(topics) => {
                self.asked.unsubscribe =
                    Some(Leaving { reference, topics: topics.as_slice().into() });
                self.anew(topics);
                let payload = Unsubscribe { topics: names(topics) };
                self.message(reference, event::UNSUBSCRIBE, &payload)
            }
            Ask::Heartbeat => {
                self.asked.heartbeat = Some(reference);
                let grace = self.beats_of_grace();
                self.pushed.beat(grace);
                self.message(reference, event::HEARTBEAT, &Empty {})
            }
            // The reply stands behind what was pushed before it.
            Ask::Barrier => {
                self.asked.barrier = Some(reference);
                self.message(reference, event::HEARTBEAT, &Empty {})
            }
            Ask::Ping => {
                self.asked.ping = Some(reference);
                let msg_ref = frame::string_ref(reference);
                let event = event::PHOENIX_HEARTBEAT;
                frame::encode(Vsn::V2, None, Some(&msg_ref), PHOENIX_CHANNEL, event, &Empty {})
            }
        }
    }

    /// The client names cursors: that a topic stands there is its own word.
    fn name(&mut self, cursors: &[(TopicId, u64)]) {
        for &(topic, cursor) in cursors {
            self.stands.rises(topic, cursor);
        }
    }

    /// Where the socket stands on topics is the next answer's to say.
    fn anew(&mut self, topics: &[TopicId]) {
        topics.iter().for_each(|topic| self.pushed.forget(*topic));
    }

    fn message<P: Serialize>(&self, reference: u64, event: &str, payload: &P) -> String {
        let join_ref = frame::string_ref(self.joins.current());
        let msg_ref = frame::string_ref(reference);
        frame::encode(Vsn::V2, Some(&join_ref), Some(&msg_ref), CHANNEL, event, payload)
    }
}

fn names(topics: &[TopicId]) -> Vec<String> {
    topics.iter().map(|topic| topic.name().to_owned()).collect()
}

fn own(Subscribe { topics, cursors, batch_size, .. }: &Subscribe) -> payload::Subscribe {
    let cursors: BTreeMap<String, u64> =
        cursors.iter().map(|(topic, cursor)| (topic.name().to_owned(), *cursor)).collect();
    payload::Subscribe {
        replay_batch_size: Some(*batch_size),
        resume_after: (!cursors.is_empty()).then_some(ResumeAfter::Map(cursors)),
        topics: names(topics),
    }
}

fn not_its_own(Try { topics, cursors, batch_size }: &Try) -> Value {
    let of_each = |cursor: Value| -> Value {
        topics.iter().map(|topic| (topic.name().to_owned(), cursor.clone())).collect()
    };
    let resume_after = match cursors {
        Tried::Garbage(Garbage::Negative) => of_each(json!(-1)),
        Tried::Garbage(Garbage::Text) => of_each(json!("5")),
        Tried::Garbage(Garbage::Number) => json!(5),
        Tried::At(cursors) => {
            cursors.iter().map(|(topic, cursor)| (topic.name().to_owned(), json!(cursor))).collect()
        }
    };
    json!({"replay_batch_size": batch_size, "resume_after": resume_after, "topics": names(topics)})
}
