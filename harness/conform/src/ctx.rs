//! What a case asks with: users, tokens, sockets and workers that are its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use khala_engine::handshake::Interim;
use khala_engine::reach::Outgoing;
use khala_engine::transport::{self, Dial, DialError};
use khala_plan::schedule::Identity;
use khala_wire::frame::Vsn;
use khala_wire::message::event;
use khala_wire::payload::CODE_STALE_CURSOR;
use khala_wire::token::{Claims, Key};
use khala_wire::topic::{KNOWN, WORKER_EVENTS, WORKER_SUMMARIES};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::case::{Area, Case, Times};
use crate::cases::{self, window};
use crate::outcome::{Stop, undecided};
use crate::peer::{Msg, Peer};
use crate::worker::Worker;
use crate::world::World;

/// Users that a case may be.
const USERS: u32 = 16;

/// One case's part of the world.
pub struct Ctx {
    /// What it shares.
    pub world: Rc<World>,
    id: &'static str,
    number: u32,
    again: bool,
    people: Cell<u32>,
    names: Cell<u32>,
    judges_delivery: bool,
    given_up: Notify,
    evicted: Rc<Cell<bool>>,
}

/// Parameters of a connect that differ from what every client says.
#[derive(Clone, Debug, Default)]
pub struct Connect {
    /// In place of what `vsn` a client says; `Some(None)` says none.
    pub vsn: Option<Option<&'static str>>,
    /// In place of a compatibility parameter, its value.
    pub instead: Vec<(&'static str, &'static str)>,
    /// `SO_RCVBUF` in bytes.
    pub receive_buffer: Option<u32>,
}

impl Ctx {
    /// The part of the case with this number; of one that is asked again, with other users and names.
    #[must_use]
    pub fn new(world: Rc<World>, id: &'static str, number: u32, again: bool) -> Self {
        let judges = |case: &&Case| case.id == id && case.area == Area::Delivery;
        let judges_delivery = cases::all().iter().any(judges);
        let (people, names) = (Cell::new(0), Cell::new(0));
        let (given_up, evicted) = (Notify::new(), Rc::default());
        Self { world, id, number, again, people, names, judges_delivery, given_up, evicted }
    }

    /// Why a breach says nothing yet, where it was asked beside other cases: retention of less than the contract's queue
    /// took what was on its way to a client, which was ended as slow although it read.
    pub async fn outrun(&self) -> Option<Stop> {
        if self.again || !self.evicted.get() {
            return None;
        }
        let queue = self.world.plan.target.slow_consumer.queue_limit;
        let room = window::room(self, EVENTS).await.ok().flatten();
        let room = room.filter(|room| *room < queue)?;
        Some(undecided(format!(
            "on the way, a client was ended as slow while other cases published: the target retains {room} events of \
             {EVENTS}, fewer than may wait for a client. One that retains more than {queue} decides it"
        )))
    }

    /// Called before a wait for what was published: comes back at once, but never where such waits are in vain. The case has
    /// ended then, as [`Ctx::gives_up`] says. Those of delivery say what it is that does not come, and go on.
    pub async fn may_give_up(&self) {
        if self.world.waits_in_vain() && !self.judges_delivery {
            self.given_up.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the case is given up; why it is undecided.
    pub async fn gives_up(&self) -> Stop {
        self.given_up.notified().await;
        let (times, patience) = (self.world.in_vain.get(), self.patience());
        let whom = if self.world.came_back.get() { "to many" } else { "to anybody" };
        undecided(format!(
            "what is published does not come {whom}: {times} waits of {patience:?} for it were in vain, so that nobody waits \
             any more. The cases of delivery say more"
        ))
    }

    /// The target's times.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.world.times
    }

    /// How long an answer may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.world.times.patience
    }

    /// Somebody who was never there.
    pub fn somebody(&self) -> Identity {
        let nth = self.people.replace(self.people.get() + 1) % USERS;
        // The first number is the publishers'.
        let user = self.world.plan.fleet.user_id(1 + self.number * USERS + nth);
        let name = |what: &str| format!("{}-{what}{nth}", self.name());
        Identity {
            number: 0,
            user,
            org: name("org"),
            session: name("session"),
            device: name("device"),
            surface: None,
        }
    }

    /// What all names of this case begin with.
    #[must_use]
    pub fn name(&self) -> String {
        let (prefix, run) = (&self.world.plan.fleet.name_prefix, &self.world.run_id);
        let again = if self.again { "-again" } else { "" };
        format!("{prefix}-{run}-{}{again}", self.id.replace('_', "-"))
    }

