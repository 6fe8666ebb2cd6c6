//! Replies: to what they answer, and what they say.

use khala_evidence::record::{Micros, Record, Sink, StaleReason, StaleTopic};
use khala_wire::frame::Frame;
use khala_wire::payload::{
    self, ReplyRef, StaleCursorSeen, StaleTopicSeen, Status, SubscribedSeen, WatermarkSeen,
    error_code,
};
use khala_wire::shape;
use khala_wire::topic::TopicId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Phoenix;
use super::asks::Subscribing;
use crate::client::machine::spoken::{Came, Event, Refusal, Stale, Why};
use crate::client::machine::{Action, Machine};
use crate::client::world::World;
use crate::said;

/// Before the session in a subscription's id (contract, section 3, join).
const SUBSCRIPTION_OF: &str = "sub_sync_session:";

/// Of the response to a heartbeat what says where the topics stand.
#[derive(Deserialize)]
struct Beaten {
    #[serde(default)]
    watermarks: Vec<WatermarkSeen>,
}

fn heads_told(response: &RawValue) -> Vec<(TopicId, u64)> {
    let Ok(Beaten { watermarks }) = serde_json::from_str(response.get()) else { return Vec::new() };
    let known = watermarks.iter();
    known.filter_map(|told| Some((TopicId::of(&told.topic)?, told.watermark))).collect()
}

/// Of the response to a join what says for whom it is.
#[derive(Deserialize)]
struct JoinedFor {
    subscription_id: String,
}

impl Phoenix {
    pub(super) fn reply<S: Sink>(
        &mut self,
        frame: &Frame<'_>,
        came: Came,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        let read_at = came.read_at;
        if !self.shaped(&shape::REPLY, "a phx_reply", frame.payload, read_at, world) {
            return Action::None;
        }
        let reply: ReplyRef<'_> = match serde_json::from_str(frame.payload.get()) {
            Ok(reply) => reply,
            Err(error) => {
                let why = format!("a phx_reply: {}", said::error(&error));
                world.malformed(self.client, read_at, why);
                return Action::None;
            }
        };
        // What has none answers a request that has timed out, or one of an older socket.
        match self.answered(frame.ref_number(), &reply, read_at, world) {
            Some(event) => machine.told(event, came, world),
            None => Action::None,
        }
    }

    /// What a reply says to the machine, if something awaits it.
    fn answered<S: Sink>(
        &mut self,
        reference: Option<u64>,
        reply: &ReplyRef<'_>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> Option<Event<'static>> {
        let is = |asked: Option<u64>| reference.is_some() && asked == reference;
        let ok = reply.status == Status::Ok;
        if is(self.asked.heartbeat) {
            self.asked.heartbeat = None;
            let mut heads = Vec::new();
            if ok {
                let what = "the reply to a sync:heartbeat";
                self.shaped(&shape::BEATEN, what, reply.response, read_at, world);
                heads = heads_told(reply.response);
            }
            return Some(Event::Beaten { ok, heads });
        }
        if is(self.asked.ping) {
            self.asked.ping = None;
            return Some(Event::Pinged);
        }
        if is(self.asked.unsubscribe) {
            return Some(Event::Unsubscribed(ok));
        }
        if is(self.asked.barrier) {
            self.asked.barrier = None;
            return Some(Event::Passed(ok));
        }
        let subscribing = self.asked.subscribe.filter(|it| is(Some(it.reference)));
        let joining = is(self.asked.join);
        if joining {
            self.asked.join = None;
        } else {
            subscribing?;
            self.asked.subscribe = None;
        }
        Some(match subscribing.filter(|_| !joining) {
            _ if reply.status == Status::Error => Event::Refused(refusal(reply)),
            None => self.joined(reply.response, read_at, world),
            Some(subscribing) => self.subscribed(subscribing, reply.response, read_at, world),
        })
    }

    fn joined<S: Sink>(
        &mut self,
        response: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> Event<'static> {
        self.joins.answered(read_at);
        self.shaped(&shape::JOINED, "the reply to a join", response, read_at, world);
        self.joined_as(response, read_at, world);
        Event::Joined
    }

    /// Records it if a join is answered for a session that is not the client's own.
    fn joined_as<S: Sink>(&self, response: &RawValue, read_at: Micros, world: &mut World<'_, S>) {
        let told = serde_json::from_str::<JoinedFor>(response.get());
        let told = told.ok().map(|told| told.subscription_id);
        let told = told.as_deref().and_then(|id| id.strip_prefix(SUBSCRIPTION_OF));
        if let (Some(own), Some(told)) = (&self.session, told)
            && **own != *told
        {
            let session = said::word(told);
            world.sink.record(Record::JoinedAs { client: self.client, at: read_at, session });
        }
    }

    fn subscribed<S: Sink>(
        &self,
        subscribing: Subscribing,
        response: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> Event<'static> {
        let what = "the reply to a subscribe";
        // What a fault tried is no business of the contract's.
        let shaped =
            subscribing.tried || self.shaped(&shape::SUBSCRIBED, what, response, read_at, world);
        match serde_json::from_str::<SubscribedSeen>(response.get()) {
            Ok(seen) => {
                let marks = seen.current_watermarks.iter();
                let known =
                    marks.filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark)));
                Event::Subscribed(Some(known.collect()))
            }
            Err(error) => {
                if shaped && !subscribing.tried {
                    let why = format!("{what}: {}", said::error(&error));
                    world.malformed(self.client, read_at, why);
                }
                Event::Subscribed(None)
            }
        }
    }
}

fn refusal(reply: &ReplyRef<'_>) -> Refusal {
    let word = error_code(reply.response);
    let why = match word.as_str() {
        payload::CODE_STALE_CURSOR => Why::Stale(stale(reply.response)),
        payload::CODE_REAUTH_REQUIRED => Why::Auth,
        "invalid_client_build"
        | "unsupported_protocol_version"
        | "unsupported_schema_version"
        | "upgrade_required"
        | "unsupported_client_build" => Why::Incompatible,
        _ => Why::Other,
    };
    Refusal { word, why }
}

fn stale(response: &RawValue) -> Result<Stale, String> {
    let seen: StaleCursorSeen = serde_json::from_str(response.get())
        .map_err(|error| format!("a stale_cursor: {}", said::error(&error)))?;
    let planned = seen.snapshot_plan.topics.iter();
    Ok(Stale {
        topics: seen.stale_topics.iter().filter_map(stale_topic).collect(),
        snapshots: planned.filter_map(|planned| TopicId::of(&planned.topic)).collect(),
    })
}

fn stale_topic(stale: &StaleTopicSeen) -> Option<StaleTopic> {
    Some(StaleTopic {
        topic: TopicId::of(&stale.topic)?,
        reason: match stale.reason.as_str() {
            payload::STALE_RETENTION_FLOOR => StaleReason::RetentionFloor,
            payload::STALE_REPLAY_BUDGET => StaleReason::ReplayBudget,
            _ => StaleReason::Other,
        },
        cursor: stale.resume_after,
        floor: Some(stale.retention_floor),
        head: Some(stale.head_watermark),
        budget: Some(stale.replay_budget_events),
        lag: Some(stale.replay_lag),
    })
}
