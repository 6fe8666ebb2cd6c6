//! A Phoenix message of the serializer V2, open for changes.

use serde_json::{Value, json};

/// `[join_ref, ref, topic, event, payload]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub join: Value,
    pub reference: Value,
    pub channel: String,
    pub event: String,
    pub payload: Value,
}

impl Message {
    /// Reads one; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (join, reference, channel, event, payload) = serde_json::from_slice(text).ok()?;
        Some(Self { join, reference, channel, event, payload })
    }

    /// A push on the channel, without a ref.
    pub fn push(join: Value, event: &str, payload: Value) -> Self {
        let (channel, event) = ("sync:v1".to_owned(), event.to_owned());
        Self { join, reference: Value::Null, channel, event, payload }
    }

    /// Its text.
    pub fn text(&self) -> String {
        let Self { join, reference, channel, event, payload } = self;
        json!([join, reference, channel, event, payload]).to_string()
    }

    /// Whether it is one of the two pushes of a batch.
    pub fn is_data(&self) -> bool {
        matches!(self.event.as_str(), "sync:update_batch" | "sync:frame")
    }

    /// Whether it is a reply on the client's channel.
    pub fn is_reply(&self) -> bool {
        self.event == "phx_reply" && self.channel == "sync:v1"
    }

    /// Whether it is the reply to a join.
    pub fn is_join_reply(&self) -> bool {
        self.is_reply() && self.payload["response"].get("allowed_topics").is_some()
    }

    /// Whether it is the reply to a subscribe.
    pub fn is_subscribe_reply(&self) -> bool {
        self.is_reply()
            && self.payload["response"].get("current_watermarks").is_some()
            && !self.is_join_reply()
    }

    /// Whether it is the reply to a heartbeat of the channel.
    pub fn is_heartbeat_reply(&self) -> bool {
        self.is_reply() && self.payload["response"].get("watermarks").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_told_apart() {
        let reply = |response: &str| {
            let text = format!(
                r#"["1","2","sync:v1","phx_reply",{{"response":{response},"status":"ok"}}]"#
            );
            Message::parse(text.as_bytes()).expect("a message")
        };
        let join = reply(r#"{"allowed_topics":[],"current_watermarks":[],"subscription_id":"s"}"#);
        assert!(join.is_join_reply() && !join.is_subscribe_reply());
        let subscribe = reply(r#"{"current_watermarks":[],"subscription_id":"s","topics":[]}"#);
        assert!(subscribe.is_subscribe_reply() && !subscribe.is_join_reply());
        let heartbeat = reply(r#"{"subscription_id":"s","watermarks":[]}"#);
        assert!(heartbeat.is_heartbeat_reply() && !heartbeat.is_subscribe_reply());
        assert!(!join.is_heartbeat_reply() && !subscribe.is_heartbeat_reply());
        assert_eq!(Message::parse(b"{}"), None);
        assert_eq!(Message::parse(join.text().as_bytes()), Some(join));
    }
}