    /// A name that was not used before.
    pub fn fresh_name(&self, what: &str) -> String {
        let nth = self.names.replace(self.names.get() + 1);
        format!("{}-{what}{nth}", self.name())
    }

    /// A token that opens these topics.
    ///
    /// # Errors
    /// Undecided, where there is none to be had.
    pub async fn token(&self, who: &Identity, topics: &[&str]) -> Result<String, Stop> {
        let World { minter, plan, target, .. } = &*self.world;
        let scopes: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        let minted = minter.mint(plan, target, who, &scopes, self.fresh_name("jti")).await;
        let refused = |answer: khala_engine::answer::Answer| {
            undecided(format!("no token could be had: {}", answer.status))
        };
        Ok(minted.map_err(refused)?.token)
    }

    /// The key of sync tokens.
    ///
    /// # Errors
    /// Undecided, where there is none; cases that need it say so.
    pub fn key(&self) -> Result<&Key, Stop> {
        let key = self.world.target.credentials.sync_key.as_ref();
        key.ok_or_else(|| undecided("there is no key to sign with"))
    }

    /// The claims of a good token for these topics, as JSON to be changed.
    ///
    /// # Errors
    /// Undecided, if they cannot be written.
    pub fn claims(&self, who: &Identity, topics: &[&str]) -> Result<Value, Stop> {
        let scopes = topics.iter().map(|&topic| topic.to_owned()).collect();
        let World { target, plan, .. } = &*self.world;
        let claims: Claims =
            target.credentials.claims(who, scopes, plan.auth.ttl, self.fresh_name("jti"));
        serde_json::to_value(claims).map_err(|error| undecided(error.to_string()))
    }

