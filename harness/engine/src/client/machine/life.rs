//! A session's life as the machine takes part in it: token, connect and join, and every way in which it ends.

use khala_evidence::record::{
    Breach, Cut, Micros, OfflineCause, OpKind, Outcome, Place, Record, Request, Sink,
};

use super::pulse::Pulse;
use super::spoken::{Ask, Came};
use super::{Action, Machine, Pending, Phase, State, World};
use crate::answer::Answer;
use crate::clock::micros;

impl Machine {
    /// A token request ended.
    pub fn minted<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Mint, self.connect_due, start, done, outcome, world);
        if outcome == Outcome::Ok { Action::None } else { self.connect_failed_at(done, outcome) }
    }

    /// A connect failed.
    pub fn connect_failed<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Connect, self.connect_due, start, done, outcome, world);
        self.connect_failed_at(done, outcome)
    }

    fn connect_failed_at(&mut self, now: Micros, outcome: Outcome) -> Action {
        if matches!(outcome, Outcome::RefusedAuth | Outcome::RefusedIncompatible) {
            self.state = State::Stopped;
            return Action::Stop;
        }
        self.back_off(now);
        Action::None
    }

    /// The connect was taken.
    pub fn connected<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Connect, self.connect_due, start, done, Outcome::Ok, world);
        world.sink.record(Record::Connected { client: self.client, at: done });
        // A restart that was due before has not this socket to end.
        self.restart = self.restart.filter(|(_, intended)| done <= *intended);
        self.join(done, world)
    }

    /// Joins, for the first time on the session or again; subscribes where nobody has to join.
    pub(super) fn join<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        let manners = self.settings.manners;
        self.heartbeat_due =
            if manners.heartbeats { now + micros(self.settings.heartbeat) } else { Micros::MAX };
        (self.heartbeat, self.pulse) = (None, Pulse::default());
        if !manners.joins {
            return self.subscribe_first(now, world);
        }
        self.state = State::Joining(Pending { sent_at: now });
        Action::Ask(Ask::Join)
    }

    /// What the client was subscribed on has ended. Where it may, it keeps the session and joins again.
    pub(super) fn ended<S: Sink>(
        &mut self,
        cause: OfflineCause,
        may_rejoin: bool,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let stays =
            may_rejoin && !self.told_off && self.revocation.is_none() && self.restart.is_none();
        self.lost(came.now, cause, world);
        match self.state {
            // The delay is the surface's, as after a lost socket.
            State::Waiting { until } if stays => {
                self.state = State::Rejoining { until };
                Action::None
            }
            _ => Action::Close,
        }
    }

    /// Whether there is a socket, and to the judge the client is offline: its channel has ended, or it only
    /// stays for a fault.
    pub(super) fn is_told_offline(&self) -> bool {
        matches!(self.state, State::Rejoining { .. } | State::Beyond(_))
    }

    pub(super) fn rejoin<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        self.attempts += 1;
        world.sink.record(Record::Rejoining { client: self.client, at: now });
        self.join(now, world)
    }

    /// The session was closed by the target, with a code or without.
    pub fn closed<S: Sink>(&mut self, now: Micros, code: Option<u16>, world: &mut World<'_, S>) {
        if let (Phase::Online, false) = (self.phase(), self.dead_socket) {
            let word = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
            // A stop of the target has its own codes, whoever was being revoked.
            let revoked = self.revocation.is_some() && self.restart.is_none();
            let place = if revoked { Place::CloseRevoked } else { Place::Close };
            world.word(self.client, now, place, &word);
        }
        self.lost(now, OfflineCause::ClosedByTarget { code }, world);
    }

    /// The session ended without a word.
    pub fn broken<S: Sink>(&mut self, now: Micros, how: Cut, world: &mut World<'_, S>) {
        self.lost(now, OfflineCause::Broken { how }, world);
    }

    /// The target broke the protocol below the messages: a client fails the session.
    pub fn breached<S: Sink>(&mut self, now: Micros, breach: Breach, world: &mut World<'_, S>) {
        if self.phase() == Phase::Online && !self.dead_socket {
            world.sink.record(Record::Breached { client: self.client, at: now, breach });
        }
        self.lost(now, OfflineCause::ProtocolBroken { breach }, world);
    }

    pub(super) fn lost<S: Sink>(
        &mut self,
        now: Micros,
        cause: OfflineCause,
        world: &mut World<'_, S>,
    ) {
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            let planned = self.restarted_by(now).is_some();
            let outcome = if planned { Outcome::Interrupted } else { Outcome::ConnectionFailed };
            self.answered(pending, now, outcome, &how_it_ended(cause), world);
        }
        if self.phase() == Phase::Online {
            self.go_offline(now, cause, world);
        }
    }

    /// The harness takes the client out of the run; a second time changes nothing.
    pub fn retire<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) {
        if std::mem::replace(&mut self.retired, true) {
            return;
        }
        let connected =
            self.phase() == Phase::Online && !self.dead_socket && !self.is_told_offline();
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            self.answered(pending, now, Outcome::Interrupted, "interrupted", world);
        }
        world.sink.record(Record::Retired { client: self.client, at: now, connected });
        self.state = State::Stopped;
    }

    pub(super) fn answered<S: Sink>(
        &self,
        pending: Pending,
        done: Micros,
        outcome: Outcome,
        status: &str,
        world: &mut World<'_, S>,
    ) {
        let (kind, request) = match self.state {
            State::Joining(_) => (OpKind::Join, Request::Join),
            _ => (OpKind::Subscribe, Request::Subscribe),
        };
        // Nobody could answer over a socket that a fault has killed.
        let outcome = if self.dead_socket { Outcome::Interrupted } else { outcome };
        let status = if self.dead_socket { "interrupted" } else { status };
        let answer = Answer::of(outcome, status);
        let client = Some(self.client);
        world.sink.record(answer.record(request, client, pending.sent_at, done));
        self.op(kind, pending.sent_at, pending.sent_at, done, outcome, world);
    }

    pub(super) fn go_offline<S: Sink>(
        &mut self,
        now: Micros,
        cause: OfflineCause,
        world: &mut World<'_, S>,
    ) {
        let revocation = self.revocation.take();
        // Whoever ends the socket of a revoked session, the revocation is why.
        let cause = revocation.map_or(cause, |revocation| OfflineCause::Fault {
            id: revocation.fault,
            intended: revocation.intended,
        });
        let restart =
            self.restarted_by(now).filter(|_| !matches!(cause, OfflineCause::Fault { .. }));
        let cause = restart.map_or(cause, |(id, intended)| OfflineCause::Fault { id, intended });
        self.restart = None;
        // A half-open socket's end was recorded when it came, not when the client noticed; a crashed
        // channel's when it crashed, a stay's when it began.
        let told = std::mem::take(&mut self.dead_socket) || self.is_told_offline();
        if !told {
            world.sink.record(Record::Offline { client: self.client, at: now, cause });
        }
        self.named.clear();
        self.revocation_tried = false;
        self.told_off = false;
        self.proving = None;
        self.unsubscribed = None;
        self.heartbeat = None;
        self.heartbeat_due = Micros::MAX;
        self.back_off(now);
        if let Some(revocation) = revocation {
            self.state = State::Waiting { until: revocation.until.max(now) };
        }
    }

    pub(super) fn back_off(&mut self, now: Micros) {
        let reconnect = (self.attempts + u32::from(self.was_live)).max(1);
        let delay = self.settings.backoff.delay(self.settings.seed, self.client, reconnect);
        self.state = State::Waiting { until: now + micros(delay) };
    }
}

/// What is told of a request whose socket or channel ended before it was answered.
fn how_it_ended(cause: OfflineCause) -> String {
    match cause {
        OfflineCause::Broken { how } => format!("its socket {how}"),
        OfflineCause::ClosedByTarget { code: Some(code) } => {
            format!("its socket was closed with {code}")
        }
        OfflineCause::ClosedByTarget { code: None } => {
            "its socket was closed without a code".to_owned()
        }
        OfflineCause::ProtocolBroken { breach } => format!("its socket was given up for {breach}"),
        OfflineCause::HeartbeatTimeout => "its socket was silent".to_owned(),
        OfflineCause::ChannelClosed => "its channel was closed or crashed".to_owned(),
        OfflineCause::ChannelSilent { .. } | OfflineCause::GaveUp | OfflineCause::Fault { .. } => {
            "its socket or channel ended".to_owned()
        }
    }
}
