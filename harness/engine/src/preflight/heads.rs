//! `fleet.first_subscribe = "from-now"`: one client replays the target's past, and tells the others where
//! it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use khala_plan::Plan;
use khala_wire::message::event;
use khala_wire::payload::{Subscribe, SubscribedSeen, error_code};
use khala_wire::topic::TopicId;

use super::{Stop, enter};
use crate::error::SetupError;
use crate::said;
use crate::talk::{NoReply, Reply};
use crate::target::Target;

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
    let mut talk = match entered {
        Ok(Some(talk)) => talk,
        Ok(None) => return Err(failed("its upgrade breaks RFC 6455".to_owned())),
        Err(Stop::Nobody(why) | Stop::Unreachable(why, _)) => return Err(failed(why)),
        Err(Stop::Refused(what, why)) => return Err(failed(format!("it refuses {what}: {why}"))),
    };
    let within = REPLAYED_WITHIN.max(plan.target.request_timeout);
    let payload = Subscribe { topics: names, resume_after: None, replay_batch_size: None };
    let reply = talk.request(event::SUBSCRIBE, &payload, within).await;
    talk.leave(plan.target.connect_timeout).await;
    if let Err(NoReply::ChannelEnded(told)) = reply {
        return Ok(Learnt::Ended(ended(told.as_deref())));
    }
    let seen = read(reply, within).map_err(failed)?;
    let marks = seen.current_watermarks.iter();
    let known = marks.filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark)));
    Ok(Learnt::Heads(known.filter(|(topic, _)| topics.contains(topic)).collect()))
}

/// Why the channel has ended.
fn ended(told: Option<&str>) -> String {
    match told {
        Some(code) => format!("it said {code} and ended the channel"),
        None => "it ended the channel without a word".to_owned(),
    }
}

/// What the answer to the subscribe says, or what is wrong with it.
fn read(reply: Result<Reply, NoReply>, within: Duration) -> Result<SubscribedSeen, String> {
    match reply {
        Ok(Reply::Ok(response)) => serde_json::from_str(response.get())
            .map_err(|error| format!("its reply names no watermarks: {error}")),
        Ok(Reply::Error(response)) => {
            Err(format!("it refused the subscribe: {}", said::word(&error_code(&response))))
        }
        Err(NoReply::Silent) => Err(format!("the subscribe was not answered within {within:?}")),
        Err(NoReply::Malformed(why)) => Err(why),
        Err(NoReply::Broken(why)) if !why.is_empty() => Err(why),
        Err(NoReply::Closed | NoReply::Broken(_)) => {
            Err("it ended the socket before it had answered the subscribe".to_owned())
        }
        Err(NoReply::ChannelEnded(told)) => Err(ended(told.as_deref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_the_channel_has_the_error_before_it_as_its_reason() {
        assert_eq!(ended(Some("slow_consumer")), "it said slow_consumer and ended the channel");
        assert_eq!(ended(None), "it ended the channel without a word");
    }

    #[test]
    fn an_answer_without_watermarks_and_none_at_all_are_told_apart() {
        let within = Duration::from_secs(120);
        let why = |reply| read(reply, within).expect_err("no heads");
        let response =
            |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON");
        assert!(why(Ok(Reply::Ok(response("[]")))).starts_with("its reply names no watermarks"));
        let forbidden = response(r#"{"code":"forbidden_topic"}"#);
        assert_eq!(why(Ok(Reply::Error(forbidden))), "it refused the subscribe: forbidden_topic");
        assert_eq!(why(Err(NoReply::Silent)), "the subscribe was not answered within 120s");
        let ended = "it ended the socket before it had answered the subscribe";
        assert_eq!(why(Err(NoReply::Closed)), ended);
        assert_eq!(why(Err(NoReply::Broken(String::new()))), ended);
    }
}
