//! The windows of a target that shows none in metrics, by what it answers to the lowest cursor there is.
//!
//! A cursor of 0 counts as given, and where it is stale the refusal has retention floor, head and budget (contract,
//! section 3, "Stale cursor"). Where it is fresh everything is retained and within the budget, and the reply
//! says where head is.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use khala_plan::Plan;
use khala_wire::CHANNEL;
use khala_wire::cursor::ResumeAfter;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{ReplyRef, StaleCursorSeen, Status, Subscribe, SubscribedSeen};
use khala_wire::topic::TopicId;
use tokio_tungstenite::tungstenite::Message;

use super::Target;
use super::window::Window;
use crate::preflight;
use crate::transport::Socket;

/// Reference of the first subscribe; the join has the one before it.
const FIRST_REF: u64 = 2;

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
    let Ok(Some(mut socket)) = entered else { return Vec::new() };
    let mut all = Vec::with_capacity(topics.len());
    // One by one: a stale topic refuses the whole list.
    for (topic, reference) in topics.iter().zip(FIRST_REF..) {
        let asked = window(&mut socket, *topic, reference);
        let Ok(answer) = tokio::time::timeout(plan.target.request_timeout, asked).await else {
            break;
        };
        all.extend(answer.map(|window| (*topic, window)));
    }
    // The goodbye is a courtesy: the answers stand without it.
    let _ = tokio::time::timeout(plan.target.connect_timeout, socket.close(None)).await;
    all
}

/// Asks for one topic. Not bounded: the caller is.
async fn window(socket: &mut Socket, topic: TopicId, reference: u64) -> Option<Window> {
    let (join, number) = (frame::string_ref(preflight::JOIN_REF), frame::string_ref(reference));
    let name = topic.name().to_owned();
    let lowest = BTreeMap::from([(name.clone(), 0)]);
    let payload = Subscribe {
        topics: vec![name],
        resume_after: Some(ResumeAfter::Map(lowest)),
        replay_batch_size: None,
    };
    let text =
        frame::encode(Vsn::V2, Some(&join), Some(&number), CHANNEL, event::SUBSCRIBE, &payload);
    socket.send(Message::text(text)).await.ok()?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.ok()? else { continue };
        // What is replayed, and the refusal's pushes, come before the reply.
        let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
        if frame.event == event::REPLY && frame.ref_number() == Some(reference) {
            let reply: ReplyRef<'_> = serde_json::from_str(frame.payload.get()).ok()?;
            return read(topic, &reply);
        }
    }
    None
}

/// What an answer says of a topic's window.
fn read(topic: TopicId, reply: &ReplyRef<'_>) -> Option<Window> {
    match reply.status {
        Status::Ok => {
            let seen: SubscribedSeen = serde_json::from_str(reply.response.get()).ok()?;
            let mark = seen.current_watermarks.iter().find(|mark| mark.topic == topic.name())?;
            // No cursor of this topic is further behind than the budget, whatever that is.
            Some(Window { oldest: Some(1), head: mark.watermark, budget: u64::MAX })
        }
        Status::Error => {
            let seen: StaleCursorSeen = serde_json::from_str(reply.response.get()).ok()?;
            let said = seen.stale_topics.iter().find(|said| said.topic == topic.name())?;
            Some(Window {
                oldest: Some(said.retention_floor.saturating_add(1)),
                head: said.head_watermark,
                budget: said.replay_budget_events,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_plan::model::Resume;

    use super::*;

    fn read_of(reply: &str) -> Option<Window> {
        read(TopicId::WORKER_EVENTS, &serde_json::from_str(reply).expect("a reply"))
    }

    #[test]
    fn a_refusal_has_the_whole_window() {
        let refusal = r#"{"status":"error","response":{"code":"stale_cursor","full_resync_required":true,
            "message":"m","reason_codes":["retention_floor_breach"],"stale_topics":[
            {"topic":"runtime.codex_worker_events","reason":"retention_floor_breach","qos_tier":"hot",
             "resume_after":0,"retention_floor":100,"head_watermark":500,"replay_lag":500,
             "replay_budget_events":300}],"snapshot_plan":{"format":"f","topics":[]}}}"#;
        let window = Window { oldest: Some(101), head: 500, budget: 300 };
        assert_eq!(read_of(refusal), Some(window));
        assert_eq!(window.cursor(Resume::AtFloor), Some(100));
    }

    #[test]
    fn where_the_lowest_cursor_is_fresh_there_is_none_below_the_floor_or_beyond_the_budget() {
        let accepted = r#"{"status":"ok","response":{"subscription_id":"s",
            "topics":["runtime.codex_worker_events"],"current_watermarks":[
            {"topic":"runtime.codex_worker_events","watermark":500}]}}"#;
        let window = read_of(accepted).expect("a window");
        assert_eq!((window.floor(), window.head), (0, 500));
        for nowhere in [Resume::BelowFloor, Resume::BeyondBudget, Resume::AtBudget] {
            assert_eq!(window.cursor(nowhere), None, "{nowhere:?}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_topic_is_no_window() {
        let of_another = r#"{"status":"ok","response":{"subscription_id":"s","topics":[],
            "current_watermarks":[{"topic":"runtime.notifications","watermark":5}]}}"#;
        assert_eq!(read_of(of_another), None);
        let forbidden =
            r#"{"status":"error","response":{"code":"forbidden_topic","forbidden_topics":[]}}"#;
        assert_eq!(read_of(forbidden), None);
    }
}
