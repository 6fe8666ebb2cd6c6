//! One client's socket: the least that the contract asks for, and events when they are due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use khala_wire::cursor::TopicWatermark;
use khala_wire::frame::{Frame, encode};
use khala_wire::message::{ClientMessage, event};
use khala_wire::payload::{
    CODE_FORBIDDEN_TOPIC, Empty, ForbiddenTopic, HeartbeatPush, HeartbeatReply, Joined, Reply,
    Status, Subscribe, Subscribed, Unsubscribed,
};
use khala_wire::topic::WORKER_EVENTS;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL, Vsn};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::log::Event;
use super::record::Sample;
use super::shared::Shared;
use crate::clock;
use khala_reference::sync::read;

/// How long a peer may take nothing before it is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may say nothing: three heartbeats of a real client.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The peer is gone, or is not one.
struct Gone;

/// One client.
pub struct Lane {
    ws: WebSocket,
    shared: Arc<Shared>,
    head: watch::Receiver<u64>,
    client: u64,
    join_ref: Option<Box<RawValue>>,
    subscribed: bool,
    /// Highest sequence number that was sent or waits to be.
    planned: u64,
    /// Highest sequence number that was sent.
    sent: u64,
    /// What waits, in order; bounded by the log.
    waiting: VecDeque<(Instant, Arc<Event>)>,
}

enum Wake {
    Said(Option<Result<Message, axum::Error>>),
    Look,
}

impl Lane {
    /// A client that has said nothing yet.
    pub fn new(ws: WebSocket, shared: Arc<Shared>) -> Self {
        let head = shared.head.subscribe();
        let client = shared.next_client.fetch_add(1, Ordering::Relaxed);
        let (join_ref, waiting) = (None, VecDeque::new());
        Self { ws, shared, head, client, join_ref, subscribed: false, planned: 0, sent: 0, waiting }
    }

    /// Serves until the client goes, or the server stops.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        tokio::select! {
            _ = self.serve() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn serve(&mut self) -> Result<(), Gone> {
        let mut said_at = clock::now();
        loop {
            self.head.mark_unchanged();
            self.plan();
            self.send_due().await?;
            let idle = said_at + IDLE_MAX;
            let due = self.waiting.front().map_or(idle, |(due, _)| *due).min(idle);
            let wake = tokio::select! {
                said = self.ws.next() => Wake::Said(said),
                _ = self.head.changed(), if self.subscribed => Wake::Look,
                () = tokio::time::sleep_until(due.into()) => Wake::Look,
            };
            match wake {
                Wake::Said(Some(Ok(Message::Text(text)))) => {
                    said_at = clock::now();
                    self.answer(&text).await?;
                }
                Wake::Said(Some(Ok(Message::Close(_)) | Err(_)) | None) => return Err(Gone),
                Wake::Said(Some(Ok(_))) => said_at = clock::now(),
                Wake::Look if clock::now() >= idle => return Err(Gone),
                Wake::Look => {}
            }
        }
    }

    /// Draws when each new event is due. What is drawn sooner than its predecessor waits for it:
    /// the order of a topic is that of its sequence numbers.
    fn plan(&mut self) {
        if !self.subscribed {
            return;
        }
        let log = read(&self.shared.log);
        for event in log.after(self.planned) {
            let config = &self.shared.config;
            let drawn = config.latency.draw(config.seed, self.client, event.seq);
            let due = event.taken + drawn;
            let due = self.waiting.back().map_or(due, |(before, _)| due.max(*before));
            self.waiting.push_back((due, Arc::clone(event)));
        }
        self.planned = log.head().max(self.planned);
    }

    /// Hands over all that is due, in one write.
    async fn send_due(&mut self) -> Result<(), Gone> {
        let now = clock::now();
        let count = self.waiting.iter().take_while(|(due, _)| *due <= now).count();
        if count == 0 {
            return Ok(());
        }
        let batch: Vec<_> = self.waiting.drain(..count).collect();
        let pushes = batch.iter().flat_map(|(_, event)| event.pushes(self.join_ref.as_deref()));
        let pushes: Vec<_> = pushes.map(Message::Text).collect();
        self.write(pushes).await?;
        let handed = clock::now();
        let sample = |(due, event): &(Instant, Arc<Event>)| Sample {
            seq: event.seq,
            handed,
            late: handed.saturating_duration_since(*due),
        };
        self.shared.note(&batch.iter().map(sample).collect::<Vec<_>>());
        self.sent = batch.last().map_or(self.sent, |(_, event)| event.seq);
        Ok(())
    }

