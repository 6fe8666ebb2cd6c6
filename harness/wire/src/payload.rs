//! Payloads of the WebSocket lane, one type each.
//!
//! Fields stand in alphabetical order, because a real runtime writes them so: what these types
//! serialise to is then equal to a recording byte for byte, not only as JSON. Types whose name ends
//! in `Ref` borrow from the text that was read and are what the hot path uses.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cursor::{ResumeAfter, TopicWatermark};

/// `kind` of a `sync:frame` that carries a batch.
pub const KIND_UPDATE_BATCH: &str = "KHALA_FRAME_KIND_UPDATE_BATCH";
/// `kind` of a `sync:frame` that carries an error.
pub const KIND_ERROR: &str = "KHALA_FRAME_KIND_ERROR";
/// `code` of a refused or outrun cursor.
pub const CODE_STALE_CURSOR: &str = "stale_cursor";
/// `code` of a client that cannot keep up.
pub const CODE_SLOW_CONSUMER: &str = "slow_consumer";
/// `code` of a revoked session.
pub const CODE_REAUTH_REQUIRED: &str = "reauth_required";
/// `code` of a subscribe to a topic outside the token's scopes, or to an unknown one.
pub const CODE_FORBIDDEN_TOPIC: &str = "forbidden_topic";
/// `code` of a subscribe or unsubscribe that does not have the right shape.
pub const CODE_BAD_SUBSCRIPTION: &str = "bad_subscription";
/// `code` of a join to a channel that does not exist.
pub const CODE_BAD_TOPIC: &str = "bad_topic";
/// `reason` of a message to a channel that was not joined.
pub const REASON_UNMATCHED_TOPIC: &str = "unmatched topic";
/// Stale because the cursor is below the retention floor; checked first.
pub const STALE_RETENTION_FLOOR: &str = "retention_floor_breach";
/// Stale because the cursor is further behind head than the topic's budget.
pub const STALE_REPLAY_BUDGET: &str = "replay_budget_exceeded";
/// Format name of snapshots and snapshot plans.
pub const SNAPSHOT_FORMAT: &str = "openagents.sync.snapshot.v1";

/// `{}`: joins, leaves and heartbeats from a client, `phx_close` and `phx_error` from a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// `sync:subscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Largest number of updates a replay batch should carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_batch_size: Option<u32>,
    /// Cursors; a topic without one replays from the socket's own watermark, or 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_after: Option<ResumeAfter>,
    /// Topics to subscribe to; an empty list is `bad_subscription`.
    pub topics: Vec<String>,
}

/// `sync:unsubscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsubscribe {
    /// Topics to leave.
    pub topics: Vec<String>,
}

/// `phx_reply`: `{"response":…,"status":"ok"|"error"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply<R> {
    /// What was answered.
    pub response: R,
    /// `ok` or `error`.
    pub status: Status,
}

/// `status` of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Done as asked.
    Ok,
    /// Refused; the response says why.
    Error,
}

/// A reply, borrowed, before anyone knows to what it answers.
#[derive(Clone, Debug, Deserialize)]
pub struct ReplyRef<'a> {
    /// What was answered, raw.
    #[serde(borrow)]
    pub response: &'a RawValue,
    /// `ok` or `error`.
    pub status: Status,
}

/// Response to a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// Topics that the token's scopes open.
    pub allowed_topics: Vec<String>,
    /// Always empty on join.
    pub current_watermarks: Vec<TopicWatermark>,
    /// `sub_sync_session:{session}`
    pub subscription_id: String,
}

/// Response to a subscribe: replay is complete when it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribed {
    /// Where the socket now stands on each topic asked for.
    pub current_watermarks: Vec<TopicWatermark>,
    /// `sub_sync_session:{session}`
    pub subscription_id: String,
    /// The topics asked for.
    pub topics: Vec<String>,
}

/// Response to an unsubscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribed {
    /// `sub_sync_session:{session}`
    pub subscription_id: String,
    /// The topics that remain.
    pub topics: Vec<String>,
}

/// Response to a client's `sync:heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatReply {
    /// `sub_sync_session:{session}`
    pub subscription_id: String,
    /// Where the socket stands on each subscribed topic.
    pub watermarks: Vec<TopicWatermark>,
}

