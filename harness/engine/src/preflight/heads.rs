//! `fleet.first_subscribe = "from-now"`: one client replays the target's past, and tells the others where
//! it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use khala_plan::Plan;
use khala_wire::CHANNEL;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{ReplyRef, Status, Subscribe, SubscribedSeen, error_code};
use khala_wire::topic::TopicId;
use tokio_tungstenite::tungstenite::Message;

use super::{JOIN_REF, Stop, enter};
use crate::error::SetupError;
use crate::target::Target;
use crate::transport::Socket;

/// Reference of the one subscribe.
const SUBSCRIBE_REF: u64 = 2;
/// How long the past may take to be replayed, at least.
const REPLAYED_WITHIN: Duration = Duration::from_secs(120);

/// Where the fleet's topics stand.
///
/// # Errors
/// When nobody says so in time.
pub async fn learn(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
) -> Result<Vec<(TopicId, u64)>, SetupError> {
    let topics: BTreeSet<TopicId> =
        plan.fleet.cohorts.iter().flat_map(|cohort| cohort.topics.iter().copied()).collect();
    let failed = |why: String| SetupError::Heads { url: target.base_url.clone(), why };
    let names: Vec<String> = topics.iter().map(|topic| topic.name().to_owned()).collect();
    let entered = enter(plan, target, user_agent, &names, &mut Vec::new()).await;
    let mut socket = match entered {
        Ok(Some(socket)) => socket,
        Ok(None) => return Err(failed("its upgrade breaks RFC 6455".to_owned())),
        Err(Stop::Nobody(why)) => return Err(failed(why)),
        Err(Stop::Refused(what, why)) => return Err(failed(format!("it refuses {what}: {why}"))),
    };
    let within = REPLAYED_WITHIN.max(plan.target.request_timeout);
    let answer = tokio::time::timeout(within, subscribe(&mut socket, names)).await;
    // The goodbye is a courtesy: the answer stands without it.
    let _ = tokio::time::timeout(plan.target.connect_timeout, socket.close(None)).await;
    let seen = answer
        .map_err(|_| failed(format!("the subscribe was not answered within {within:?}")))?
        .map_err(failed)?;
    let marks = seen.current_watermarks.iter();
    let known = marks.filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark)));
    Ok(known.filter(|(topic, _)| topics.contains(topic)).collect())
}

async fn subscribe(socket: &mut Socket, topics: Vec<String>) -> Result<SubscribedSeen, String> {
    let (join, subscribe) = (frame::string_ref(JOIN_REF), frame::string_ref(SUBSCRIBE_REF));
    let payload = Subscribe { topics, resume_after: None, replay_batch_size: None };
    let text =
        frame::encode(Vsn::V2, Some(&join), Some(&subscribe), CHANNEL, event::SUBSCRIBE, &payload);
    socket.send(Message::text(text)).await.map_err(|error| error.to_string())?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(|error| error.to_string())? else { continue };
        // What comes before the reply is the past, and for the run's own clients to judge.
        let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
        if frame.event != event::REPLY || frame.ref_number() != Some(SUBSCRIBE_REF) {
            continue;
        }
        let reply: ReplyRef<'_> = serde_json::from_str(frame.payload.get())
            .map_err(|error| format!("its reply is not a Phoenix reply: {error}"))?;
        return match reply.status {
            Status::Ok => serde_json::from_str(reply.response.get())
                .map_err(|error| format!("its reply names no watermarks: {error}")),
            Status::Error => {
                Err(format!("it refused the subscribe: {}", error_code(reply.response)))
            }
        };
    }
    Err("it ended the socket before it had answered the subscribe".to_owned())
}
