//! A cursor that is not the client's own: how it is sent, and how the client comes back to the truth.
//!
//! An old cursor is an ordinary subscribe, which the judge follows. One beyond head, and what is no
//! cursor at all, is tried first: nothing that comes meanwhile is applied or recorded, the answer is
//! a finding where the contract has no other word for it, and then the client subscribes with its
//! own cursors. Where the target had accepted it, it leaves that socket before, and of one beyond head only
//! after it has waited for what comes (`beyond.rs`).

use std::collections::BTreeMap;

use khala_evidence::record::{Micros, OfflineCause, Outcome, Place, Request, Sink};
use khala_plan::model::{ChosenCursor, Garbage};
use khala_wire::message::event;
use khala_wire::payload::{self, ReplyRef, StaleCursorSeen, Status, SubscribedSeen, error_code};
use khala_wire::topic::TopicId;
use serde_json::{Value, json};

use super::beyond::Beyond;
use super::{Action, Chosen, Machine, Pending, State, World};
use crate::answer::Answer;
use crate::said;

const BAD_SUBSCRIPTION: &str = "bad_subscription";

impl Machine {
    /// A planned fault closes the socket, and chooses the cursor to come back with; whether there was
    /// a socket.
    pub fn cut_for_cursor<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        cursor: ChosenCursor,
        world: &mut World<'_, S>,
    ) -> bool {
        let cut = self.cut(now, fault, intended, world);
        if cut {
            self.chosen = Some(Chosen { fault, intended, cursor });
        }
        cut
    }

    /// The first subscribe on a socket.
    pub(super) fn subscribe_first<S: Sink>(
        &mut self,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        let Some(chosen) = self.chosen.take() else {
            return self.subscribe(now, self.settings.topics.clone(), world);
        };
        match chosen.cursor {
            ChosenCursor::StaleBy(events) => {
                let older =
                    |(topic, cursor): (&TopicId, &u64)| Some((*topic, cursor.checked_sub(events)?));
                let older: Vec<_> = self.cursors.iter().filter_map(older).collect();
                let kept = self.settings.topics.len().saturating_sub(older.len());
                if kept > 0 {
                    let message = format!(
                        "a topic on which a client had fewer than {events} events kept its own cursor under \
                         fault {}",
                        chosen.fault
                    );
                    (0..kept).for_each(|_| {
                        self.finding("cursor_not_placed", now, message.clone(), world)
                    });
                }
                if !older.is_empty() {
                    self.proving = Some(chosen.fault);
                    self.resume_from(older);
                }
                self.subscribe(now, self.settings.topics.clone(), world)
            }
            ChosenCursor::FutureBy(_) | ChosenCursor::Garbage(_) => self.probe(now, chosen, world),
        }
    }

    fn probe<S: Sink>(&mut self, now: Micros, chosen: Chosen, world: &mut World<'_, S>) -> Action {
        let reference = self.take_ref();
        self.named.clone_from(&self.settings.topics);
        self.state = State::Probing(Pending { reference, sent_at: now }, chosen);
        let of_each = |cursor: &dyn Fn(TopicId) -> Value| -> Value {
            let topics = self.settings.topics.iter();
            topics.map(|&topic| (topic.name().to_owned(), cursor(topic))).collect()
        };
        let resume_after = match chosen.cursor {
            ChosenCursor::Garbage(Garbage::Negative) => of_each(&|_| json!(-1)),
            ChosenCursor::Garbage(Garbage::Text) => of_each(&|_| json!("5")),
            ChosenCursor::Garbage(Garbage::Number) => json!(5),
            ChosenCursor::FutureBy(events) | ChosenCursor::StaleBy(events) => {
                let beyond = |&topic: &TopicId| {
                    let known = world.heads.seq(topic).max(self.cursor(topic).unwrap_or_default());
                    Beyond { topic, cursor: known.saturating_add(events), first: None }
                };
                self.beyond = self.settings.topics.iter().map(beyond).collect();
                let topics = self.beyond.iter();
                topics.map(|it| (it.topic.name().to_owned(), json!(it.cursor))).collect()
            }
        };
        let topics: Vec<_> = self.settings.topics.iter().map(|topic| topic.name()).collect();
        let subscribe = json!({
            "replay_batch_size": self.settings.replay_batch_size,
            "resume_after": resume_after,
            "topics": topics,
        });
        Action::Send(self.message(reference, event::SUBSCRIBE, &subscribe))
    }

    /// A try of the harness is counted among the requests, and is no sample of a subscribe.
    fn tried<S: Sink>(
        &self,
        pending: Pending,
        done: Micros,
        outcome: Outcome,
        status: &str,
        world: &mut World<'_, S>,
    ) {
        let answer = Answer::of(outcome, status);
        let client = Some(self.client);
        world.sink.record(answer.record(Request::TriedSubscribe, client, pending.sent_at, done));
    }

    /// The answer to what was tried.
    pub(super) fn probed<S: Sink>(
        &mut self,
        pending: Pending,
        chosen: Chosen,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        world.heads.count_answered(chosen.fault);
        let code = error_code(reply.response);
        let status = match reply.status {
            Status::Ok => "ok".into(),
            Status::Error if code.is_empty() => "error".into(),
            Status::Error => said::word(&code),
        };
        self.tried(pending, read_at, Outcome::Ok, &status, world);
        if reply.status == Status::Ok {
            self.accepted(read_at, chosen, reply, world);
            if let ChosenCursor::FutureBy(_) = chosen.cursor {
                return self.stay_beyond(chosen, read_at, now, world);
            }
            // What it is subscribed to now begins where the client never was.
            let cause = OfflineCause::Fault { id: chosen.fault, intended: chosen.intended };
            self.go_offline(now, cause, world);
            return Action::Close;
        }
        if code == payload::CODE_STALE_CURSOR
            && let Ok(stale) = serde_json::from_str::<StaleCursorSeen>(reply.response.get())
        {
            let known = stale.stale_topics.iter().filter(|it| TopicId::of(&it.topic).is_some());
            world.heads.count_stale(known.count() as u64);
        }
        self.word(read_at, Place::Subscribe, code.clone(), world);
        match chosen.cursor {
            ChosenCursor::Garbage(_) if code == BAD_SUBSCRIPTION => {}
            ChosenCursor::Garbage(_) => {
                let message = format!(
                    "what is no cursor was refused with `{}`; the contract has `{BAD_SUBSCRIPTION}`",
                    said::word(&code)
                );
                self.finding("garbage_cursor_misnamed", read_at, message, world);
            }
            _ => {
                let code = said::word(&code);
                let message = format!("a cursor beyond head was refused with `{code}`");
                self.finding("future_cursor_refused", read_at, message, world);
            }
        }
        // Nothing is subscribed.
        self.subscribe(now, self.settings.topics.clone(), world)
    }

    fn accepted<S: Sink>(
        &self,
        read_at: Micros,
        chosen: Chosen,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) {
        if let ChosenCursor::Garbage(_) = chosen.cursor {
            let message = "what is no cursor was accepted; the contract has `bad_subscription`";
            return self.finding("garbage_cursor_accepted", read_at, message.to_owned(), world);
        }
        let marks: BTreeMap<String, u64> =
            serde_json::from_str::<SubscribedSeen>(reply.response.get())
                .map(|answer| answer.current_watermarks)
                .unwrap_or_default()
                .into_iter()
                .map(|mark| (mark.topic, mark.watermark))
                .collect();
        let beyond = |topic: &TopicId| {
            marks.get(topic.name()).is_some_and(|mark| *mark > world.heads.seq(*topic))
        };
        let stands = if self.settings.topics.iter().all(beyond) {
            "the socket stands beyond head"
        } else {
            "the socket does not stand beyond head"
        };
        let message = format!("a cursor beyond head was accepted; by the answer, {stands}");
        self.finding("future_cursor_accepted", read_at, message, world);
    }

    /// What was tried was not answered in time.
    pub(super) fn unprobed<S: Sink>(
        &mut self,
        pending: Pending,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        self.tried(pending, now, Outcome::Timeout, "timeout", world);
        let message = "a subscribe with a cursor that a fault chose was not answered".to_owned();
        self.finding("cursor_unanswered", now, message, world);
        self.go_offline(now, OfflineCause::GaveUp, world);
        Action::Close
    }
}
