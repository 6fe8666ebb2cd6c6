//! Sockets beside the clients' own, on which faults try what must be refused: bad tokens, revoked
//! sessions, commands.
//!
//! A client's own socket stays as it is, so that what the oracle says of it is not mixed up with what
//! was tried. Few are open at once, each step is timed out, and each ends with a reset, which leaves no
//! port waiting.

mod forge;
mod mixed;
mod outlive;

use std::rc::Rc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use khala_evidence::record::{
    BadToken, CommandAnswer, Micros, Place, Record, Request, Sink, Step, TokenAnswer,
};
use khala_plan::backoff::Backoff;
use khala_plan::estimate::ASIDES_PER_WORKER_THREAD;
use khala_plan::model::Mint;
use khala_plan::schedule::{Identity, PlannedFault};
use khala_wire::command::{REVOKE_PATH, Revoke};
use khala_wire::marker::OVER_SOCKET;
use khala_wire::message::event;
use khala_wire::payload::{Empty, Subscribe};
use khala_wire::topic::{KNOWN, TopicId};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::answer::{Answer, answer_to};
use crate::client::driver::Surroundings;
use crate::client::orders::{Control, Expected, Order};
use crate::clock::micros;
use crate::said;
use crate::talk::{Answer as Said, Talk};
use crate::transport::{self, Dial, DialError, Socket};

/// Sessions revoked with one request.
const REVOKED_AT_ONCE: usize = 500;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// A bad token, once.
    Token(BadToken),
    /// The clients' sessions are revoked, and tried until a time.
    Revoke {
        /// When the clients come back with new ones.
        until: Micros,
    },
    /// A command, once.
    Command,
}

/// What is revoked with one request.
enum Revoked {
    /// Sessions.
    Sessions(Vec<String>),
    /// A device.
    Device(String),
}

/// For whom it is tried.
pub struct Who {
    /// The client's number.
    pub client: u32,
    /// Who it is; its session is the one that its [`Control`] has.
    pub identity: Identity,
    /// What its tokens ask for.
    pub scopes: Vec<String>,
    /// What it subscribes to.
    pub topics: Vec<TopicId>,
    /// How to connect.
    pub dial: Dial,
    /// Its surface's back-off.
    pub backoff: Backoff,
    /// How it is told.
    pub control: Rc<Control>,
}

/// All that a thread's asides share.
pub struct Asides<S> {
    /// What the thread's clients share.
    pub around: Rc<Surroundings<S>>,
    /// Id of the run, for marks.
    pub run_id: String,
    /// A worker of the run to send commands to, if it has one.
    pub worker: Option<String>,
    /// Sockets open at once.
    permits: Semaphore,
}

impl<S: Sink> Asides<S> {
    /// Asides of a thread.
    pub fn new(around: Rc<Surroundings<S>>, run_id: String, worker: Option<String>) -> Self {
        let permits = Semaphore::new(usize::try_from(ASIDES_PER_WORKER_THREAD).unwrap_or(1));
        Self { around, run_id, worker, permits }
    }

    /// Tries it for each of them.
    pub async fn run(&self, aside: Aside, fault: &PlannedFault, who: &[Rc<Who>]) {
        match aside {
            Aside::Token(kind) => {
                let tried = |who: &Rc<Who>| {
                    let who = Rc::clone(who);
                    async move {
                        if self.token(&who, kind, fault.id).await {
                            self.around.heads.count_answered(fault.id);
                        }
                    }
                };
                stream::iter(who.iter().map(tried)).for_each_concurrent(None, |f| f).await;
            }
            Aside::Command => {
                let sent = |who| self.command(who, fault.id);
                stream::iter(who).for_each_concurrent(None, sent).await;
            }
            Aside::Revoke { until } => self.revoke(fault, until, who).await,
        }
    }

    fn record(&self, record: Record) {
        self.around.record(record);
    }

    fn now(&self) -> Micros {
        self.around.clock.now()
    }

