//! A cursor that is not the client's own: how it is sent, and how the client comes back to the truth.
//!
//! An old cursor is an ordinary subscribe, which the judge follows. One beyond head, and what is no
//! cursor at all, is tried first: nothing that comes meanwhile is applied or recorded, the answer is
//! a finding where the contract has no other word for it, and then the client subscribes with its
//! own cursors. Where the target had accepted it, it leaves that socket before, and of one beyond head only
//! after it has waited for what comes (`beyond.rs`).

use khala_evidence::record::{Micros, OfflineCause, Outcome, Place, Request, Sink, TIMED_OUT};
use khala_plan::model::ChosenCursor;
use khala_wire::topic::TopicId;

use super::beyond::Beyond;
use super::spoken::{Ask, Came, Refusal, Tried, Try, Why};
use super::{Action, Chosen, Machine, Pending, State, Watermarks, World};
use crate::answer::Answer;
use crate::said;

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
                        world.finding(self.client, "cursor_not_placed", now, message.clone());
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
        self.named.clone_from(&self.settings.topics);
        self.state = State::Probing(Pending { sent_at: now }, chosen);
        let cursors = match chosen.cursor {
            ChosenCursor::Garbage(garbage) => Tried::Garbage(garbage),
            ChosenCursor::FutureBy(events) | ChosenCursor::StaleBy(events) => {
                let beyond = |&topic: &TopicId| {
                    let known = world.heads.seq(topic).max(self.cursor(topic).unwrap_or_default());
                    Beyond { topic, cursor: known.saturating_add(events), first: None }
                };
                self.beyond = self.settings.topics.iter().map(beyond).collect();
                Tried::At(self.beyond.iter().map(|it| (it.topic, it.cursor)).collect())
            }
        };
        let (topics, batch_size) = (self.settings.topics.clone(), self.settings.replay_batch_size);
        Action::Ask(Ask::Try(Try { topics, cursors, batch_size }))
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

    /// What was tried was taken.
    pub(super) fn tried_and_taken<S: Sink>(
        &mut self,
        pending: Pending,
        chosen: Chosen,
        watermarks: Option<Watermarks>,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        world.heads.count_answered(chosen.fault);
        self.tried(pending, came.read_at, Outcome::Ok, "ok", world);
        self.accepted(came.read_at, chosen, &watermarks.unwrap_or_default(), world);
        if let ChosenCursor::FutureBy(_) = chosen.cursor {
            return self.stay_beyond(chosen, came.read_at, came.now, world);
        }
        // What it is subscribed to now begins where the client never was.
        let cause = OfflineCause::Fault { id: chosen.fault, intended: chosen.intended };
        self.go_offline(came.now, cause, world);
        Action::Close
    }

    /// What was tried was refused.
    pub(super) fn tried_in_vain<S: Sink>(
        &mut self,
        pending: Pending,
        chosen: Chosen,
        refusal: &Refusal,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let (client, read_at) = (self.client, came.read_at);
        world.heads.count_answered(chosen.fault);
        let word = said::word(&refusal.word);
        let status = if word.is_empty() { "error" } else { &*word };
        self.tried(pending, read_at, Outcome::Ok, status, world);
        if let Why::Stale(Ok(stale)) = &refusal.why {
            world.heads.count_stale(stale.topics.len() as u64);
        }
        world.word(client, read_at, Place::Subscribe, &refusal.word);
        match (chosen.cursor, self.settings.manners.no_cursor) {
            (ChosenCursor::Garbage(_), None) => {}
            (ChosenCursor::Garbage(_), Some(right)) if refusal.word == right => {}
            (ChosenCursor::Garbage(_), Some(right)) => {
                let message = format!(
                    "what is no cursor was refused with `{word}`; the contract has `{right}`"
                );
                world.finding(client, "garbage_cursor_misnamed", read_at, message);
            }
            _ => {
                let message = format!("a cursor beyond head was refused with `{word}`");
                world.finding(client, "future_cursor_refused", read_at, message);
            }
        }
        // Nothing is subscribed.
        self.subscribe(came.now, self.settings.topics.clone(), world)
    }

    fn accepted<S: Sink>(
        &self,
        read_at: Micros,
        chosen: Chosen,
        marks: &[(TopicId, u64)],
        world: &mut World<'_, S>,
    ) {
        let client = self.client;
        if let ChosenCursor::Garbage(_) = chosen.cursor {
            let right = self.settings.manners.no_cursor;
            let right = right.map(|word| format!("; the contract has `{word}`"));
            let message = format!("what is no cursor was accepted{}", right.unwrap_or_default());
            return world.finding(client, "garbage_cursor_accepted", read_at, message);
        }
        let beyond = |topic: &TopicId| {
            // What is said last of a topic counts.
            let mark = marks.iter().rev().find(|(of, _)| of == topic);
            mark.is_some_and(|(_, mark)| *mark > world.heads.seq(*topic))
        };
        let stands = if self.settings.topics.iter().all(beyond) {
            "the socket stands beyond head"
        } else {
            "the socket does not stand beyond head"
        };
        let message = format!("a cursor beyond head was accepted; by the answer, {stands}");
        world.finding(client, "future_cursor_accepted", read_at, message);
    }

    /// What was tried was not answered in time.
    pub(super) fn unprobed<S: Sink>(
        &mut self,
        pending: Pending,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        self.tried(pending, now, Outcome::Timeout, TIMED_OUT, world);
        let message = "a subscribe with a cursor that a fault chose was not answered".to_owned();
        world.finding(self.client, "cursor_unanswered", now, message);
        self.go_offline(now, OfflineCause::GaveUp, world);
        Action::Close
    }
}