    async fn write(&mut self, messages: Vec<Message>) -> Result<(), Gone> {
        let writing = async {
            for message in messages {
                self.ws.feed(message).await?;
            }
            self.ws.flush().await
        };
        let written = tokio::time::timeout(WRITE_TIMEOUT, writing).await;
        written.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    async fn answer(&mut self, text: &str) -> Result<(), Gone> {
        let frame = Frame::parse(Vsn::V2, text).map_err(|_| Gone)?;
        let Ok(message) = ClientMessage::read(&frame) else { return Ok(()) };
        let answers = match message {
            ClientMessage::Join(_) => {
                self.join_ref = frame.join_ref.map(ToOwned::to_owned);
                let allowed_topics = vec![WORKER_EVENTS.to_owned()];
                let subscription_id = self.subscription_id();
                let current_watermarks = Vec::new();
                vec![ok(&frame, Joined { allowed_topics, current_watermarks, subscription_id })]
            }
            ClientMessage::Subscribe(subscribe) => self.subscribe(&frame, &subscribe),
            ClientMessage::Unsubscribe(_) => {
                (self.subscribed, self.planned) = (false, self.sent);
                self.waiting.clear();
                let subscription_id = self.subscription_id();
                vec![ok(&frame, Unsubscribed { subscription_id, topics: Vec::new() })]
            }
            ClientMessage::Heartbeat(_) => {
                self.shared.heartbeats.fetch_add(1, Ordering::Relaxed);
                let (subscription_id, watermarks) = (self.subscription_id(), self.watermarks());
                let push = HeartbeatPush { watermarks: watermarks.clone() };
                let join_ref = self.join_ref.as_deref();
                let push = encode(Vsn::V2, join_ref, None, CHANNEL, event::HEARTBEAT, &push);
                vec![push, ok(&frame, HeartbeatReply { subscription_id, watermarks })]
            }
            ClientMessage::PhoenixHeartbeat(_) | ClientMessage::Leave(_) => {
                vec![ok(&frame, Empty {})]
            }
        };
        self.write(answers.into_iter().map(|text| Message::Text(text.into())).collect()).await
    }

    /// Replays what is after the cursor, then answers. What is replayed is in no record.
    fn subscribe(&mut self, frame: &Frame<'_>, subscribe: &Subscribe) -> Vec<String> {
        let others = subscribe.topics.iter().filter(|topic| *topic != WORKER_EVENTS);
        let forbidden_topics: Vec<_> = others.cloned().collect();
        if !forbidden_topics.is_empty() || subscribe.topics.is_empty() {
            let code = CODE_FORBIDDEN_TOPIC.to_owned();
            let response = ForbiddenTopic { code, forbidden_topics };
            return vec![reply(frame, Status::Error, response)];
        }
        let cursor = subscribe.resume_after.as_ref().and_then(|after| after.get(WORKER_EVENTS));
        let log = read(&self.shared.log);
        let join_ref = self.join_ref.as_deref();
        let replayed = log.after(cursor.unwrap_or(self.sent)).iter();
        let mut texts: Vec<_> =
            replayed.flat_map(|e| e.pushes(join_ref)).map(|text| text.to_string()).collect();
        self.waiting.clear();
        self.subscribed = true;
        (self.planned, self.sent) = (log.head(), log.head());
        drop(log);
        texts.push(ok(
            frame,
            Subscribed {
                current_watermarks: self.watermarks(),
                subscription_id: self.subscription_id(),
                topics: subscribe.topics.clone(),
            },
        ));
        texts
    }

    fn watermarks(&self) -> Vec<TopicWatermark> {
        let topic = WORKER_EVENTS.to_owned();
        let here = TopicWatermark { topic, watermark: self.sent };
        if self.subscribed { vec![here] } else { Vec::new() }
    }

    fn subscription_id(&self) -> String {
        // No token is read here, so that nobody knows of which session it is.
        format!("sub_null:{}", self.client)
    }
}

fn ok<R: Serialize>(frame: &Frame<'_>, response: R) -> String {
    reply(frame, Status::Ok, response)
}

fn reply<R: Serialize>(frame: &Frame<'_>, status: Status, response: R) -> String {
    let channel = if frame.channel == PHOENIX_CHANNEL { PHOENIX_CHANNEL } else { CHANNEL };
    let reply = Reply { response, status };
    encode(Vsn::V2, frame.join_ref, frame.msg_ref, channel, event::REPLY, &reply)
}