/// A server's `sync:heartbeat` push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatPush {
    /// Where the socket stands on each subscribed topic.
    pub watermarks: Vec<TopicWatermark>,
}

/// One update inside a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Key of the document.
    pub doc_key: String,
    /// Version of the document.
    pub doc_version: u64,
    /// True in pointer mode, when the payload is null.
    pub hydration_required: bool,
    /// The document, or null in pointer mode.
    pub payload: Option<Box<RawValue>>,
    /// Base64 of SHA-256 over the payload's canonical JSON.
    pub payload_hash: Option<String>,
    /// The topic.
    pub topic: String,
    /// The sequence number on the topic.
    pub watermark: u64,
}

/// `sync:update_batch`, and the content of a batch's `sync:frame`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateBatch {
    /// Head of the batch's topic as read when the batch was made.
    pub head_watermarks: Vec<TopicWatermark>,
    /// Whether the batch reached that head. Says nothing about the subscribe's replay.
    pub replay_complete: bool,
    /// The updates, all of one topic, in order of watermark.
    pub updates: Vec<Update>,
}

/// A string that borrows when it can, also inside an `Option`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// [`TopicWatermark`], borrowed.
#[derive(Clone, Debug, Deserialize)]
pub struct TopicWatermarkRef<'a> {
    /// The topic's name.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The sequence number.
    pub watermark: u64,
}

/// [`Update`], borrowed: its payload is a slice of the text, never a tree.
#[derive(Clone, Debug, Deserialize)]
pub struct UpdateRef<'a> {
    /// Key of the document.
    #[serde(borrow)]
    pub doc_key: Cow<'a, str>,
    /// Version of the document.
    pub doc_version: u64,
    /// True in pointer mode.
    pub hydration_required: bool,
    /// The document as it stands on the wire; `None` in pointer mode.
    #[serde(borrow)]
    pub payload: Option<&'a RawValue>,
    /// The payload's hash as sent.
    #[serde(borrow)]
    pub payload_hash: Option<Text<'a>>,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The sequence number on the topic.
    pub watermark: u64,
}

/// [`UpdateBatch`], borrowed.
#[derive(Clone, Debug, Deserialize)]
pub struct UpdateBatchRef<'a> {
    /// Heads as read when the batch was made.
    #[serde(borrow)]
    pub head_watermarks: Vec<TopicWatermarkRef<'a>>,
    /// Whether the batch reached that head.
    pub replay_complete: bool,
    /// The updates.
    #[serde(borrow)]
    pub updates: Vec<UpdateRef<'a>>,
}

/// `sync:frame`: the canonical delivery of a batch or an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncFrame {
    /// [`KIND_UPDATE_BATCH`] or [`KIND_ERROR`].
    pub kind: String,
    /// Base64 of the JSON that the legacy push carries, byte for byte.
    pub payload_bytes: String,
    /// 1.
    pub schema_version: u32,
    /// Highest watermark inside, 0 for errors.
    pub seq: u64,
    /// The topic of the batch; of an error, the first topic it speaks of.
    pub topic: String,
}

impl SyncFrame {
    /// Wraps the JSON of a legacy push.
    #[must_use]
    pub fn wrap(kind: &str, topic: &str, seq: u64, payload_json: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            payload_bytes: STANDARD.encode(payload_json),
            schema_version: crate::SCHEMA_VERSION,
            seq,
            topic: topic.to_owned(),
        }
    }
}

/// [`SyncFrame`], borrowed.
#[derive(Clone, Debug, Deserialize)]
pub struct SyncFrameRef<'a> {
    /// Kind of the content.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Base64 of the content.
    #[serde(borrow)]
    pub payload_bytes: Cow<'a, str>,
    /// Highest watermark inside.
    pub seq: u64,
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// As it came, of whatever type; null where there is none.
    #[serde(default)]
    pub schema_version: serde_json::Value,
}

/// `payload_bytes` is not base64 of UTF-8 text.
#[derive(Debug, thiserror::Error)]
#[error("payload_bytes of a sync:frame is not base64 of UTF-8 JSON: {0}")]
pub struct PayloadBytesError(String);