    /// Path and query of a socket.
    #[must_use]
    pub fn path(&self, token: Option<&str>, connect: &Connect) -> String {
        let World { target, .. } = &*self.world;
        let vsn = connect.vsn.unwrap_or(Some("2.0.0"));
        let build = target.extras.client_build_id();
        let mut pairs = vec![
            ("client", "khala-harness".to_owned()),
            ("client_build_id", build.to_owned()),
            ("protocol_version", khala_wire::PROTOCOL_VERSION.to_owned()),
            ("schema_version", "1".to_owned()),
        ];
        pairs.extend(vsn.map(|vsn| ("vsn", vsn.to_owned())));
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        pairs.extend(token.map(|token| ("token", encoded(token))));
        for (name, value) in &connect.instead {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name, encoded(value)));
        }
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        target.extras.with_query(&format!("{}?{}", target.socket_path, query.join("&")))
    }

    /// Asks for a socket.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn try_dial(
        &self,
        who: &Identity,
        path: &str,
        connect: &Connect,
    ) -> Result<Peer, DialError> {
        let World { target, plan, user_agent, times, .. } = &*self.world;
        let dial = Dial {
            reach: target.reach.clone(),
            from: Outgoing { source: None, receive_buffer: connect.receive_buffer },
            timeout: times.patience,
            user_agent: user_agent.clone(),
            extras: target.extras.clone(),
            backlog: None,
            interim: Interim::default(),
            message_max: plan.target.message_max,
        };
        let vsn = match connect.vsn {
            Some(None | Some("1.0.0")) => Vsn::V1,
            _ => Vsn::V2,
        };
        let socket = transport::dial(&dial, path).await?;
        let mut peer = Peer::new(socket, vsn, who.session.clone());
        peer.evicted = Rc::clone(&self.evicted);
        Ok(peer)
    }

    /// A socket with this token.
    ///
    /// # Errors
    /// Undecided, where it is refused.
    pub async fn open_with(
        &self,
        who: &Identity,
        token: &str,
        connect: &Connect,
    ) -> Result<Peer, Stop> {
        let path = self.path(Some(token), connect);
        let dialed = self.try_dial(who, &path, connect).await;
        dialed.map_err(|error| undecided(format!("on the way, there was no socket: {error}")))
    }

    /// A socket of somebody who may open these topics.
    ///
    /// # Errors
    /// Undecided, where there is none.
    pub async fn open(&self, who: &Identity, topics: &[&str]) -> Result<Peer, Stop> {
        let token = self.token(who, topics).await?;
        self.open_with(who, &token, &Connect::default()).await
    }

    /// The same, joined.
    ///
    /// # Errors
    /// Undecided, where the join is refused.
    pub async fn join(&self, who: &Identity, topics: &[&str]) -> Result<Peer, Stop> {
        let mut peer = self.open(who, topics).await?;
        peer.ask_ok(event::JOIN, json!({}), self.patience()).await?;
        Ok(peer)
    }

    /// A socket of somebody new, joined and subscribed to these topics from about now on.
    ///
    /// # Errors
    /// Undecided, where that is refused.
    pub async fn live(&self, topics: &[&str]) -> Result<Peer, Stop> {
        let who = self.somebody();
        let mut peer = self.join(&who, topics).await?;
        self.subscribe_from_now(&mut peer, topics).await?;
        Ok(peer)
    }

    /// Subscribes from about now on; where what was heard of the heads has become stale meanwhile, from the heads
    /// that the refusal names.
    ///
    /// # Errors
    /// Undecided, where it is refused.
    pub async fn subscribe_from_now(&self, peer: &mut Peer, topics: &[&str]) -> Result<(), Stop> {
        let payload = subscribe(topics, &self.from_now(topics));
        let reply = peer.ask(event::SUBSCRIBE, payload, self.patience()).await?;
        if reply.code() != CODE_STALE_CURSOR {
            return self.subscribed(topics, &reply);
        }
        for topic in reply.response()["stale_topics"].as_array().into_iter().flatten() {
            let head = topic["head_watermark"].as_u64();
            if let (Some(name), Some(head)) = (topic["topic"].as_str(), head) {
                self.world.heard(name, head);
            }
        }
        self.subscribe(peer, topics, &self.from_now(topics)).await.map(drop)
    }

    /// Takes the heads from the reply to a subscribe.
    fn subscribed(&self, topics: &[&str], reply: &Msg) -> Result<(), Stop> {
        reply.is_ok_to(event::SUBSCRIBE)?;
        for topic in topics {
            if let Some(mark) = watermark(reply.response(), topic) {
                self.world.heard(topic, mark);
            }
        }
        Ok(())
    }

    /// Cursors at where the topics stood when they were heard of last.
    #[must_use]
    pub fn from_now(&self, topics: &[&str]) -> Vec<(String, u64)> {
        let heads = self.world.heads.borrow();
        topics.iter().filter_map(|&topic| Some((topic.to_owned(), *heads.get(topic)?))).collect()
    }

    /// Cursors at where the topics stand, as somebody new is told.
    ///
    /// # Errors
    /// Undecided, where nobody is.
    pub async fn now(&self, topics: &[&str]) -> Result<Vec<(String, u64)>, Stop> {
        self.live(topics).await?;
        Ok(self.from_now(topics))
    }

    /// Subscribes, and returns the reply with where the log stood before.
    ///
    /// # Errors
    /// Undecided, where it is refused.
    pub async fn subscribe(
        &self,
        peer: &mut Peer,
        topics: &[&str],
        cursors: &[(String, u64)],
    ) -> Result<(serde_json::Map<String, Value>, usize), Stop> {
        let from = peer.log.len();
        let payload = subscribe(topics, cursors);
        let reply = peer.ask(event::SUBSCRIBE, payload, self.patience()).await?;
        let given: Vec<_> = cursors.iter().map(|(topic, at)| (topic.as_str(), *at)).collect();
        if let Some(stop) = window::overtaken(&reply, &given) {
            return Err(stop);
        }
        self.subscribed(topics, &reply)?;
        Ok((reply.response().as_object().cloned().unwrap_or_default(), from))
    }

    /// A worker of this case's own.
    ///
    /// # Errors
    /// Not applicable, where the target takes no commands.
    pub async fn worker(&self) -> Result<Worker, Stop> {
        Worker::create(self).await
    }
}

/// The payload of a subscribe.
#[must_use]
pub fn subscribe(topics: &[&str], cursors: &[(String, u64)]) -> Value {
    let mut payload = json!({ "topics": topics, "replay_batch_size": 200 });
    if !cursors.is_empty() {
        let map: serde_json::Map<_, _> =
            cursors.iter().map(|(topic, mark)| (topic.clone(), json!(mark))).collect();
        payload["resume_after"] = Value::Object(map);
    }
    payload
}

/// The watermark of a topic in a reply to a subscribe.
#[must_use]
pub fn watermark(response: &Value, topic: &str) -> Option<u64> {
    let marks = response.get("current_watermarks")?.as_array()?;
    let mark = marks.iter().find(|mark| mark["topic"] == topic)?;
    mark.get("watermark")?.as_u64()
}

/// The stream of workers' events.
pub const EVENTS: &str = WORKER_EVENTS;
/// The state of workers.
pub const SUMMARIES: &str = WORKER_SUMMARIES;

/// All known topics.
#[must_use]
pub fn all_topics() -> Vec<&'static str> {
    KNOWN.iter().map(|topic| topic.name).collect()
}
