//! What planned faults do to the client: cut it off, send it away, choose its cursors.

use std::time::Duration;

use khala_evidence::record::{
    Micros, OfflineCause, OpKind, Outcome, Record, Request, Sink, TIMED_OUT,
};
use khala_wire::topic::TopicId;

use crate::answer::Answer;
use crate::clock::micros;

use super::spoken::Ask;
use super::{Action, Machine, Phase, Revocation, State, Unsubscribed, World};

/// How long after a restart was due the end of a socket is its doing: an end in order takes a while.
const RESTART_WITHIN: Duration = Duration::from_secs(15);

impl Machine {
    /// A fault chooses the cursors of the next subscribe; topics it does not name keep theirs.
    pub fn resume_from(&mut self, cursors: impl IntoIterator<Item = (TopicId, u64)>) {
        self.cursors.extend(cursors);
        self.resume_by_fault = true;
    }

    /// Gives up topics until a time; whether there was a live subscription to give up.
    pub fn unsubscribe(
        &mut self,
        now: Micros,
        fault: u16,
        topics: &[TopicId],
        until: Micros,
    ) -> Action {
        let topics: Vec<TopicId> =
            topics.iter().copied().filter(|topic| self.settings.topics.contains(topic)).collect();
        if self.state != State::Live || self.unsubscribed.is_some() || topics.is_empty() {
            return Action::None;
        }
        let asked = Some(now);
        self.unsubscribed = Some(Unsubscribed { fault, topics: topics.clone(), until, asked });
        Action::Ask(Ask::Unsubscribe(topics))
    }

    /// The unsubscribe had no answer in time. The real clients wait no longer, and stay.
    pub(super) fn left_in_vain<S: Sink>(&mut self, world: &mut World<'_, S>) {
        let at = self.unanswered_at();
        self.left(at, Outcome::Timeout, TIMED_OUT, world);
    }

    /// The unsubscribe has come to its end, unless it had before.
    pub(super) fn left<S: Sink>(
        &mut self,
        at: Micros,
        outcome: Outcome,
        status: &str,
        world: &mut World<'_, S>,
    ) {
        let asked = self.unsubscribed.as_mut().and_then(|gone| gone.asked.take());
        let Some(asked) = asked else { return };
        let answer = Answer::of(outcome, status);
        world.sink.record(answer.record(Request::Unsubscribe, Some(self.client), asked, at));
    }

    /// A planned fault is about to revoke the session of the socket there is.
    pub fn revoking(&mut self, fault: u16, intended: Micros, until: Micros) {
        if self.phase() == Phase::Online && !self.dead_socket && !self.is_told_offline() {
            self.revocation = Some(Revocation { fault, intended, until });
            self.revocation_tried = true;
        }
    }

    /// A planned fault is about to restart the target: the socket there is, or one that is there before,
    /// will not outlive it.
    pub fn restarting(&mut self, fault: u16, intended: Micros) {
        if !self.dead_socket {
            self.restart = Some((fault, intended));
        }
    }

    /// A planned fault keeps a client away that has no socket. A connect that is under way, since
    /// `dialling_since`, is given up: it says nothing of the target.
    pub fn stay_away<S: Sink>(
        &mut self,
        dialling_since: Micros,
        now: Micros,
        until: Micros,
        world: &mut World<'_, S>,
    ) {
        match self.state {
            State::Connecting => {
                let due = self.connect_due;
                self.op(OpKind::Connect, due, dialling_since, now, Outcome::Interrupted, world);
                self.state = State::Waiting { until: until.max(now) };
            }
            State::Waiting { until: due } => self.state = State::Waiting { until: until.max(due) },
            _ => {}
        }
    }

    /// The restart to which a socket that ends now owes its end, if one is due.
    pub(super) fn restarted_by(&self, now: Micros) -> Option<(u16, Micros)> {
        let within = micros(RESTART_WITHIN);
        self.restart.filter(|(_, intended)| now <= intended.saturating_add(within))
    }

    /// The target acknowledged the revocation, or (`None`) did not.
    pub fn revoked<S: Sink>(&mut self, at: Option<Micros>, world: &mut World<'_, S>) {
        let Some(at) = at else {
            self.revocation = None;
            return;
        };
        let (client, connected) = (self.client, self.revocation.is_some());
        world.sink.record(Record::Revoked { client, at, connected });
    }

    /// A planned fault cuts the socket; whether there was one to cut.
    pub fn cut<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        if self.phase() != Phase::Online {
            return false;
        }
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            self.answered(pending, now, Outcome::Interrupted, "interrupted", world);
        }
        self.go_offline(now, OfflineCause::Fault { id: fault, intended }, world);
        true
    }

    /// A planned fault cuts the client off for a while; whether there was a socket to cut.
    pub fn cut_until<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        until: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let cut = self.cut(now, fault, intended, world);
        if cut {
            self.state = State::Waiting { until };
        }
        cut
    }

    /// A planned fault makes the socket half-open: it is dead, and the client does not know.
    pub fn cut_silently<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        if self.phase() != Phase::Online || self.dead_socket {
            return false;
        }
        let cause = OfflineCause::Fault { id: fault, intended };
        if self.is_told_offline() {
            // There is no channel whose silence could tell it, or it would leave anyway: it leaves at once.
            self.go_offline(now, cause, world);
            return true;
        }
        world.sink.record(Record::Offline { client: self.client, at: now, cause });
        self.dead_socket = true;
        true
    }
}