impl SyncFrameRef<'_> {
    /// Decodes the content into `buffer` and returns it as text.
    ///
    /// # Errors
    /// When it is not base64, or not UTF-8.
    pub fn decode_into<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b str, PayloadBytesError> {
        buffer.clear();
        STANDARD
            .decode_vec(self.payload_bytes.as_bytes(), buffer)
            .map_err(|error| PayloadBytesError(error.to_string()))?;
        std::str::from_utf8(buffer).map_err(|error| PayloadBytesError(error.to_string()))
    }
}

/// One topic of a `stale_cursor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaleTopic {
    /// The topic's head.
    pub head_watermark: u64,
    /// Its QoS tier.
    pub qos_tier: String,
    /// [`STALE_RETENTION_FLOOR`] or [`STALE_REPLAY_BUDGET`].
    pub reason: String,
    /// Its replay budget, in events.
    pub replay_budget_events: u64,
    /// Head minus cursor.
    pub replay_lag: u64,
    /// The cursor that was refused.
    pub resume_after: u64,
    /// Lowest cursor that retention still serves: oldest − 1.
    pub retention_floor: u64,
    /// The topic's name.
    pub topic: String,
}

/// How to take a snapshot of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSource {
    /// Seconds between snapshots.
    pub cadence_seconds: u64,
    /// [`SNAPSHOT_FORMAT`].
    pub format: String,
    /// 1.
    pub schema_version: u32,
    /// Table behind it.
    pub source_table: String,
    /// The topic's name.
    pub topic: String,
}

/// One topic of a snapshot plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotPlanTopic {
    /// The topic's head.
    pub head_watermark: u64,
    /// How to take its snapshot.
    pub snapshot: SnapshotSource,
    /// The topic's name.
    pub topic: String,
}

/// `snapshot_plan` of a `stale_cursor`; topics without a snapshot are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotPlan {
    /// [`SNAPSHOT_FORMAT`].
    pub format: String,
    /// The stale topics that have a snapshot.
    pub topics: Vec<SnapshotPlanTopic>,
}

/// `stale_cursor`: pushed as `sync:error` and as an error frame, then answered to the subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaleCursor {
    /// [`CODE_STALE_CURSOR`].
    pub code: String,
    /// True.
    pub full_resync_required: bool,
    /// For people.
    pub message: String,
    /// The reasons of `stale_topics`, each once.
    pub reason_codes: Vec<String>,
    /// Where snapshots are.
    pub snapshot_plan: SnapshotPlan,
    /// Why, per topic.
    pub stale_topics: Vec<StaleTopic>,
}

/// What a client reads of a [`Subscribed`], whatever else stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SubscribedSeen {
    /// Where the socket now stands on each topic asked for.
    pub current_watermarks: Vec<WatermarkSeen>,
}

/// What a client reads of a [`TopicWatermark`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WatermarkSeen {
    /// The topic's name.
    pub topic: String,
    /// The sequence number.
    pub watermark: u64,
}

/// What a client reads of a [`StaleCursor`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StaleCursorSeen {
    /// Where snapshots are.
    pub snapshot_plan: SnapshotPlanSeen,
    /// Why, per topic.
    pub stale_topics: Vec<StaleTopicSeen>,
}

/// What a client reads of a [`SnapshotPlan`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SnapshotPlanSeen {
    /// The stale topics that have a snapshot.
    pub topics: Vec<TopicSeen>,
}

/// A topic by its name, whatever else is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TopicSeen {
    /// The topic's name.
    pub topic: String,
}

/// What a client reads of a [`StaleTopic`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StaleTopicSeen {
    /// The topic's head.
    pub head_watermark: u64,
    /// [`STALE_RETENTION_FLOOR`] or [`STALE_REPLAY_BUDGET`].
    pub reason: String,
    /// Its replay budget, in events.
    pub replay_budget_events: u64,
    /// Head minus cursor.
    pub replay_lag: u64,
    /// The cursor that was refused.
    pub resume_after: u64,
    /// Lowest cursor that retention still serves: oldest − 1.
    pub retention_floor: u64,
    /// The topic's name.
    pub topic: String,
    /// Its QoS tier; empty where none is named, or what is named is none.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub qos_tier: String,
}

/// A text, and nothing of whatever else there is.
fn text_or_nothing<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// What a client reads of a [`SlowConsumer`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SlowConsumerSeen {
    /// [`CODE_SLOW_CONSUMER`].
    pub code: String,
    /// `throttle` or, at the last strike, `disconnect`.
    #[serde(default)]
    pub action: String,
    /// Events waiting for this socket.
    #[serde(default)]
    pub queue_depth: u64,
    /// The limit it is over.
    #[serde(default)]
    pub queue_limit: u64,
}

