//! After a cursor beyond head was accepted: the client stays subscribed for a while, to see what comes of
//! the topics, and leaves when a heartbeat has been answered.
//!
//! The answer stands after all that the target had sent by then, so that what is missing was not sent,
//! however slowly the client reads. Nothing that comes meanwhile is applied: to the judge the client is
//! offline from the acceptance on.

use khala_evidence::record::{Micros, OfflineCause, Outcome, Record, Request, Sink};
use khala_wire::message::event;
use khala_wire::payload::{Empty, Status};
use khala_wire::topic::TopicId;

use super::{Action, Chosen, Machine, Pending, State, World};
use crate::answer::Answer;
use crate::clock::micros;

/// A stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    chosen: Chosen,
    /// When the ok reply to the subscribe came.
    from: Micros,
    /// When the heartbeat is due.
    until: Micros,
    /// The heartbeat, once it is sent.
    asked: Option<Pending>,
}

impl Stay {
    /// The heartbeat that awaits an answer.
    pub(super) fn awaits(&self) -> Option<u64> {
        self.asked.map(|asked| asked.reference)
    }
}

/// A topic that was subscribed to with a cursor beyond head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) topic: TopicId,
    pub(super) cursor: u64,
    /// The lowest seq that came since the reply.
    pub(super) first: Option<u64>,
}

impl Machine {
    /// Stays subscribed. What is acknowledged in the first half can be expected in the second.
    pub(super) fn stay_beyond<S: Sink>(
        &mut self,
        chosen: Chosen,
        from: Micros,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        let (client, Chosen { fault: id, intended, .. }) = (self.client, chosen);
        let cause = OfflineCause::Fault { id, intended };
        world.sink.record(Record::Offline { client, at: now, cause });
        let until = now.saturating_add(micros(self.settings.future_stay()));
        self.state = State::Beyond(Stay { chosen, from, until, asked: None });
        Action::None
    }

    /// When a stay wants to be looked at.
    pub(super) fn stay_deadline(&self, stay: Stay) -> Micros {
        stay.asked.map_or(stay.until, |asked| self.times_out_at(asked))
    }

    /// A batch came during a stay.
    pub(super) fn came_beyond(&mut self, topic: TopicId, seq: u64) {
        if let Some(beyond) = self.beyond.iter_mut().find(|beyond| beyond.topic == topic) {
            beyond.first = Some(beyond.first.map_or(seq, |first| first.min(seq)));
        }
    }

    /// A stay has come this far in time.
    pub(super) fn tick_beyond<S: Sink>(
        &mut self,
        stay: Stay,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        match stay.asked {
            // Nobody can say what was on its way.
            Some(asked) => self.leave_beyond(stay, asked, now, Outcome::Timeout, "timeout", world),
            None => {
                let reference = self.take_ref();
                let asked = Some(Pending { reference, sent_at: now });
                self.state = State::Beyond(Stay { asked, ..stay });
                Action::Send(self.message(reference, event::HEARTBEAT, &Empty {}))
            }
        }
    }

    /// The heartbeat at the end of a stay was answered.
    pub(super) fn answered_beyond<S: Sink>(
        &mut self,
        stay: Stay,
        status: Status,
        at: Micros,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        let Some(asked) = stay.asked else { return Action::None };
        let client = self.client;
        for &Beyond { topic, cursor, first } in &self.beyond {
            let (from, asked) = (stay.from, asked.sent_at);
            let stayed = Record::BeyondHead { client, topic, cursor, from, asked, first, at };
            world.sink.record(stayed);
        }
        let (outcome, status) = match status {
            Status::Ok => (Outcome::Ok, "ok"),
            Status::Error => (Outcome::RefusedTopic, "error"),
        };
        self.leave_beyond(stay, asked, now, outcome, status, world)
    }

    fn leave_beyond<S: Sink>(
        &mut self,
        stay: Stay,
        asked: Pending,
        now: Micros,
        outcome: Outcome,
        status: &str,
        world: &mut World<'_, S>,
    ) -> Action {
        let answer = Answer::of(outcome, status);
        let request = (Request::TriedHeartbeat, Some(self.client));
        world.sink.record(answer.record(request.0, request.1, asked.sent_at, now));
        let Chosen { fault: id, intended, .. } = stay.chosen;
        self.go_offline(now, OfflineCause::Fault { id, intended }, world);
        Action::Close
    }
}