    /// Tries one kind of bad token once; says whether the target answered.
    async fn token(&self, who: &Who, kind: BadToken, fault: u16) -> bool {
        let mut identity = who.current_identity();
        match kind {
            BadToken::Expires => return self.expires(who, &identity).await,
            BadToken::RevokedDevice => return self.revoked_device(who, identity, fault).await,
            _ => {}
        }
        if kind == BadToken::Revoked {
            identity.session = format!("{}-revoked-{fault}", identity.session);
            let revoked = Revoked::Sessions(vec![identity.session.clone()]);
            if self.post_revocation(who.client, &identity, revoked).await.is_none() {
                return false;
            }
        }
        let answered = self.try_token(who, &identity, kind).await;
        if kind == BadToken::WrongScope {
            return self.mixed_list(who, &identity).await && answered;
        }
        answered
    }

    /// Tries a token of a kind for an identity; says whether the target answered.
    async fn try_token(&self, who: &Who, identity: &Identity, kind: BadToken) -> bool {
        let scopes = match kind {
            BadToken::WrongScope => other_scopes(&who.topics),
            _ => who.scopes.clone(),
        };
        let (plan, target) = (&self.around.plan, &self.around.target);
        let minted = match kind {
            // The one good token there is: to call it bad would condemn whoever accepts it.
            _ if kind.takes_credentials() && matches!(plan.auth.mint, Mint::Static { .. }) => None,
            // Nobody knows whose session it would be.
            BadToken::Revoked | BadToken::RevokedDevice
                if !plan.auth.mint.is_of_planned_identities() =>
            {
                None
            }
            BadToken::Revoked | BadToken::WrongScope | BadToken::RevokedDevice => {
                self.mint(who, identity, &scopes).await
            }
            _ => forge::forge(&target.credentials, identity, scopes, plan.auth.ttl, kind),
        };
        // Without a key there is no such token; the plan's advice has said so.
        let Some(token) = minted else { return false };
        let Ok(_permit) = self.permits.acquire().await else { return false };
        let (client, start) = (who.client, self.now());
        let answer = self.knock(who, &token).await;
        let record = Record::TokenTried { client, start, at: self.now(), kind, answer };
        self.record(record);
        !matches!(answer, TokenAnswer::None { .. })
    }

    /// A good token, where it can be had; records the request, where there was one.
    async fn mint(&self, who: &Who, identity: &Identity, scopes: &[String]) -> Option<String> {
        let (plan, target, start) = (&self.around.plan, &self.around.target, self.now());
        let jti = format!("{}-{start}", identity.session);
        let minted = self.around.minter.mint(plan, target, identity, scopes, jti).await;
        let answer = match &minted {
            Ok(minted) => minted.status.map(Answer::ok),
            Err(answer) => (matches!(plan.auth.mint, Mint::Control { .. })).then(|| answer.clone()),
        };
        if let Some(answer) = answer {
            self.answered(who, Request::TriedMint, start, answer);
        }
        minted.ok().map(|minted| minted.token)
    }

    /// Records how a request for somebody ended now.
    fn answered(&self, who: &Who, request: Request, start: Micros, answer: Answer) {
        self.record(answer.record(request, Some(who.client), start, self.now()));
    }

    /// Connects for somebody; records the request.
    async fn dial(&self, who: &Who, token: &str) -> Result<Socket, DialError> {
        let start = self.now();
        let dialled = transport::dial(&who.dial, &self.around.target.socket_query(token)).await;
        let answer = match &dialled {
            Ok(_) => Answer::ok(101),
            Err(error) => error.answer(),
        };
        self.answered(who, Request::TriedConnect, start, answer);
        dialled
    }

    /// Asks over a socket; records the request.
    async fn ask<P: Serialize>(
        &self,
        who: &Who,
        talk: &mut Talk,
        (request, event): (Request, &str),
        payload: &P,
    ) -> Said {
        let start = self.now();
        let said = talk.ask(event, payload).await;
        self.answered(who, request, start, said.told());
        said
    }

    /// How far a token gets.
    async fn knock(&self, who: &Who, token: &str) -> TokenAnswer {
        match self.enter(who, token).await {
            Ok(_) => TokenAnswer::Accepted,
            Err(answer) => answer,
        }
    }