/// `slow_consumer`: pushed as `sync:error` and error frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowConsumer {
    /// `throttle` or, at the last strike, `disconnect`.
    pub action: String,
    /// [`CODE_SLOW_CONSUMER`].
    pub code: String,
    /// True with `disconnect`.
    pub full_resync_required: bool,
    /// For people.
    pub message: String,
    /// Events waiting for this socket.
    pub queue_depth: u64,
    /// The limit it is over.
    pub queue_limit: u64,
    /// When to come back.
    pub reconnect_after_ms: u64,
    /// The topic.
    pub topic: String,
}

/// `reauth_required`: a revoked session's join, or the push before its close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReauthRequired {
    /// [`CODE_REAUTH_REQUIRED`].
    pub code: String,
    /// For people.
    pub message: String,
    /// Reason given to the revocation.
    pub reason: String,
    /// True.
    pub reauth_required: bool,
}

/// A join refused for the client's build, protocol or schema version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompatibilityFailure {
    /// `invalid_client_build`, `unsupported_protocol_version`, `unsupported_schema_version`,
    /// `upgrade_required` or `unsupported_client_build`.
    pub code: String,
    /// Newest build served.
    pub max_client_build_id: Option<String>,
    /// Newest schema served.
    pub max_schema_version: u32,
    /// For people.
    pub message: String,
    /// Oldest build served.
    pub min_client_build_id: Option<String>,
    /// Oldest schema served.
    pub min_schema_version: u32,
    /// The protocol served.
    pub protocol_version: String,
    /// False: a client stops reconnecting.
    pub retryable: bool,
    /// `khala_websocket`.
    pub surface: String,
    /// True.
    pub upgrade_required: bool,
}

/// `forbidden_topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForbiddenTopic {
    /// [`CODE_FORBIDDEN_TOPIC`].
    pub code: String,
    /// The topics outside the scopes, unknown ones among them.
    pub forbidden_topics: Vec<String>,
}

/// An error that is a code and no more, such as `bad_subscription`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeOnly {
    /// The code.
    pub code: String,
}

/// Phoenix's own error, such as `unmatched topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonOnly {
    /// The reason.
    pub reason: String,
}

/// The code or reason of an error response, whatever its type; `""` when it has neither.
#[must_use]
pub fn error_code(response: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        reason: Option<String>,
    }
    serde_json::from_str::<Probe>(response.get())
        .ok()
        .and_then(|probe| probe.code.or(probe.reason))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_decodes_to_the_bytes_it_wrapped() {
        let frame = SyncFrame::wrap(KIND_ERROR, "runtime.notifications", 0, r#"{"code":"x"}"#);
        let text = serde_json::to_string(&frame).expect("serialises");
        let borrowed: SyncFrameRef<'_> = serde_json::from_str(&text).expect("parses");
        let mut buffer = Vec::new();
        assert_eq!(borrowed.decode_into(&mut buffer).expect("decodes"), r#"{"code":"x"}"#);
    }

    #[test]
    fn a_batch_is_read_without_copies() {
        let text = r#"{"head_watermarks":[{"topic":"t","watermark":2}],"replay_complete":true,"updates":[{"doc_key":"k","doc_version":1,"hydration_required":false,"payload":{"a":1},"payload_hash":"h","topic":"t","watermark":2}]}"#;
        let batch: UpdateBatchRef<'_> = serde_json::from_str(text).expect("a batch");
        let update = &batch.updates[0];
        assert!(matches!(update.doc_key, Cow::Borrowed("k")));
        assert!(matches!(update.payload_hash, Some(Text(Cow::Borrowed("h")))));
        assert_eq!(update.payload.map(RawValue::get), Some(r#"{"a":1}"#));
    }

    #[test]
    fn error_codes_are_found_in_any_response() {
        for (text, code) in
            [(r#"{"code":"a","x":1}"#, "a"), (r#"{"reason":"b"}"#, "b"), ("{}", ""), ("[]", "")]
        {
            let raw: &RawValue = serde_json::from_str(text).expect("json");
            assert_eq!(error_code(raw), code);
        }
    }
}
