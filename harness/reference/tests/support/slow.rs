//! Clients that do not read. Both ends need small socket buffers, or the kernel would swallow the
//! whole test.

use std::time::{Duration, Instant};

use khala_reference::Config;
use khala_wire::payload::Update;
use khala_wire::topic::NOTIFICATIONS;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpSocket;

use super::{Client, Heard, Running, join, not_for_ever, subscribe, token};

/// The topic that grows.
pub const TOPIC: &str = NOTIFICATIONS;
/// Bytes of one event: a few fill the socket buffers.
const PAD: usize = 2_000;

/// Makes a configuration quick to evict.
pub fn quick(mut config: Config) -> Config {
    config.buffers.kernel_send = Some(8 << 10);
    config.slow_consumer.strike_every = Duration::from_millis(50);
    config.slow_consumer.evict_grace = Duration::from_millis(100);
    config
}

pub async fn subscribed(running: &Running, session: &str, receive_buffer: Option<u32>) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).expect("set before the connect");
    }
    let stream = socket.connect(running.addr).await.expect("connects");
    let path = format!("/socket/websocket?token={}&vsn=2.0.0", token(session, &[TOPIC]));
    let mut client = Client::over(stream, running.addr, &path).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [TOPIC]})).await;
    Heard::default().until(&mut client, |heard| heard.replied("s")).await;
    client
}

/// Appends one event.
pub fn grow(running: &Running) -> u64 {
    let watermark = head(running) + 1;
    let payload = format!(r#"{{"pad":"{}"}}"#, "x".repeat(PAD));
    let update = Update {
        doc_key: format!("n:{watermark}"),
        doc_version: watermark,
        hydration_required: false,
        payload: Some(RawValue::from_string(payload).expect("JSON")),
        payload_hash: None,
        topic: TOPIC.to_owned(),
        watermark,
    };
    running.handle.seed(TOPIC, vec![update]).expect("the next one");
    watermark
}

pub fn window(running: &Running) -> khala_wire::metrics::TopicWindow {
    let windows = running.handle.metrics().topic_windows;
    windows.into_iter().find(|window| window.topic == TOPIC).expect("known")
}

pub fn head(running: &Running) -> u64 {
    window(running).head_sequence.unwrap_or(0)
}

pub fn evictions(running: &Running) -> u64 {
    running.handle.metrics().delivery_metrics.slow_consumer_evictions
}

/// Appends an event every few milliseconds until something is true.
pub async fn grow_until(running: &Running, enough: impl Fn(&Running) -> bool) {
    let started = Instant::now();
    while !enough(running) {
        not_for_ever(started);
        grow(running);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}