    /// Connects, joins and subscribes with a token; what it came to where it did not get so far.
    async fn enter(&self, who: &Who, token: &str) -> Result<Talk, TokenAnswer> {
        let socket = match self.dial(who, token).await {
            Ok(socket) => socket,
            Err(DialError::Refused(refusal)) if speaks_of_the_token(refusal.status) => {
                self.word(who, Place::Connect, refusal.status.to_string());
                return Err(TokenAnswer::Refused { step: Step::Connect });
            }
            Err(_) => return Err(TokenAnswer::None { step: Step::Connect }),
        };
        let mut talk = Talk::new(socket, self.around.plan.target.request_timeout);
        match self.ask(who, &mut talk, (Request::TriedJoin, event::JOIN), &Empty {}).await {
            Said::Ok => {}
            Said::Error(code) => {
                self.word(who, Place::Join, code);
                return Err(TokenAnswer::Refused { step: Step::Join });
            }
            Said::Ended => return Err(TokenAnswer::Refused { step: Step::Join }),
            Said::None => return Err(TokenAnswer::None { step: Step::Join }),
        }
        let subscribe = Subscribe {
            topics: who.topics.iter().map(|topic| topic.name().to_owned()).collect(),
            resume_after: None,
            replay_batch_size: Some(1),
        };
        let asked = (Request::TriedSubscribe, event::SUBSCRIBE);
        match self.ask(who, &mut talk, asked, &subscribe).await {
            Said::Ok => Ok(talk),
            Said::Error(code) => {
                self.word(who, Place::Subscribe, code);
                Err(TokenAnswer::Refused { step: Step::Subscribe })
            }
            Said::Ended => Err(TokenAnswer::Refused { step: Step::Subscribe }),
            Said::None => Err(TokenAnswer::None { step: Step::Subscribe }),
        }
    }

    fn word(&self, who: &Who, place: Place, word: String) {
        let (client, at, word) = (who.client, self.now(), said::word(&word));
        self.record(Record::Word { client, at, place, word });
    }

    /// Revokes the sessions of clients, and tries them until a time.
    async fn revoke(&self, fault: &PlannedFault, until: Micros, who: &[Rc<Who>]) {
        if !self.around.plan.auth.mint.is_of_planned_identities() {
            // Nobody knows whose session the tokens are of.
            return;
        }
        let mut revoked = Vec::with_capacity(who.len());
        for some in who.chunks(REVOKED_AT_ONCE) {
            let old: Vec<_> = some.iter().map(|who| who.current_identity()).collect();
            for who in some {
                who.control.renew_session(fault.id);
                let (fault, intended) = (fault.id, fault.at_us);
                let end = Expected::Session { until };
                who.control.give(Order::Expect { fault, intended, end });
            }
            let sessions = old.iter().map(|identity| identity.session.clone()).collect();
            let revoked_now = Revoked::Sessions(sessions);
            let at = self.post_revocation(some[0].client, &old[0], revoked_now).await;
            some.iter().for_each(|who| who.control.give(Order::Revoked { at }));
            if at.is_some() {
                some.iter().for_each(|_| self.around.heads.count_answered(fault.id));
                revoked.extend(some.iter().map(Rc::clone).zip(old));
            }
        }
        let tries = revoked.iter().map(|(who, old)| self.try_revoked(who, old, until));
        stream::iter(tries).for_each_concurrent(None, |tries| tries).await;
    }

    /// Tries a revoked session at once and by the surface's back-off.
    async fn try_revoked(&self, who: &Who, old: &Identity, until: Micros) {
        let mut attempt = 0;
        loop {
            self.try_token(who, old, BadToken::Revoked).await;
            attempt += 1;
            let delay = who.backoff.delay(self.around.plan.seed, who.client, attempt);
            let next = self.now() + micros(delay);
            if next >= until {
                return;
            }
            tokio::time::sleep_until(self.around.clock.instant(next)).await;
        }
    }

