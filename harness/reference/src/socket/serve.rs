//! Serving a subscribe: staleness, replay, reply.

use khala_wire::TopicKind;
use khala_wire::cursor::TopicWatermark;
use khala_wire::payload::{StaleCursor, Status, Subscribed};
use khala_wire::topic::TopicId;
use serde_json::value::RawValue;

use super::connection::Connection;
use super::deliver::Turn;
use super::end::End;
use super::next::Mode;
use super::stale;
use super::subscribe::Request;
use super::tail::Tail;
use crate::clock;
use crate::defect::{Defects, Kind};
use crate::store::Window;

/// How the replay of one topic ended.
enum Replayed {
    /// At the head; the watermark.
    To(u64),
    /// Retention took what was yet to be replayed.
    Overrun,
    /// The channel did not survive it.
    Gone,
}

/// What defects do to one subscribe.
#[derive(Clone, Copy, Default)]
struct Twist {
    /// `early_replay_complete`
    early: bool,
    /// `drop_on_reconnect`
    lossy: bool,
    /// `tail_during_replay`
    tail_first: bool,
    /// `replay_skips_one`
    skips_one: bool,
    /// `tail_lost`
    loses_tail: bool,
}

impl Connection {
    /// Takes a subscribe that may be served, unless a cursor is stale.
    pub(super) async fn subscribe(&mut self, mut request: Request) -> Result<(), End> {
        if let Some(stale) = self.staleness(&mut request) {
            self.refuse_stale(request.msg_ref.as_deref(), &stale).await?;
            self.keep_the_fresh(&request, &stale);
            return Ok(());
        }
        if self.takes(Kind::SlowRecovery, &request)
            && let Some(channel) = &mut self.channel
        {
            channel.alive_at = clock::now();
            let due = clock::now() + self.shared.config.defect_times.slow_recovery;
            return match channel.defer(due, request) {
                Ok(()) => {
                    self.shared.defects.note(Kind::SlowRecovery);
                    Ok(())
                }
                Err(request) => self.serve_subscribe(request).await,
            };
        }
        self.serve_subscribe(request).await
    }

    /// What is stale about a subscribe, as the client is to be told.
    fn staleness(&mut self, request: &mut Request) -> Option<StaleCursor> {
        let cursors = request.cursors();
        let right = stale::check(&self.shared.store, &cursors);
        for edge in stale::EDGES {
            if !self.shared.defects.armed(edge) {
                continue;
            }
            let bent = stale::check_bent(&self.shared.store, &cursors, Some(edge));
            if bent.is_some() != right.is_some() && self.does(edge, request) {
                request.from_floor |= bent.is_none();
                return bent;
            }
        }
        match right {
            Some(found)
                if stale::is_below_floor(&found) && self.does(Kind::IgnoreFloor, request) =>
            {
                request.from_floor = true;
                None
            }
            Some(found) if self.does(Kind::WrongReason, request) => Some(stale::misname(found)),
            None if self.does(Kind::AlwaysStale, request) => {
                Some(stale::pretend(&self.shared.store, &cursors))
            }
            verdict => verdict,
        }
    }

    async fn refuse_stale(
        &mut self,
        msg_ref: Option<&RawValue>,
        stale: &StaleCursor,
    ) -> Result<(), End> {
        stale::count(&self.shared.metrics, stale);
        let topic = stale.stale_topics.first().map_or("sync.unspecified", |first| &*first.topic);
        let mut frames = Vec::with_capacity(3);
        match self.error_pushes(topic, stale) {
            Ok(pushes) => frames.extend(pushes),
            Err(error) => tracing::error!(%error, "a stale_cursor does not serialise"),
        }
        frames.push(self.reply(msg_ref, Status::Error, stale));
        self.send(frames).await
    }

    /// Defect `fresh_of_stale_list`: what is not stale of a list that was refused is subscribed, from its cursor.
    fn keep_the_fresh(&mut self, request: &Request, stale: &StaleCursor) {
        let is_stale =
            |topic: TopicId| stale.stale_topics.iter().any(|stale| stale.topic == topic.name());
        let fresh: Vec<_> = request.topics.iter().filter(|(topic, _)| !is_stale(*topic)).collect();
        if fresh.is_empty() || !self.does(Kind::FreshOfStaleList, request) {
            return;
        }
        let Some(channel) = &mut self.channel else { return };
        for &&(topic, cursor) in &fresh {
            let head = self.shared.store.log(topic).head();
            let start = cursor.unwrap_or(head);
            *channel.tail(topic) = Some(Tail::new(start, head));
            self.open.set_sent(topic, Some(start));
        }
    }

