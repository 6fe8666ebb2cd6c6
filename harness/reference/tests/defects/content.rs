//! Updates that say something else than what was published, or come to nobody's request.

use khala_wire::canonical::payload_hash;
use khala_wire::payload::SyncFrameRef;
use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Heard, publish, subscribe};
use crate::{acted, events, joined, resume, with};

#[tokio::test]
async fn corrupt_payload_alters_content_under_a_fitting_hash() {
    let running = with(&["corrupt_payload,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    // Half of the deliveries are altered: go on until both kinds were seen.
    let altered = |update: &Value| {
        update["payload"]["payload"].get("n").is_some()
            && update["payload"]["payload"].as_object().expect("an object").len() > 1
    };
    let mut n = 1;
    while !(heard.updates.iter().any(altered) && heard.updates.iter().any(|u| !altered(u))) {
        n += 1;
        assert!(n < 100, "a fair coin does not fall on one side for so long");
        publish(running.addr, "w", &json!({"n": n})).await;
        let all = n - 1;
        heard.until(&mut client, |heard| heard.updates.len() == all).await;
    }
    for update in &heard.updates {
        assert_eq!(update["payload_hash"], payload_hash(&update["payload"]));
    }
    let count = heard.updates.iter().filter(|update| altered(update)).count() as u64;
    assert_eq!(acted(&running, "corrupt_payload"), count);
    running.stop().await;
}

#[tokio::test]
async fn wrong_payload_is_that_of_the_event_before() {
    let running = with(&["wrong_payload,1"]).await;
    events(&running, 3).await;
    let heard = resume(&mut joined(&running).await, 1).await;
    let [first, second] = &heard.updates[..] else { panic!("two events, not {heard:?}") };
    assert_eq!((&first["watermark"], &first["doc_version"]), (&json!(2), &json!(2)));
    assert_eq!(first["payload"]["seq"], 1, "of the one before");
    assert_eq!(first["payload_hash"], payload_hash(&first["payload"]));
    assert_eq!(second["payload"]["seq"], 3);
    assert_eq!(acted(&running, "wrong_payload"), 1);
    running.stop().await;
}

#[tokio::test]
async fn frame_mismatch_tells_two_stories() {
    let running = with(&["frame_mismatch,1"]).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    let cursor = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1}});
    subscribe(&mut client, &cursor).await;
    let (_, _, _, legacy) = client.frame().await;
    let (_, _, _, frame) = client.frame().await;
    let frame = frame.to_string();
    let frame: SyncFrameRef<'_> = serde_json::from_str(&frame).expect("a frame");
    let mut buffer = Vec::new();
    let inner: Value =
        serde_json::from_str(frame.decode_into(&mut buffer).expect("text")).expect("JSON");
    assert_ne!(inner["updates"][0]["payload"], legacy["updates"][0]["payload"]);
    assert_eq!(inner["updates"][0]["watermark"], legacy["updates"][0]["watermark"]);
    assert_eq!(acted(&running, "frame_mismatch"), 1);
    running.stop().await;
}

#[tokio::test]
async fn state_regress_goes_back_to_an_old_version() {
    let running = with(&["state_regress,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    subscribe(&mut client, &json!({"topics": [WORKER_SUMMARIES]})).await;
    let mut heard = Heard::default();
    for count in 1..=3 {
        if count > 1 {
            publish(running.addr, "w", &json!({"n": count})).await;
        }
        heard.until(&mut client, |heard| heard.updates.len() == count).await;
    }
    let versions: Vec<_> = heard.updates.iter().map(|u| u["doc_version"].clone()).collect();
    assert_eq!(versions, [1, 2, 1]);
    assert_eq!(heard.watermarks(), [1, 2, 3]);
    assert_eq!(acted(&running, "state_regress"), 1);
    running.stop().await;
}

#[tokio::test]
async fn after_unsubscribe_one_more_batch_follows() {
    let running = with(&["after_unsubscribe"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    resume(&mut client, 1).await;
    let leave = json!({"topics": [WORKER_EVENTS]});
    client.send(Message::text(format!(r#"["1","u","sync:v1","sync:unsubscribe",{leave}]"#))).await;
    let (_, msg_ref, _, payload) = client.frame().await;
    assert_eq!((msg_ref, &payload["response"]["topics"]), (json!("u"), &json!([])));
    for n in 2..=3 {
        publish(running.addr, "w", &json!({"n": n})).await;
        let mut heard = Heard::default();
        heard.until_now(&mut client).await;
        let expected: &[u64] = if n == 2 { &[2] } else { &[] };
        assert_eq!(heard.watermarks(), expected, "one, and then none");
    }
    assert_eq!(acted(&running, "after_unsubscribe"), 1);
    running.stop().await;
}
