//! Heartbeats: the channel's (`sync:heartbeat`) and the socket's (Phoenix's own), sent together as
//! the real clients do.
//!
//! The channel's must be answered by the next. If it is not, and the socket answered its own in
//! good time, the channel may be stuck: the socket is asked once more. When that is answered and
//! the channel still is not, the order on the wire proves it, however slowly we read: the server
//! had half an interval at least and answered the later question before the earlier one. A socket
//! that does not answer is taken for dead, as ever: the real clients' libraries ask it by itself, whatever
//! its channels answer.

use khala_evidence::record::{Micros, OfflineCause, OpKind, Outcome, Record, Sink};
use khala_wire::PHOENIX_CHANNEL;
use khala_wire::frame::{self, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{Empty, ReplyRef, Status, WatermarkSeen};
use khala_wire::shape;
use khala_wire::topic::TopicId;
use serde::Deserialize;

use super::{Action, Machine, State, World};
use crate::clock::micros;

/// A heartbeat of the channel without an answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    reference: u64,
    due: Micros,
    sent_at: Micros,
    /// Whether the client was live when it was sent.
    live: bool,
}

/// What the socket's own heartbeats say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pulse {
    /// Nothing was asked.
    #[default]
    Unasked,
    /// Asked together with the channel.
    Asked(u64),
    /// It answered.
    Felt(Micros),
    /// Asked once more, because the channel has not answered.
    AskedAgain(u64),
}

impl Machine {
    /// A heartbeat is due.
    pub(super) fn heartbeat<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        let every = micros(self.settings.heartbeat).max(1);
        match self.heartbeat {
            Some(beat) if self.doubts_the_channel(beat, now, every) => {}
            Some(_) => {
                self.lost(now, OfflineCause::HeartbeatTimeout, world);
                return Action::Close;
            }
            // Its channel answers, and the real clients' libraries close it all the same.
            None if matches!(self.pulse, Pulse::Asked(_) | Pulse::AskedAgain(_)) => {
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
            let reference = self.take_ref();
            self.pulse = Pulse::AskedAgain(reference);
            return Action::Send(socket_heartbeat(reference));
        }
        let reference = self.take_ref();
        let live = self.state == State::Live;
        self.heartbeat = Some(Beat { reference, due, sent_at: now, live });
        let channel = self.message(reference, event::HEARTBEAT, &Empty {});
        let reference = self.take_ref();
        self.pulse = Pulse::Asked(reference);
        Action::SendBoth([channel, socket_heartbeat(reference)])
    }

    /// Whether a beat without an answer speaks against the channel and not against the socket.
    fn doubts_the_channel(&self, beat: Beat, now: Micros, every: Micros) -> bool {
        let Pulse::Felt(at) = self.pulse else { return false };
        let had_time = now.saturating_sub(at) >= every / 2;
        beat.live && self.state == State::Live && had_time
    }

    /// The heartbeat of the channel that awaits an answer.
    pub(super) fn asked_the_channel(&self) -> Option<u64> {
        self.heartbeat.map(|beat| beat.reference)
    }

    /// Whether a ref is that of a heartbeat of the socket which awaits an answer.
    pub(super) fn asked_the_socket(&self, reference: Option<u64>) -> bool {
        match self.pulse {
            Pulse::Asked(asked) | Pulse::AskedAgain(asked) => reference == Some(asked),
            Pulse::Unasked | Pulse::Felt(_) => false,
        }
    }

    /// A reply, if it is one to a heartbeat.
    pub(super) fn beat_answered<S: Sink>(
        &mut self,
        reference: Option<u64>,
        reply: &ReplyRef<'_>,
        read_at: Micros,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Option<Action> {
        let reference = reference?;
        if let Some(beat) = self.heartbeat.filter(|beat| beat.reference == reference) {
            self.heartbeat = None;
            let outcome = match reply.status {
                Status::Ok => {
                    let what = "the reply to a sync:heartbeat";
                    self.shaped(&shape::BEATEN, what, reply.response, read_at, world);
                    self.heads_told(reply, read_at, world);
                    Outcome::Ok
                }
                Status::Error => Outcome::ProtocolError,
            };
            self.op(OpKind::Heartbeat, beat.due, beat.sent_at, read_at, outcome, world);
            return Some(Action::None);
        }
        match self.pulse {
            Pulse::Asked(asked) if asked == reference => {
                self.pulse = Pulse::Felt(read_at);
                Some(Action::None)
            }
            Pulse::AskedAgain(asked) if asked == reference => {
                self.pulse = Pulse::Felt(read_at);
                let Some(beat) = self.heartbeat else { return Some(Action::None) };
                let cause = OfflineCause::ChannelSilent { asked: beat.sent_at };
                self.lost(now, cause, world);
                Some(Action::Close)
            }
            _ => None,
        }
    }
}

impl Machine {
    /// Records where the reply to a heartbeat says that the topics of the subscription stand.
    fn heads_told<S: Sink>(&self, reply: &ReplyRef<'_>, read_at: Micros, world: &mut World<'_, S>) {
        let Ok(Beaten { watermarks }) = serde_json::from_str(reply.response.get()) else { return };
        let known = watermarks.iter().filter_map(|told| {
            let topic = TopicId::of(&told.topic).filter(|topic| self.named.contains(topic))?;
            Some((topic, told.watermark))
        });
        let heads: Vec<_> = known.collect();
        if !heads.is_empty() {
            world.sink.record(Record::HeadsTold { client: self.client, at: read_at, heads });
        }
    }
}

/// Of the response to a heartbeat what says where the topics stand.
#[derive(Deserialize)]
struct Beaten {
    #[serde(default)]
    watermarks: Vec<WatermarkSeen>,
}

fn socket_heartbeat(reference: u64) -> String {
    let msg_ref = frame::string_ref(reference);
    let event = event::PHOENIX_HEARTBEAT;
    frame::encode(Vsn::V2, None, Some(&msg_ref), PHOENIX_CHANNEL, event, &Empty {})
}
