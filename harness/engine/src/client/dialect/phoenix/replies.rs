//! Replies: to what they answer, and what they say.

use khala_evidence::record::{Micros, Place, Record, Sink, StaleReason, StaleTopic, Telling, Tier};
use khala_wire::frame::Frame;
use khala_wire::payload::{
    self, ReplyRef, StaleCursorSeen, StaleTopicSeen, Status, SubscribedSeen, WatermarkSeen,
    error_code,
};
use khala_wire::topic::TopicId;
use khala_wire::{TopicKind, shape};
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

/// What an answer or a heartbeat says of its session, and of topics; fields that it does not have are empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    subscription_id: Option<String>,
    #[serde(default)]
    allowed_topics: Vec<String>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default, alias = "watermarks")]
    current_watermarks: Vec<WatermarkSeen>,
}

impl Told {
    pub(super) fn marks(&self) -> Vec<(TopicId, u64)> {
        known(&self.current_watermarks)
    }

    fn has(&self, topic: TopicId) -> bool {
        self.topics.iter().any(|name| name == topic.name())
    }
}

/// Where topics stand, of those that the contract knows.
fn known(marks: &[WatermarkSeen]) -> Vec<(TopicId, u64)> {
    let known = marks.iter();
    known.filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark))).collect()
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
        match self.answered(frame.ref_number(), &reply, read_at, machine, world) {
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
        machine: &Machine,
        world: &mut World<'_, S>,
    ) -> Option<Event<'static>> {
        let is = |asked: Option<u64>| reference.is_some() && asked == reference;
        let ok = reply.status == Status::Ok;
        if is(self.asked.heartbeat) {
            self.asked.heartbeat = None;
            let mut heads = Vec::new();
            if ok {
                let what = "the reply to a sync:heartbeat";
                if self.shaped(&shape::BEATEN, what, reply.response, read_at, world) {
                    let told = self.told(Telling::Heartbeat, what, reply.response, read_at, world);
                    heads = told.unwrap_or_default().marks();
                    self.stand(Telling::Heartbeat, &heads, read_at, world);
                    self.not_behind(what, &heads, read_at, world);
                }
            } else if machine.is_live() {
                self.refused(Place::Heartbeat, reply, read_at, machine, world);
            }
            return Some(Event::Beaten { ok, heads });
        }
        if is(self.asked.ping) {
            self.asked.ping = None;
            if !ok {
                self.refused(Place::Heartbeat, reply, read_at, machine, world);
            }
            return Some(Event::Pinged);
        }
        if let Some(leaving) = self.asked.unsubscribe.clone().filter(|it| is(Some(it.reference))) {
            if ok {
                self.left(&leaving.topics, reply.response, read_at, world);
            } else {
                self.refused(Place::Unsubscribe, reply, read_at, machine, world);
            }
            return Some(Event::Unsubscribed(ok));
        }
        if is(self.asked.barrier) {
            self.asked.barrier = None;
            return Some(Event::Passed(ok));
        }
        let joining = is(self.asked.join);
        let subscribing = if joining {
            self.asked.join = None;
            None
        } else {
            Some(self.asked.subscribe.take_if(|it| is(Some(it.reference)))?)
        };
        Some(match subscribing {
            _ if reply.status == Status::Error => {
                let refusal = refusal(reply);
                if let Some(lacks) = lacks_of_stale(&refusal, reply.response) {
                    world.not_so(self.client, read_at, lacks);
                }
                Event::Refused(refusal)
            }
            None => self.joined(reply.response, read_at, world),
            Some(subscribing) => self.subscribed(&subscribing, reply.response, read_at, world),
        })
    }

    /// What was asked in good order was answered with an error.
    fn refused<S: Sink>(
        &self,
        place: Place,
        reply: &ReplyRef<'_>,
        read_at: Micros,
        machine: &Machine,
        world: &mut World<'_, S>,
    ) {
        let word = error_code(reply.response);
        world.word(self.client, read_at, self.place_of(&word, place, read_at, machine), &word);
    }

    /// What an answer or a heartbeat says, and whether it speaks of anything that is not the client's; `None` of
    /// what cannot be read.
    pub(super) fn told<S: Sink>(
        &self,
        by: Telling,
        what: &str,
        response: &RawValue,
        at: Micros,
        world: &mut World<'_, S>,
    ) -> Option<Told> {
        let client = self.client;
        let told = match serde_json::from_str::<Told>(response.get()) {
            Ok(told) => told,
            Err(error) => {
                world.malformed(client, at, format!("{what}: {}", said::error(&error)));
                return None;
            }
        };
        let session = told.subscription_id.as_deref();
        let session = session.and_then(|id| id.strip_prefix(SUBSCRIPTION_OF));
        if let (Some(own), Some(session)) = (&self.session, session)
            && **own != *session
        {
            let session = said::word(session);
            world.sink.record(Record::JoinedAs { client, at, session, by });
        }
        let marked = told.current_watermarks.iter().map(|mark| &mark.topic);
        for name in told.allowed_topics.iter().chain(&told.topics).chain(marked) {
            self.settings.named(client, at, name, by, world);
        }
        Some(told)
    }

    fn joined<S: Sink>(
        &mut self,
        response: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> Event<'static> {
        self.joins.answered(read_at);
        let what = "the reply to a join";
        if self.shaped(&shape::JOINED, what, response, read_at, world) {
            let told = self.told(Telling::Joined, what, response, read_at, world);
            let allowed = told.unwrap_or_default().allowed_topics;
            let barred = |topic: &TopicId| !allowed.iter().any(|name| name == topic.name());
            self.barred = self.settings.topics.iter().copied().filter(barred).collect();
        }
        Event::Joined
    }

    fn subscribed<S: Sink>(
        &mut self,
        subscribing: &Subscribing,
        response: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> Event<'static> {
        let (what, by) = ("the reply to a subscribe", Telling::Subscribed);
        let shaped = subscribing.own.as_ref().filter(|_| {
            // What a fault tried is no business of the contract's.
            self.shaped(&shape::SUBSCRIBED, what, response, read_at, world)
        });
        let Some(own) = shaped else {
            // A real client takes what it can read.
            let seen = serde_json::from_str::<SubscribedSeen>(response.get()).ok();
            return Event::Subscribed(seen.map(|seen| known(&seen.current_watermarks)));
        };
        let Some(told) = self.told(by, what, response, read_at, world) else {
            return Event::Subscribed(None);
        };
        let marks = told.marks();
        for &topic in &own.topics {
            let mark = marks.iter().find(|(of, _)| *of == topic).map(|(_, mark)| *mark);
            let cursor = own.cursors.iter().find(|(of, _)| *of == topic).map(|(_, cursor)| *cursor);
            let name = topic.name();
            let lacks = if self.barred.contains(&topic) {
                Some(format!("grants {name}, which the reply to the join does not allow"))
            } else if !told.has(topic) {
                Some(format!("does not name {name}, which was asked for"))
            } else if let Some(mark) = mark {
                let below = cursor.filter(|cursor| mark < *cursor);
                below.map(|cursor| {
                    format!("says that {name} stands at {mark}, below cursor {cursor}")
                })
            } else {
                Some(format!("does not say where {name} stands"))
            };
            if let Some(lacks) = lacks {
                world.not_so(self.client, read_at, format!("{what} {lacks}"));
            }
        }
        for &(topic, mark) in &marks {
            // Where a stream stands by it is judged with the reply itself.
            if topic.kind() == TopicKind::Stream {
                self.stands.rises(topic, mark);
            }
        }
        self.stand(by, &marks, read_at, world);
        Event::Subscribed(Some(marks))
    }

    /// The unsubscribe was answered with ok: what remains is told.
    fn left<S: Sink>(
        &self,
        gone: &[TopicId],
        response: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) {
        let (what, by) = ("the reply to an unsubscribe", Telling::Unsubscribed);
        if !self.shaped(&shape::UNSUBSCRIBED, what, response, read_at, world) {
            return;
        }
        let Some(told) = self.told(by, what, response, read_at, world) else { return };
        for &topic in &self.settings.topics {
            let (name, remains) = (topic.name(), !gone.contains(&topic));
            if told.has(topic) != remains {
                let says = if remains { "does not name" } else { "still names" };
                let why = if remains { "remains" } else { "was given up" };
                world.not_so(self.client, read_at, format!("{what} {says} {name}, which {why}"));
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

/// What of a stale cursor a client acts on beside its topics.
#[derive(Deserialize)]
struct StaleSaid {
    #[serde(default)]
    full_resync_required: Option<bool>,
    #[serde(default)]
    reason_codes: Vec<String>,
    stale_topics: Vec<StaleTopicSeen>,
}

/// What a refusal for stale cursors lacks: that all must be fetched again, or the reasons that its topics have.
fn lacks_of_stale(refusal: &Refusal, response: &RawValue) -> Option<String> {
    let Why::Stale(Ok(_)) = &refusal.why else { return None };
    let Ok(said) = serde_json::from_str::<StaleSaid>(response.get()) else {
        return Some("a stale_cursor has fields of other types".to_owned());
    };
    if said.full_resync_required != Some(true) {
        return Some("a stale_cursor does not say that a full resync is required".to_owned());
    }
    let untold = |topic: &&StaleTopicSeen| !said.reason_codes.contains(&topic.reason);
    said.stale_topics.iter().find(untold).map(|topic| {
        let reason = said::word(&topic.reason);
        format!("a stale_cursor's reason_codes lack `{reason}`, which a topic of it has")
    })
}

pub(super) fn stale(response: &RawValue) -> Result<Stale, String> {
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
        tier: Tier::of(&stale.qos_tier),
    })
}