    /// Replays, then answers.
    pub(super) async fn serve_subscribe(&mut self, request: Request) -> Result<(), End> {
        let twist = Twist {
            early: self.takes(Kind::EarlyReplayComplete, &request),
            lossy: self.takes(Kind::DropOnReconnect, &request),
            tail_first: self.takes(Kind::TailDuringReplay, &request),
            skips_one: self.takes(Kind::ReplaySkipsOne, &request),
            loses_tail: self.chooses(Kind::TailLost),
        };
        let mut answered = Vec::with_capacity(request.topics.len());
        for (topic, cursor) in &request.topics {
            let from_floor = request.from_floor;
            let Some(start) = self.begin(*topic, *cursor, from_floor, twist) else {
                return Ok(());
            };
            let watermark = if twist.early {
                let head = self.shared.store.log(*topic).head();
                if head > start {
                    self.shared.defects.note(Kind::EarlyReplayComplete);
                }
                start.max(head)
            } else {
                if twist.tail_first && cursor.is_some() {
                    self.send_head(*topic, start).await?;
                }
                match self.replay(*topic, *cursor, request.batch_size).await? {
                    Replayed::To(watermark) => watermark,
                    Replayed::Gone => return Ok(()),
                    Replayed::Overrun => return self.abandon(&request).await,
                }
            };
            answered.push(TopicWatermark { topic: topic.name().to_owned(), watermark });
        }
        let unanswered = self.chooses(Kind::NeverReplayComplete);
        let Some(channel) = &mut self.channel else { return Ok(()) };
        channel.alive_at = clock::now();
        if twist.loses_tail {
            let until = channel.alive_at + self.shared.config.defect_times.tail_lost;
            let streams = request.topics.iter().filter(|(it, _)| it.kind() == TopicKind::Stream);
            for (topic, _) in streams {
                if let Some(tail) = channel.tail(*topic) {
                    tail.lost_until = Some(until);
                }
            }
        }
        if unanswered {
            self.shared.defects.note(Kind::NeverReplayComplete);
            return Ok(());
        }
        let response = Subscribed {
            topics: answered.iter().map(|entry| entry.topic.clone()).collect(),
            current_watermarks: answered,
            subscription_id: channel.subscription_id.clone(),
        };
        let reply = self.reply(request.msg_ref.as_deref(), Status::Ok, response);
        self.send([reply]).await
    }

    /// Subscribes to a topic; returns the watermark after which it is replayed.
    fn begin(
        &mut self,
        topic: TopicId,
        cursor: Option<u64>,
        from_floor: bool,
        twist: Twist,
    ) -> Option<u64> {
        let channel = self.channel.as_mut()?;
        let window = self.shared.store.log(topic).window();
        let own = channel.tail(topic).as_ref().filter(|tail| !tail.ghost);
        let own = own.map_or(0, |tail| tail.sent);
        let start = match cursor {
            Some(cursor) => {
                let cursor = if from_floor { cursor.max(window.floor) } else { cursor };
                off_by_one(cursor, topic, &window, twist, &self.shared.defects)
            }
            // Without a cursor nothing is stale: what retention has taken is passed over.
            None => own.max(window.floor),
        };
        let mut tail = Tail::new(start, window.head);
        tail.drop_next = twist.lossy && cursor.is_some() && topic.kind() == TopicKind::Stream;
        if twist.early {
            let lead = self.shared.config.defect_times.early_reply_lead;
            tail.paused_until = Some(clock::now() + lead);
        }
        *channel.tail(topic) = Some(tail);
        self.open.set_sent(topic, Some(start));
        Some(start)
    }

    /// Sends a topic up to its head.
    async fn replay(
        &mut self,
        topic: TopicId,
        cursor: Option<u64>,
        batch_size: u64,
    ) -> Result<Replayed, End> {
        loop {
            match self.turn(topic, batch_size, Mode::Replay).await? {
                Turn::Sent => {}
                Turn::Idle => {
                    let tail = self.channel.as_mut().and_then(|it| it.tail(topic).as_ref());
                    return Ok(tail.map_or(Replayed::Gone, |tail| Replayed::To(tail.sent)));
                }
                Turn::Overrun if cursor.is_some() => return Ok(Replayed::Overrun),
                Turn::Overrun => self.pass_over(topic),
            }
            if !self.tell_slow().await? {
                return Ok(Replayed::Gone);
            }
        }
    }

    /// Retention overtook a replay: the subscribe is refused after all, as a whole.
    async fn abandon(&mut self, request: &Request) -> Result<(), End> {
        let Some(channel) = &mut self.channel else { return Ok(()) };
        for (topic, _) in &request.topics {
            *channel.tail(*topic) = None;
            self.open.set_sent(*topic, None);
        }
        match stale::check(&self.shared.store, &request.cursors()) {
            Some(stale) => self.refuse_stale(request.msg_ref.as_deref(), &stale).await,
            // The floor never goes back, so what was overrun stays below it.
            None => Ok(()),
        }
    }

    /// Defect `tail_during_replay`: the newest event of a stream before its replay.
    async fn send_head(&mut self, topic: TopicId, start: u64) -> Result<(), End> {
        let head = self.shared.store.log(topic).head();
        if topic.kind() != TopicKind::Stream || head < start.saturating_add(2) {
            return Ok(());
        }
        self.shared.defects.note(Kind::TailDuringReplay);
        self.send_head_of(topic).await
    }

    /// Whether a defect of subscribes with a cursor takes this one.
    fn takes(&mut self, kind: Kind, request: &Request) -> bool {
        request.topics.iter().any(|(_, cursor)| cursor.is_some()) && self.chooses(kind)
    }

    /// [`Connection::takes`], of a defect that acts by it.
    fn does(&mut self, kind: Kind, request: &Request) -> bool {
        let takes = self.takes(kind, request);
        if takes {
            self.shared.defects.note(kind);
        }
        takes
    }
}

/// Where a replay begins, given its cursor: there, or one late.
fn off_by_one(
    cursor: u64,
    topic: TopicId,
    window: &Window,
    twist: Twist,
    defects: &Defects,
) -> u64 {
    if topic.kind() != TopicKind::Stream {
        return cursor;
    }
    if twist.skips_one && cursor < window.head {
        defects.note(Kind::ReplaySkipsOne);
        return cursor + 1;
    }
    cursor
}
