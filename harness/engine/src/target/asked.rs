//! The windows of a target that shows none in metrics, by what it answers to the lowest cursor there is.
//!
//! A cursor of 0 counts as given, and where it is stale the refusal has retention floor, head and budget (contract,
//! section 3, "Stale cursor"). Where it is fresh everything is retained and within the budget, and the reply
//! says where head is.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::record::Tier;
use khala_plan::Plan;
use khala_wire::cursor::ResumeAfter;
use khala_wire::message::event;
use khala_wire::payload::{StaleCursorSeen, Subscribe, SubscribedSeen};
use khala_wire::topic::TopicId;

use super::Target;
use super::window::Window;
use crate::preflight;
use crate::talk::{NoReply, Reply, Talk};

/// The windows of topics, each within the plan's time-out for requests; those that the target says nothing of
/// are left out.
pub async fn windows(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    topics: &[TopicId],
) -> Vec<(TopicId, Window)> {
    let names: Vec<String> = topics.iter().map(|topic| topic.name().to_owned()).collect();
    let entered = preflight::enter(plan, target, user_agent, &names, &mut Vec::new()).await;
    let Ok(Some(mut talk)) = entered else { return Vec::new() };
    let mut all = Vec::with_capacity(topics.len());
    // One by one: a stale topic refuses the whole list.
    for &topic in topics {
        match window(&mut talk, topic, plan.target.request_timeout).await {
            Ok(window) => all.extend(window.map(|window| (topic, as_told(plan, topic, window)))),
            Err(_) => break,
        }
    }
    talk.leave(plan.target.connect_timeout).await;
    all
}

/// The window with the replay budget that the plan says of the topic, where the target does not show it.
fn as_told(plan: &Plan, topic: TopicId, window: Window) -> Window {
    let told = plan.target.retains.get(&topic).and_then(|it| it.replay_budget_events);
    match told.filter(|_| window.budget == UNKNOWN) {
        Some(budget) => Window { budget, ..window },
        None => window,
    }
}

/// The budget of a topic whose lowest cursor is served: none of its cursors is further behind, whatever it is.
pub const UNKNOWN: u64 = u64::MAX;

/// Asks for one topic; nothing where it is not answered in time, and then nobody is to be asked again.
async fn window(
    talk: &mut Talk,
    topic: TopicId,
    within: Duration,
) -> Result<Option<Window>, NoReply> {
    let name = topic.name().to_owned();
    let lowest = BTreeMap::from([(name.clone(), 0)]);
    let payload = Subscribe {
        topics: vec![name],
        resume_after: Some(ResumeAfter::Map(lowest)),
        replay_batch_size: None,
    };
    Ok(read(topic, &talk.request(event::SUBSCRIBE, &payload, within).await?))
}

/// What an answer says of a topic's window.
fn read(topic: TopicId, reply: &Reply) -> Option<Window> {
    match reply {
        Reply::Ok(response) => {
            let seen: SubscribedSeen = serde_json::from_str(response.get()).ok()?;
            let mark = seen.current_watermarks.iter().find(|mark| mark.topic == topic.name())?;
            let (oldest, head, budget) = (Some(1), mark.watermark, UNKNOWN);
            Some(Window { oldest, head, budget, tier: None })
        }
        Reply::Error(response) => {
            let seen: StaleCursorSeen = serde_json::from_str(response.get()).ok()?;
            let said = seen.stale_topics.iter().find(|said| said.topic == topic.name())?;
            Some(Window {
                oldest: Some(said.retention_floor.saturating_add(1)),
                head: said.head_watermark,
                budget: said.replay_budget_events,
                tier: Tier::of(&said.qos_tier),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_plan::model::Resume;
    use serde_json::value::RawValue;

    use super::*;

    fn read_of(as_reply: fn(Box<RawValue>) -> Reply, response: &str) -> Option<Window> {
        let response = RawValue::from_string(response.to_owned()).expect("JSON");
        read(TopicId::WORKER_EVENTS, &as_reply(response))
    }

    #[test]
    fn a_refusal_has_the_whole_window() {
        let refusal = r#"{"code":"stale_cursor","full_resync_required":true,
            "message":"m","reason_codes":["retention_floor_breach"],"stale_topics":[
            {"topic":"runtime.codex_worker_events","reason":"retention_floor_breach","qos_tier":"hot",
             "resume_after":0,"retention_floor":100,"head_watermark":500,"replay_lag":500,
             "replay_budget_events":300}],"snapshot_plan":{"format":"f","topics":[]}}"#;
        let window = Window { oldest: Some(101), head: 500, budget: 300, tier: Some(Tier::Hot) };
        assert_eq!(read_of(Reply::Error, refusal), Some(window));
        assert_eq!(window.cursor(Resume::AtFloor), Some(100));
    }

    #[test]
    fn where_the_lowest_cursor_is_fresh_there_is_none_below_the_floor_or_beyond_the_budget() {
        let accepted = r#"{"subscription_id":"s",
            "topics":["runtime.codex_worker_events"],"current_watermarks":[
            {"topic":"runtime.codex_worker_events","watermark":500}]}"#;
        let window = read_of(Reply::Ok, accepted).expect("a window");
        assert_eq!((window.floor(), window.head), (0, 500));
        for nowhere in [Resume::BelowFloor, Resume::BeyondBudget, Resume::AtBudget] {
            assert_eq!(window.cursor(nowhere), None, "{nowhere:?}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_topic_is_no_window() {
        let of_another = r#"{"subscription_id":"s","topics":[],
            "current_watermarks":[{"topic":"runtime.notifications","watermark":5}]}"#;
        assert_eq!(read_of(Reply::Ok, of_another), None);
        let forbidden = r#"{"code":"forbidden_topic","forbidden_topics":[]}"#;
        assert_eq!(read_of(Reply::Error, forbidden), None);
    }
}
