//! Before anything is sent: descriptors, the target's address, and whether it speaks Khala.

pub mod heads;
pub mod lacks;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use khala_plan::Plan;
use khala_plan::model::{Mint, UserIds};
use khala_plan::schedule::Schedule;
use khala_wire::CHANNEL;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{Empty, ReplyRef, Status, error_code};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Message;

use crate::error::SetupError;
use crate::handshake::Interim;
use crate::http::Http;
use crate::mint::Minter;
use crate::reach::guard::Guard;
use crate::reach::{self, Outgoing, Reach, ReachError};
use crate::said;
use crate::talk::{JOIN_REF, Talk};
use crate::target::{Target, keys, scopes};
use crate::transport::{self, Dial, DialError, Socket};

/// How often a target in distress is asked, and after which pause again.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A path at which no runtime serves a socket.
const NOWHERE: &str = "/khala-harness/nowhere";

/// Raises the soft limit of descriptors to the hard one and checks that the plan fits.
///
/// # Errors
/// When it does not fit.
pub fn descriptors(plan: &Plan) -> Result<u64, SetupError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let needed = khala_plan::estimate::planned_descriptors(plan);
    if needed > limit { Err(SetupError::Descriptors { needed, limit }) } else { Ok(limit) }
}

/// Checks that this machine has the addresses that clients are to connect from. Sends nothing.
///
/// # Errors
/// When one cannot be bound.
pub fn sources(plan: &Plan) -> Result<(), SetupError> {
    plan.generator.source_addresses.iter().try_for_each(|&address| {
        let bound = std::net::TcpListener::bind((address, 0));
        bound.map(drop).map_err(|why| SetupError::Source { address, why })
    })
}

/// The ways to a plan's target by URL and to its control service, within what an allow file grants; `None` of the
/// embedded runtime. Nobody is asked.
///
/// # Errors
/// When they cannot or may not be gone.
pub fn reached(
    plan: &Plan,
    schedule: &Schedule,
    guard: &Guard,
) -> Result<Option<(Reach, Reach)>, SetupError> {
    let Some(reach) = reach::planned(&plan.target, guard)? else { return Ok(None) };
    let control = match &plan.target.way.control_url {
        Some(url) => Reach::of(url, &plan.target, guard)?,
        None => reach.clone(),
    };
    let clients = plan.fleet.clients_peak();
    reach.permit().covers(clients, schedule.most_publishes_in_a_second())?;
    if matches!(plan.auth.mint, Mint::Control { .. }) {
        control.permit().covers(clients, 0)?;
    }
    Ok(Some((reach, control)))
}

/// The addresses of a target, looked up for `within` at the most: the first of them, by which runs keep out of
/// one another's way. `None` where a proxy looks it up.
///
/// # Errors
/// When it has none, or they are not to be spoken to.
pub async fn address(reach: &Reach, within: Duration) -> Result<Option<SocketAddr>, SetupError> {
    let url = || reach.place().origin();
    let addresses = tokio::time::timeout(within, reach.addresses())
        .await
        .map_err(|_| SetupError::Unknown {
            url: url(),
            why: format!("nobody said within {within:?}"),
        })?
        .map_err(|error| SetupError::Unknown { url: url(), why: error.to_string() })?;
    addresses.iter().try_for_each(|address| reach.permit().stands_for(*address))?;
    Ok(addresses.first().copied())
}

/// Connects one client, joins, and leaves: whatever answers must speak Khala.
///
/// # Errors
/// What was wrong, and all that was tried, within the plan's time-outs.
pub async fn speaks_khala(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
) -> Result<(), SetupError> {
    let mut tried = Vec::new();
    match enter(plan, target, user_agent, &scopes(plan, 0), &mut tried).await {
        Ok(Some(talk)) => {
            talk.leave(plan.target.connect_timeout).await;
            Ok(())
        }
        // Something that upgrades wrongly is there, and for the run to judge.
        Ok(None) => Ok(()),
        Err(Stop::Nobody(why)) => {
            Err(SetupError::NoTarget { url: target.base_url.clone(), why, tried })
        }
        Err(Stop::Unreachable(why, mend)) => {
            let url = target.base_url.clone();
            Err(SetupError::Unreachable { url, why, mend })
        }
        Err(Stop::Refused(what, why)) => {
            let (url, mend) = (target.base_url.clone(), keys::mend_token(plan));
            Err(SetupError::Refused { url, what, why, mend })
        }
    }
}