    /// When the target had acknowledged a revocation that `who` asked for, of `client` and perhaps others;
    /// `None` when it did not.
    async fn post_revocation(
        &self,
        client: u32,
        who: &Identity,
        revoked: Revoked,
    ) -> Option<Micros> {
        let reason = "khala-harness".to_owned();
        let (device_ids, session_ids) = match revoked {
            Revoked::Sessions(sessions) => (Vec::new(), sessions),
            Revoked::Device(device) => (vec![device], Vec::new()),
        };
        let times = device_ids.len() + session_ids.len();
        let revoke = Revoke { device_ids, reason, session_ids };
        let body = Bytes::from(serde_json::to_vec(&revoke).ok()?);
        let target = &self.around.target;
        // Some targets want the operators' bearer, others the command path's signature.
        let nonce = format!("{}-{}-revoke", who.session, self.now());
        let mut headers = target.credentials.command_headers(&who.user, nonce);
        headers.extend(target.admin_headers());
        // The contract does not say what the answer holds.
        let start = self.now();
        let posted = self.around.http.post::<serde_json::Value>(REVOKE_PATH, &headers, body).await;
        let (at, answer) = (self.now(), answer_to(&posted));
        self.record(answer.record(Request::Revoke, None, start, at));
        match posted {
            Ok(_) => Some(at),
            Err(error) => {
                let name = "revocation_refused".to_owned();
                let (client, message) = (Some(client), error.to_string());
                let finding = Record::Finding { name, client, at, message };
                (0..times).for_each(|_| self.record(finding.clone()));
                None
            }
        }
    }

    /// Sends a command over a socket once.
    async fn command(&self, who: &Rc<Who>, fault: u16) {
        let Some(worker) = &self.worker else { return };
        let identity = who.current_identity();
        let Some(token) = self.mint(who, &identity, &who.scopes).await else { return };
        let Ok(_permit) = self.permits.acquire().await else { return };
        let Ok(socket) = self.dial(who, &token).await else { return };
        let mut talk = Talk::new(socket, self.around.plan.target.request_timeout);
        let joined = (Request::TriedJoin, event::JOIN);
        if self.ask(who, &mut talk, joined, &Empty {}).await != Said::Ok {
            return;
        }
        let (n, now) = (OVER_SOCKET + who.client, self.now());
        let mark = json!({ "at_us": now, "begun_us": now, "n": n, "run": self.run_id });
        let event =
            json!({ "event_type": "worker.progress", "payload": { "khala_harness": mark } });
        let command = json!({ "event": event, "worker_id": worker });
        let asked = (Request::TriedCommand, "runtime.command");
        let answer = match self.ask(who, &mut talk, asked, &command).await {
            Said::Ok => CommandAnswer::Obeyed,
            Said::Error(_) | Said::Ended => CommandAnswer::Refused,
            Said::None => CommandAnswer::None,
        };
        self.record(Record::CommandSent { client: who.client, at: self.now(), answer });
        if answer != CommandAnswer::None {
            self.around.heads.count_answered(fault);
        }
    }
}

impl Who {
    fn current_identity(&self) -> Identity {
        let session = self.control.session();
        Identity { session, ..self.identity.clone() }
    }
}

/// Whether the status of an upgrade that was not made is an answer to the token, right or wrong (a page, a
/// redirection), and not haste or a server in distress.
fn speaks_of_the_token(status: u16) -> bool {
    (200..500).contains(&status) && !matches!(status, 408 | 429)
}

/// Scopes of a token that is good, and opens none of these topics.
fn other_scopes(topics: &[TopicId]) -> Vec<String> {
    let known = KNOWN.iter().filter_map(|known| TopicId::of(known.name));
    known.filter(|topic| !topics.contains(topic)).map(|topic| topic.name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_has_said_nothing_of_a_token() {
        for status in [200, 302, 400, 401, 403, 404] {
            assert!(speaks_of_the_token(status), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(!speaks_of_the_token(status), "{status}");
        }
    }

    #[test]
    fn other_scopes_open_none_of_the_topics() {
        let mine = [TopicId::RUN_SUMMARIES, TopicId::WORKER_EVENTS];
        let others = other_scopes(&mine);
        assert_eq!(others.len(), KNOWN.len() - mine.len());
        assert!(mine.iter().all(|topic| !others.contains(&topic.name().to_owned())));
    }
}
