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
use crate::said;
use crate::target::Target;
use crate::transport::Socket;

/// Reference of the one subscribe.
const SUBSCRIBE_REF: u64 = 2;
/// How long the past may take to be replayed, at least.
const REPLAYED_WITHIN: Duration = Duration::from_secs(120);

/// What the target did with the client that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// It told where the fleet's topics stand.
    Heads(Vec<(TopicId, u64)>),
    /// It ended the client's channel in the middle of the replay, for this reason: what it does with clients
    /// that start from the start is for the run to judge.
    Ended(String),
}

/// Where the fleet's topics stand.
///
/// # Errors
/// When nobody says so in time.
pub async fn learn(plan: &Plan, target: &Target, user_agent: &str) -> Result<Learnt, SetupError> {
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
    let seen = match seen {
        Asked::Answered(seen) => seen,
        Asked::Ended(why) => return Ok(Learnt::Ended(why)),
    };
    let marks = seen.current_watermarks.iter();
    let known = marks.filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark)));
    Ok(Learnt::Heads(known.filter(|(topic, _)| topics.contains(topic)).collect()))
}

/// How the subscribe ended.
enum Asked {
    Answered(SubscribedSeen),
    /// With the end of the channel, for this reason.
    Ended(String),
}

async fn subscribe(socket: &mut Socket, topics: Vec<String>) -> Result<Asked, String> {
    let (join, subscribe) = (frame::string_ref(JOIN_REF), frame::string_ref(SUBSCRIBE_REF));
    let payload = Subscribe { topics, resume_after: None, replay_batch_size: None };
    let text =
        frame::encode(Vsn::V2, Some(&join), Some(&subscribe), CHANNEL, event::SUBSCRIBE, &payload);
    socket.send(Message::text(text)).await.map_err(|error| error.to_string())?;
    let mut told = None;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(|error| error.to_string())? else { continue };
        // What comes before the reply is the past, and for the run's own clients to judge.
        let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
        if frame.is_for(CHANNEL, JOIN_REF)
            && let Some(end) = end(&frame, &mut told)
        {
            return Ok(Asked::Ended(end));
        }
        if frame.event != event::REPLY || frame.ref_number() != Some(SUBSCRIBE_REF) {
            continue;
        }
        let reply: ReplyRef<'_> = serde_json::from_str(frame.payload.get())
            .map_err(|error| format!("its reply is not a Phoenix reply: {error}"))?;
        return match reply.status {
            Status::Ok => serde_json::from_str(reply.response.get())
                .map(Asked::Answered)
                .map_err(|error| format!("its reply names no watermarks: {error}")),
            Status::Error => {
                Err(format!("it refused the subscribe: {}", error_code(reply.response)))
            }
        };
    }
    Err("it ended the socket before it had answered the subscribe".to_owned())
}

/// Why the channel has ended, if this message ends it. `told` keeps the last error that was pushed.
fn end(frame: &Frame<'_>, told: &mut Option<Box<str>>) -> Option<String> {
    match &*frame.event {
        event::SYNC_ERROR => {
            *told = Some(said::word(&error_code(frame.payload)));
            None
        }
        event::CLOSE | event::ERROR => Some(match told.take() {
            Some(code) => format!("it said {code} and ended the channel"),
            None => "it ended the channel without a word".to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(texts: &[&str]) -> Option<String> {
        let mut told = None;
        let frames = texts.iter().map(|text| Frame::parse(Vsn::V2, text).expect("a frame"));
        frames.filter_map(|frame| end(&frame, &mut told)).last()
    }

    #[test]
    fn an_end_of_the_channel_has_the_error_before_it_as_its_reason() {
        let error = r#"["1",null,"sync:v1","sync:error",{"code":"slow_consumer","message":"m"}]"#;
        let crash = r#"["1","1","sync:v1","phx_error",{}]"#;
        assert_eq!(ends(&[error]), None, "a strike is no end");
        let told = "it said slow_consumer and ended the channel";
        assert_eq!(ends(&[error, crash]).as_deref(), Some(told));
        assert_eq!(ends(&[crash]).as_deref(), Some("it ended the channel without a word"));
    }
}