/// Why the probe got nowhere.
pub(crate) enum Stop {
    /// Nobody there speaks Khala.
    Nobody(String),
    /// The way does not lead there, and what to look at.
    Unreachable(String, &'static str),
    /// Somebody does, and refuses this, with that word.
    Refused(&'static str, String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Nobody(why)
    }
}

/// Whether a status says that who asks may not.
fn is_refusal(status: Option<u16>) -> bool {
    matches!(status, Some(401 | 403))
}

/// What to look at when no worker can be created, in a clause.
pub fn mend_worker(plan: &Plan, status: Option<u16>) -> String {
    match status {
        Some(401 | 403) => format!("; {}", keys::mend_command(plan)),
        Some(400 | 422) if matches!(plan.fleet.user_ids, UserIds::Named { .. }) => format!(
            "; the command was sent for the user `{}`: a target that wants numbers needs fleet.user_ids \
             = \"numeric\", and fleet.first_user_id",
            plan.fleet.publisher_id()
        ),
        _ => String::new(),
    }
}

/// A socket that has joined; `None` of one whose upgrade breaks RFC 6455.
pub(crate) async fn enter(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    scopes: &[String],
    tried: &mut Vec<String>,
) -> Result<Option<Talk>, Stop> {
    let token = token(plan, target, user_agent, scopes, tried).await?;
    let Some(mut socket) = upgraded(plan, target, user_agent, &token, tried).await? else {
        return Ok(None);
    };
    tried.push(format!("{} on {CHANNEL}", event::JOIN));
    let answer = tokio::time::timeout(plan.target.connect_timeout, join(&mut socket)).await;
    let answer = answer
        .map_err(|_| format!("the join was not answered within {:?}", plan.target.connect_timeout));
    // What speaks wrongly after the upgrade is there too, and for the run to judge.
    if socket.get_ref().tap().is_some_and(|tap| tap.breach().is_some()) {
        return Ok(None);
    }
    if let Err(stop) = answer.map_err(Stop::from).flatten() {
        let _ = tokio::time::timeout(plan.target.connect_timeout, socket.close(None)).await;
        return Err(stop);
    }
    Ok(Some(Talk::joined(socket, plan.target.request_timeout)))
}

/// A sync token of the harness's own.
pub(crate) async fn token(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    scopes: &[String],
    tried: &mut Vec<String>,
) -> Result<String, Stop> {
    let http = Http::new(&target.control, user_agent, plan.target.request_timeout)
        .carrying(target.extras_of_control());
    let minter = Minter::new(http);
    let mut who = Schedule::identity(plan, 0);
    who.session = format!("{}-preflight", who.session);
    tried.push("a sync token".to_owned());
    let mint = || minter.mint(plan, target, &who, scopes, "preflight".to_owned());
    let token = persistently(mint, |answer| is_in_distress(status_of(&answer.status)))
        .await
        .map_err(|answer| match is_refusal(status_of(&answer.status)) {
            true => Stop::Refused("the request for a sync token", answer.status.to_string()),
            false => Stop::Nobody(format!("no sync token could be had ({})", answer.status)),
        });
    Ok(token?.token)
}

/// An upgrade with this path and query.
///
/// # Errors
/// Why there is none.
pub(crate) async fn dial(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    path_and_query: &str,
) -> Result<Socket, DialError> {
    transport::dial(&dial_of(plan, target, user_agent), path_and_query).await
}

fn dial_of(plan: &Plan, target: &Target, user_agent: &str) -> Dial {
    Dial {
        reach: target.reach.clone(),
        from: Outgoing::default(),
        timeout: plan.target.connect_timeout,
        user_agent: user_agent.to_owned(),
        extras: target.extras.clone(),
        backlog: None,
        interim: Interim::default(),
        message_max: plan.target.message_max,
    }
}

/// A socket whose upgrade was taken; `None` of one whose upgrade breaks RFC 6455.
pub(crate) async fn upgraded(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    token: &str,
    tried: &mut Vec<String>,
) -> Result<Option<Socket>, Stop> {
    let dial = dial_of(plan, target, user_agent);
    tried.push(format!("GET {}{}", target.base_url, target.socket_path));
    let query = target.socket_query_as("preflight", token);
    let upgrade = || transport::dial(&dial, &query);
    let refused = |error: &DialError| match error {
        DialError::Refused(refusal) => is_in_distress(Some(refusal.status)),
        _ => false,
    };
    match persistently(upgrade, refused).await {
        Ok(socket) => Ok(Some(socket)),
        Err(DialError::Breached(_)) => Ok(None),
        Err(DialError::Refused(refusal)) if is_refusal(Some(refusal.status)) => {
            let why = format!("the upgrade was refused with {refusal}");
            // Who forbids what there is not forbids everything, and says nothing of the token.
            let elsewhere = transport::dial(&dial, NOWHERE).await;
            let everywhere = matches!(
                elsewhere, Err(DialError::Refused(refusal)) if is_refusal(Some(refusal.status))
            );
            Err(match everywhere {
                true => Stop::Nobody(format!("{why}, as is everything there")),
                false => Stop::Refused("the sync token", why),
            })
        }
        Err(DialError::Refused(refusal)) if refusal.status == 404 => {
            let why = format!(
                "the upgrade was refused with {refusal}; target.socket_path says where its socket is"
            );
            Err(Stop::Nobody(why))
        }
        Err(error) => Err(stopped(&error, target.reach.place().secure)),
    }
}

/// Why there is no socket, and what to look at.
fn stopped(error: &DialError, secure: bool) -> Stop {
    let of_tls = matches!(error, DialError::Reach(ReachError::Tls(..) | ReachError::Proxy(..)));
    match (error, error.mend()) {
        // Somebody is on the way, who says what is wrong.
        (DialError::Connection(..), Some(mend)) => Stop::Unreachable(error.to_string(), mend),
        (_, Some(mend)) if of_tls => Stop::Unreachable(error.to_string(), mend),
        (_, Some(mend)) => Stop::Nobody(format!("{error}: {mend}")),
        (DialError::Connection(..) | DialError::Protocol(_), None) if !secure => {
            Stop::Nobody(format!(
                "{error}; a server of TLS does so when it is spoken to in clear text: then the url begins with https://"
            ))
        }
        (DialError::Timeout(..), None) => Stop::Nobody(format!(
            "{error}: no connection comes about (a firewall?), or what takes it says nothing"
        )),
        (_, None) => Stop::Nobody(error.to_string()),
    }
}

/// Joins the channel.
pub(crate) async fn join(socket: &mut Socket) -> Result<(), Stop> {
    let reference = frame::string_ref(JOIN_REF);
    let both = Some(&*reference);
    let text = frame::encode(Vsn::V2, both, both, CHANNEL, event::JOIN, &Empty {});
    socket.send(Message::text(text)).await.map_err(|error| Stop::Nobody(error.to_string()))?;
    joined(socket).await
}

/// Asks a few times while a target in distress refuses: whether it is one is asked here, and how often it
/// refuses is for the run to measure.
pub(crate) async fn persistently<T, E, F: Future<Output = Result<T, E>>>(
    ask: impl Fn() -> F,
    again: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut answer = ask().await;
    for _ in 1..TRIES {
        match &answer {
            Err(error) if again(error) => {
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
                answer = ask().await;
            }
            _ => break,
        }
    }
    answer
}

fn status_of(text: &str) -> Option<u16> {
    text.split(' ').next()?.parse().ok()
}

/// Whether a status says that the server is overloaded or broken, and not what it is.
pub(crate) fn is_in_distress(status: Option<u16>) -> bool {
    matches!(status, Some(408 | 429 | 500..=599))
}

async fn joined(socket: &mut Socket) -> Result<(), Stop> {
    while let Some(message) = socket.next().await {
        let text = match message.map_err(|error| error.to_string())? {
            Message::Text(text) => text,
            Message::Close(frame) => {
                let code = frame.map_or(1005, |frame| u16::from(frame.code));
                return Err(format!("it accepted the upgrade and closed with code {code}").into());
            }
            _ => continue,
        };
        let frame = Frame::parse(Vsn::V2, &text).map_err(|error| {
            format!("it answered the join with something else: {}", said::error(&error))
        })?;
        if frame.event != event::REPLY {
            if frame.event == event::JOIN {
                return Err("it sent the join back: it echoes, it does not speak Khala"
                    .to_owned()
                    .into());
            }
            continue;
        }
        // Real clients drop what is addressed to another: that too is for the run to judge.
        if !frame.is_for(CHANNEL, JOIN_REF) {
            return Ok(());
        }
        let Ok(reply) = serde_json::from_str::<ReplyRef<'_>>(frame.payload.get()) else {
            return Ok(());
        };
        return match reply.status {
            Status::Ok => Ok(()),
            Status::Error => {
                let response: &RawValue = reply.response;
                Err(Stop::Refused("the join", said::word(&error_code(response)).to_string()))
            }
        };
    }
    Err("it accepted the upgrade and closed without a word".to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_must_stand_for_what_it_may() {
        let address = |url| async move {
            address(&Reach::here(url).expect("it is here"), Duration::from_secs(60)).await
        };
        let here = address("http://127.0.0.1:4000").await;
        assert!(matches!(here, Ok(Some(_))), "{here:?}");
        // RFC 6761, section 6.3: whatever it stands for, it is this machine.
        let name = address("http://localhost:4000").await;
        assert!(name.is_ok_and(|it| it.is_some_and(|it| it.ip().is_loopback())));
    }
}
