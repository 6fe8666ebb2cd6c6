//! Heartbeats: the subscription's, and, on lanes that tell the two apart, a ping of the session below it, sent
//! together as the real clients do.
//!
//! The subscription's must be answered by the next. If it is not, and the session answered its own in
//! good time, the subscription may be stuck: the session is asked once more. When that is answered and
//! the heartbeat still is not, the order on the wire proves it, however slowly we read: the server
//! had half an interval at least and answered the later question before the earlier one. A session
//! that does not answer is taken for dead, as ever: the real clients' libraries ask it by itself, whatever
//! their subscriptions answer.

use khala_evidence::record::{Micros, OfflineCause, OpKind, Outcome, Record, Sink};
use khala_wire::topic::TopicId;

use super::spoken::{Ask, Came};
use super::{Action, Machine, State, World};
use crate::clock::micros;

/// A heartbeat without an answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    due: Micros,
    sent_at: Micros,
    /// Whether the client was live when it was sent.
    live: bool,
}

/// What the pings of the session say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pulse {
    /// Nothing was asked.
    #[default]
    Unasked,
    /// Asked together with the heartbeat.
    Asked,
    /// It answered.
    Felt(Micros),
    /// Asked once more, because the heartbeat was not answered.
    AskedAgain,
}

impl Machine {
    /// A heartbeat is due.
    pub(super) fn heartbeat<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        let every = micros(self.settings.heartbeat).max(1);
        match self.heartbeat {
            Some(beat) if self.doubts_the_subscription(beat, now, every) => {}
            Some(_) => {
                self.lost(now, OfflineCause::HeartbeatTimeout, world);
                return Action::Close;
            }
            // The heartbeat was answered, and the real clients' libraries close the session all the same.
            None if matches!(self.pulse, Pulse::Asked | Pulse::AskedAgain) => {
                self.lost(now, OfflineCause::HeartbeatTimeout, world);
                return Action::Close;
            }
            None => {}
        }
        let due = self.heartbeat_due;
        // Due times are planned from the connect, so a late one does not move the next. Those that a
        // stall of ours swallowed are skipped: the answer gets at least half an interval, or the
        // stall would look like a dead socket.
        let late = now.saturating_sub(due);
        self.heartbeat_due += every * (late + every / 2).div_ceil(every).max(1);
        if self.heartbeat.is_some() {
            self.pulse = Pulse::AskedAgain;
            return Action::Ask(Ask::Ping);
        }
        let live = self.state == State::Live;
        self.heartbeat = Some(Beat { due, sent_at: now, live });
        if !self.settings.manners.pings {
            return Action::Ask(Ask::Heartbeat);
        }
        self.pulse = Pulse::Asked;
        Action::AskBoth([Ask::Heartbeat, Ask::Ping])
    }

    /// Whether a beat without an answer speaks against the subscription and not against the session.
    fn doubts_the_subscription(&self, beat: Beat, now: Micros, every: Micros) -> bool {
        let Pulse::Felt(at) = self.pulse else { return false };
        let had_time = now.saturating_sub(at) >= every / 2;
        beat.live && self.state == State::Live && had_time
    }

    /// The heartbeat was answered; `heads` are where that says that topics stand.
    pub(super) fn beaten<S: Sink>(
        &mut self,
        ok: bool,
        mut heads: Vec<(TopicId, u64)>,
        came: Came,
        world: &mut World<'_, S>,
    ) {
        let Some(beat) = self.heartbeat.take() else { return };
        heads.retain(|(topic, _)| self.named.contains(topic));
        if !heads.is_empty() {
            let (client, at) = (self.client, came.read_at);
            world.sink.record(Record::HeadsTold { client, at, heads });
        }
        let outcome = if ok { Outcome::Ok } else { Outcome::ProtocolError };
        self.op(OpKind::Heartbeat, beat.due, beat.sent_at, came.read_at, outcome, world);
    }

    /// The ping was answered.
    pub(super) fn pinged<S: Sink>(&mut self, came: Came, world: &mut World<'_, S>) -> Action {
        let asked_again = self.pulse == Pulse::AskedAgain;
        self.pulse = Pulse::Felt(came.read_at);
        match self.heartbeat {
            Some(beat) if asked_again => {
                let cause = OfflineCause::ChannelSilent { asked: beat.sent_at };
                self.lost(came.now, cause, world);
                Action::Close
            }
            _ => Action::None,
        }
    }
}
