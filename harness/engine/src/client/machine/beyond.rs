//! After a cursor beyond head was accepted: the client stays subscribed for a while, to see what comes of
//! the topics, and leaves when a last question has been answered.
//!
//! The answer stands after all that the target had sent by then, so that what is missing was not sent,
//! however slowly the client reads. Nothing that comes meanwhile is applied: to the judge the client is
//! offline from the acceptance on.

use khala_evidence::record::{Micros, OfflineCause, Outcome, Record, Request, Sink, TIMED_OUT};
use khala_wire::topic::TopicId;

use super::spoken::{Ask, Came};
use super::{Action, Chosen, Machine, Pending, State, World};
use crate::answer::Answer;
use crate::clock::micros;

/// A stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    chosen: Chosen,
    /// When the ok reply to the subscribe came.
    from: Micros,
    /// When the last question is due.
    until: Micros,
    /// It, once it is sent.
    asked: Option<Pending>,
}

impl Stay {
    /// Whether the last question awaits an answer.
    pub(super) fn awaits(&self) -> bool {
        self.asked.is_some()
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
            Some(asked) => self.leave_beyond(stay, asked, now, Outcome::Timeout, TIMED_OUT, world),
            None => {
                let asked = Some(Pending { sent_at: now });
                self.state = State::Beyond(Stay { asked, ..stay });
                Action::Ask(Ask::Barrier)
            }
        }
    }

    /// The question at the end of a stay was answered.
    pub(super) fn passed<S: Sink>(
        &mut self,
        ok: bool,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let State::Beyond(stay) = self.state else { return Action::None };
        let Some(asked) = stay.asked else { return Action::None };
        let (client, at) = (self.client, came.read_at);
        for &Beyond { topic, cursor, first } in &self.beyond {
            let (from, asked) = (stay.from, asked.sent_at);
            let stayed = Record::BeyondHead { client, topic, cursor, from, asked, first, at };
            world.sink.record(stayed);
        }
        let (outcome, status) =
            if ok { (Outcome::Ok, "ok") } else { (Outcome::RefusedTopic, "error") };
        self.leave_beyond(stay, asked, came.now, outcome, status, world)
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
