//! What the proxy does, by the name of the deviation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_reference::config::DEVELOPMENT_SYNC_KEY;
use khala_wire::token::{Claims, DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key};
use khala_wire::topic::KNOWN;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::vouch::claims_in;

/// All deviations.
pub const NAMES: [&str; 89] = [
    "accept_key",
    "takes_compression",
    "takes_subprotocol",
    "refusal_401",
    "refusal_with_body",
    "always_vsn_2",
    "lets_all_in",
    "strict_tokens",
    "renamed_answers",
    "other_statuses",
    "refs_as_strings",
    "replies_without_response",
    "pushes_with_refs",
    "renamed_fields",
    "swallows_close",
    "swallows_leave",
    "other_words",
    "serves_stale_refs",
    "allows_more",
    "other_compatibility_codes",
    "retryable_refusals",
    "ignores_lists",
    "last_of_a_list",
    "first_cursor_alone",
    "drops_lone_last_pages",
    "replaces_subscriptions",
    "keeps_first_join_ref",
    "leaves_nothing",
    "answers_beats_late",
    "last_topic_not_live",
    "old_documents",
    "swallows_errors",
    "alters_every_other_socket",
    "drops_first_versions",
    "drops_last_versions",
    "mixes_topics",
    "frames_ahead",
    "other_hashes",
    "alters_payloads",
    "unsigned_commands",
    "forgets_topics",
    "swallows_heartbeats",
    "drops_client_heartbeats",
    "revokes_everybody",
    "open_metrics",
    "half_a_signature",
    "expires_late",
    "iat_unchecked",
    "times_optional",
    "remembers_tokens",
    "first_scopes_of_a_session",
    "opens_all_topics",
    "mints_for_longer",
    "expired_snapshots",
    "revoked_snapshots",
    "opens_to_the_subscribed",
    "refusals_end_subscriptions",
    "every_other_socket_is_deaf",
    "open_snapshots",
    "one_session_a_device",
    "revokes_devices",
    "lifecycles_again",
    "drops_late_starts",
    "checks_the_first_alone",
    "deaf_once_left",
    "unsubscribes_the_first",
    "resubscribes_at_head",
    "newest_socket_alone",
    "refusals_end_topics",
    "silent_on_v1",
    "first_mark_alone",
    "first_stale_alone",
    "closes_without_beats",
    "cuts_fractions",
    "cuts_long_texts",
    "rounds_integers",
    "cuts_event_types",
    "folds_case",
    "shifts_times",
    "stays_running",
    "runs_again",
    "other_types_of_state",
    "counts_less",
    "hashes_of_others",
    "counts_no_stale_cursors",
    // The proxy itself must not show, nor a limit that the contract knows.
    PLAIN,
    LIMITS_COMMANDS,
    LOSES_ALL,
    HIDES_METRICS,
];

/// Part of a long text.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Nothing.
pub const PLAIN: &str = "plain";
/// Every other command comes too fast for a limit that is all clients' together, and is answered with 429.
pub const LIMITS_COMMANDS: &str = "limits_commands";

/// Nothing that is published comes to anybody.
pub const LOSES_ALL: &str = "loses_all";

/// The operators' view is not there, as before a runtime that has none.
pub const HIDES_METRICS: &str = "hides_metrics";

/// What the proxy answers to its `number`th command itself.
pub fn limited(name: &str, head: &str, number: u32) -> Option<&'static str> {
    if name == HIDES_METRICS && head.contains("/khala/fanout/metrics") {
        return Some(NOT_THERE);
    }
    let command = head.starts_with("POST /internal/v1/codex/workers");
    (name == LIMITS_COMMANDS && command && number.is_multiple_of(2)).then_some(TOO_FAST)
}

const NOT_THERE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

const TOO_FAST: &str = concat!(
    "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n",
    "content-length: 62\r\nconnection: close\r\n\r\n",
    r#"{"error":"khala_publish_rate_limited","retry_after_ms":     5}"#,
);

/// Whether it has the start of a worker whose number has two digits or more.
fn starts_late(text: &str) -> bool {
    let mut numbered = text.split("-worker").skip(1).filter_map(|rest| rest.split_once(":1\""));
    numbered.any(|(nth, _)| nth.len() > 1 && nth.bytes().all(|it| it.is_ascii_digit()))
}

fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The head of a request.
pub fn request(name: &str, head: &str) -> String {
    match name {
        "always_vsn_2" if head.contains("vsn=") => {
            replaced(head, &[("vsn=1.0.0", "vsn=2.0.0"), ("vsn=9.9.9", "vsn=2.0.0")])
        }
        "always_vsn_2" if head.contains("token=") => head.replacen("token=", "vsn=2.0.0&token=", 1),
        "open_metrics" if head.contains("/fanout/metrics") && !head.contains("uthorization:") => {
            let bearer = format!("\r\nAuthorization: Bearer {}\r\n", super::ADMIN);
            head.replacen("\r\n", &bearer, 1)
        }
        _ => head.to_owned(),
    }
}

/// A JSON text of the same length in which each number of this name is 0.
fn zeroed(text: &str, name: &str) -> String {
    let key = format!("\"{name}\":");
    let mut parts = text.split(&key);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        out += &format!("{key}{:>digits$}{}", 0, &part[digits..]);
    }
    out
}

/// A whole answer over HTTP; nothing becomes longer.
pub fn answer(name: &str, answer: Vec<u8>) -> Vec<u8> {
    if name == "counts_no_stale_cursors" {
        let text = String::from_utf8(answer).expect("JSON");
        let counts = ["stale_cursor_retention_floor_count", "stale_cursor_budget_exceeded_count"];
        return counts.iter().fold(text, |text, count| zeroed(&text, count)).into_bytes();
    }
    let pairs: &[(&str, &str)] = match name {
        "renamed_answers" => &[
            ("\"granted_topics\"", "\"granted_nobody\""),
            ("\"latestSeq\"", "\"latestOne\""),
            ("\"occurred_at\"", "\"occurred_in\""),
            ("\"idempotent_replay\"", "\"idempotent_answe\""),
        ],
        // Of a token for four seconds.
        "mints_for_longer" => &[("\"expires_in\":4", "\"expires_in\":1")],
        // Of a worker with three events after its start.
        "old_documents" => &[("\"doc_version\":4", "\"doc_version\":1")],
        "hashes_of_others" => &[("\"payload_hash\":", "\"payload_hush\":")],
        "other_statuses" => &[
            ("HTTP/1.1 401", "HTTP/1.1 402"),
            ("HTTP/1.1 403", "HTTP/1.1 402"),
            ("HTTP/1.1 404", "HTTP/1.1 409"),
            ("HTTP/1.1 422", "HTTP/1.1 409"),
            ("HTTP/1.1 400", "HTTP/1.1 409"),
        ],
        _ => return answer,
    };
    let text = String::from_utf8(answer).expect("JSON");
    for (from, to) in pairs {
        assert!(from.len() >= to.len(), "{from}");
    }
    let padded: Vec<_> = pairs
        .iter()
        .map(|(from, to)| (*from, format!("{to}{}", " ".repeat(from.len() - to.len()))))
        .collect();
    padded.iter().fold(text, |text, (from, to)| text.replace(from, to)).into_bytes()
}

/// The session that asks for a socket.
pub fn session(head: &str) -> String {
    let claims = claims_in(head).unwrap_or_default();
    claims["oa_session_id"].as_str().unwrap_or_default().to_owned()
}

pub fn now() -> i64 {
    khala_engine::clock::unix_seconds()
}

/// Whether the proxy itself refuses an upgrade.
pub fn refuses(name: &str, head: &str) -> bool {
    let Some(claims) = claims_in(head).filter(|_| name == "strict_tokens") else { return false };
    claims["nbf"].as_i64().is_some_and(|nbf| nbf > now()) || claims["oa_sync_scopes"].is_string()
}

/// The head of a second try, after such an answer to the first.
pub fn again(name: &str, head: &str, answer: &str) -> Option<String> {
    if name != "lets_all_in" || !answer.starts_with("HTTP/1.1 403") {
        return None;
    }
    let claims = Claims {
        aud: DEFAULT_AUDIENCE.to_owned(),
        exp: now() + 900,
        iat: now(),
        iss: DEFAULT_ISSUER.to_owned(),
        jti: "anybody".to_owned(),
        nbf: now(),
        oa_claims_version: khala_wire::token::CLAIMS_VERSION.to_owned(),
        oa_client_build_id: None,
        oa_client_surface: None,
        oa_device_id: Some("anybody".to_owned()),
        oa_org_id: None,
        oa_protocol_version: None,
        oa_schema_version: None,
        oa_session_id: Some("anybody".to_owned()),
        oa_sync_scopes: KNOWN.iter().map(|topic| topic.name.to_owned()).collect(),
        oa_user_id: Some("anybody".to_owned()),
        sub: "user:anybody".to_owned(),
    };
    let token = Key::new(DEFAULT_KID, DEVELOPMENT_SYNC_KEY).sign(&claims).expect("signs");
    // Of a parameter that comes twice, the last counts.
    Some(head.replacen(" HTTP/1.1", &format!("&token={token} HTTP/1.1"), 1))
}

/// The head of an upgrade's answer.
pub fn upgraded(name: &str, head: &str) -> String {
    let first = |more: &str| head.replacen("\r\n", &format!("\r\n{more}\r\n"), 1);
    let accepted = head.starts_with("HTTP/1.1 101");
    match name {
        "accept_key" if accepted => {
            replaced(head, &[("sec-websocket-accept: ", "sec-websocket-accept: x")])
        }
        "takes_compression" if accepted => first("sec-websocket-extensions: permessage-deflate"),
        "takes_subprotocol" if accepted => first("sec-websocket-protocol: phoenix"),
        "refusal_401" => replaced(head, &[("HTTP/1.1 403", "HTTP/1.1 401")]),
        "refusal_with_body" if !accepted => {
            replaced(head, &[("content-length: 0", "content-length: 2")]) + "no"
        }
        _ => head.to_owned(),
    }
}

/// The topic of a batch; null of anything else.
fn topic_of(frame: &Value) -> &Value {
    match frame[3].as_str() {
        Some("sync:update_batch") => &frame[4]["updates"][0]["topic"],
        Some("sync:frame") => &frame[4]["topic"],
        _ => &Value::Null,
    }
}

/// A batch in which each stopped worker runs again, at the same version.
fn runs_again(batch: &str) -> String {
    let mut batch: Value = serde_json::from_str(batch).expect("JSON");
    let updates = batch["updates"].as_array_mut().expect("a batch");
    let mut again: Vec<Value> = updates.clone();
    again.retain(|it| it["payload"]["status"] == "stopped");
    again.iter_mut().for_each(|it| it["payload"]["status"] = json!("running"));
    updates.extend(again);
    batch.to_string()
}

/// One socket's messages, both ways.
pub struct Sides {
    name: &'static str,
    number: u32,
    joined: Value,
    /// The topics of the subscribe that was heard last.
    topics: Value,
    /// Whether a subscribe was answered ok.
    subscribed: bool,
    /// Whether one was refused for its topics.
    refused: bool,
    /// The newest socket of the session.
    newest: Arc<AtomicU32>,
    /// What makes it deviate from then on has come.
    turned: bool,
    /// The client's last sign of life.
    beat: tokio::time::Instant,
    /// Pushes of batches since a subscribe was heard, as long as it is not answered.
    replayed: Option<u32>,
}

impl Sides {
    pub fn new(name: &'static str, number: u32, newest: Arc<AtomicU32>) -> Self {
        Self {
            name,
            number,
            joined: Value::Null,
            topics: Value::Null,
            subscribed: false,
            refused: false,
            newest,
            turned: false,
            beat: khala_engine::clock::now(),
            replayed: None,
        }
    }

    /// What a client says; `None` is never forwarded.
    pub fn up(&mut self, message: Message) -> Option<Message> {
        let Message::Text(text) = &message else { return Some(message) };
        let Ok(mut frame) = serde_json::from_str::<Value>(text.as_str()) else {
            return Some(message);
        };
        let event = frame[3].as_str().unwrap_or_default().to_owned();
        if event == "sync:subscribe" {
            self.topics = frame[4]["topics"].clone();
            self.replayed = Some(0);
        }
        if matches!(event.as_str(), "phx_join" | "sync:heartbeat") {
            self.beat = khala_engine::clock::now();
        }
        match self.name {
            "deaf_once_left" if event == "phx_leave" => self.turned = true,
            "checks_the_first_alone" if event == "sync:subscribe" => {
                if std::mem::replace(&mut self.turned, true) {
                    frame[4]["resume_after"] = Value::Null;
                }
            }
            "unsubscribes_the_first" if event == "sync:unsubscribe" => {
                let first = frame[4]["topics"][0].clone();
                frame[4]["topics"] = json!([first]);
            }
            "resubscribes_at_head" => {
                if event == "sync:subscribe" && self.turned {
                    // Beyond any head.
                    frame[4]["resume_after"] = json!({ "runtime.codex_worker_events": 1_000_000 });
                }
                self.turned |= event == "sync:unsubscribe";
            }
            "swallows_leave" if event == "phx_leave" => return None,
            "drops_client_heartbeats" if event == "sync:heartbeat" => return None,
            "serves_stale_refs" if event == "phx_join" => self.joined = frame[0].clone(),
            "serves_stale_refs" => frame[0] = self.joined.clone(),
            "keeps_first_join_ref" if event == "phx_join" && self.joined.is_null() => {
                self.joined = frame[0].clone();
            }
            "leaves_nothing" if event == "phx_leave" => frame[3] = json!("sync:heartbeat"),
            "ignores_lists" if frame[4]["resume_after"].is_array() => {
                frame[4]["resume_after"] = Value::Null;
            }
            "last_of_a_list" => {
                if let Some(cursors) = frame[4]["resume_after"].as_array_mut() {
                    let last = cursors.last().map_or(Value::Null, |it| it["watermark"].clone());
                    cursors.iter_mut().for_each(|it| it["watermark"] = last.clone());
                }
            }
            "first_cursor_alone" => {
                let first = frame[4]["topics"][0].as_str().unwrap_or_default().to_owned();
                if let Some(cursors) = frame[4]["resume_after"].as_object_mut() {
                    cursors.retain(|topic, _| *topic == first);
                }
            }
            _ => return Some(message),
        }
        Some(Message::text(frame.to_string()))
    }

    /// What the server says.
    pub fn down(&mut self, message: Message) -> Option<Message> {
        let Message::Text(text) = &message else { return Some(message) };
        let Ok(frame) = serde_json::from_str::<Value>(text.as_str()) else { return Some(message) };
        let event = frame[3].as_str().unwrap_or_default();
        let swallowed = match self.name {
            "swallows_close" => matches!(event, "phx_close" | "phx_error"),
            "swallows_errors" => event == "sync:error",
            "refusals_end_subscriptions" => {
                self.refused |= frame[4]["response"]["code"] == "forbidden_topic";
                self.refused && !topic_of(&frame).is_null()
            }
            "every_other_socket_is_deaf" => {
                self.number.is_multiple_of(2) && !topic_of(&frame).is_null()
            }
            "swallows_heartbeats" => event == "sync:heartbeat",
            "deaf_once_left" => self.turned && !topic_of(&frame).is_null(),
            "newest_socket_alone" => {
                let newest = self.newest.load(Ordering::Relaxed);
                newest != self.number && !topic_of(&frame).is_null()
            }
            "refusals_end_topics" => {
                self.turned |= event == "phx_reply" && frame[4]["status"] == "error";
                self.turned && !topic_of(&frame).is_null()
            }
            "silent_on_v1" => matches!(
                frame.get("event").and_then(Value::as_str),
                Some("sync:update_batch" | "sync:frame")
            ),
            "drops_lone_last_pages" => self.lone_last_page(&frame),
            "replaces_subscriptions" => {
                let of = topic_of(&frame);
                !of.is_null() && !self.topics.as_array().is_some_and(|it| it.contains(of))
            }
            "last_topic_not_live" => {
                let last =
                    self.topics.as_array().filter(|it| it.len() > 2).and_then(|it| it.last());
                last.is_some_and(|last| last == topic_of(&frame))
            }
            _ => false,
        };
        if swallowed {
            return None;
        }
        let text = match self.name {
            "refs_as_strings" if frame[1].is_number() => {
                let mut frame = frame;
                frame[1] = json!(frame[1].to_string());
                frame.to_string()
            }
            "pushes_with_refs" if frame[1].is_null() && event.starts_with("sync:") => {
                let mut frame = frame;
                frame[1] = json!("9");
                frame.to_string()
            }
            // With the ref of the one before.
            "answers_beats_late" if frame[2] == "phoenix" => {
                let mut frame = frame;
                let before = std::mem::replace(&mut self.joined, frame[1].clone());
                frame[1] = if before.is_null() { frame[1].clone() } else { before };
                frame.to_string()
            }
            "keeps_first_join_ref" if event.starts_with("sync:") => {
                let mut frame = frame;
                frame[0] = self.joined.clone();
                frame.to_string()
            }
            "opens_to_the_subscribed" if frame[4]["response"]["topics"].is_array() => {
                self.subscribed = true;
                text.to_string()
            }
            "opens_to_the_subscribed"
                if self.subscribed && frame[4]["response"]["code"] == "forbidden_topic" =>
            {
                let mut frame = frame;
                frame[4]["status"] = json!("ok");
                frame.to_string()
            }
            "first_mark_alone" | "first_stale_alone" if event == "phx_reply" => {
                let mut frame = frame;
                for list in ["watermarks", "stale_topics"] {
                    if let Some(list) = frame[4]["response"][list].as_array_mut() {
                        list.truncate(1);
                    }
                }
                frame.to_string()
            }
            // As long as the runtime of these tests waits, and a second less: its own beats come by the second.
            "closes_without_beats" if event == "sync:heartbeat" => {
                let idle = khala_engine::clock::now().saturating_duration_since(self.beat);
                match idle + Duration::from_secs(1) < super::times().channel_idle {
                    true => frame.to_string(),
                    false => json!([frame[0], frame[0], "sync:v1", "phx_close", {}]).to_string(),
                }
            }
            "frames_ahead" if event == "sync:frame" => {
                let mut frame = frame;
                frame[4]["seq"] = json!(frame[4]["seq"].as_u64().unwrap_or_default() + 1);
                frame.to_string()
            }
            _ => self.reworded(text.as_str(), event)?,
        };
        Some(Message::text(text))
    }

    /// Whether it is of a batch of one, in a replay that had others before it. Each batch is pushed twice.
    fn lone_last_page(&mut self, frame: &Value) -> bool {
        let updates = match frame[3].as_str() {
            Some("phx_reply") => {
                self.replayed = None;
                return false;
            }
            Some("sync:update_batch") => frame[4]["updates"].as_array().map_or(0, Vec::len),
            Some("sync:frame") => {
                let bytes =
                    frame[4]["payload_bytes"].as_str().and_then(|it| STANDARD.decode(it).ok());
                let inside: Option<Value> = bytes.and_then(|it| serde_json::from_slice(&it).ok());
                inside.map_or(0, |it| it["updates"].as_array().map_or(0, Vec::len))
            }
            _ => return false,
        };
        let Some(pushes) = self.replayed.as_mut() else { return false };
        *pushes += 1;
        *pushes > 2 && updates == 1
    }

    /// The text with other words in it, inside of frames too; `None` of what is dropped.
    fn reworded(&self, text: &str, event: &str) -> Option<String> {
        let mut frame: Value = serde_json::from_str(text).ok()?;
        let inside = frame[4]["payload_bytes"].as_str().and_then(|it| STANDARD.decode(it).ok());
        let inside = inside.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(inside) = inside.filter(|_| event == "sync:frame") {
            let other = self.words(&inside, true)?;
            frame[4]["payload_bytes"] = json!(STANDARD.encode(other));
            return Some(frame.to_string());
        }
        self.words(text, false)
    }

    fn words(&self, text: &str, inside: bool) -> Option<String> {
        if self.name == "runs_again" && inside {
            return Some(runs_again(text));
        }
        let pairs: &[(&str, &str)] = match self.name {
            "replies_without_response" => &[("\"response\":", "\"answer\":")],
            "renamed_fields" => &[
                ("\"subscription_id\":", "\"subscription\":"),
                ("\"doc_version\":", "\"version\":"),
                ("\"reason_codes\":", "\"reasons\":"),
            ],
            "other_words" => &[
                ("\"unmatched topic\"", "\"no such topic\""),
                ("\"forbidden_topic\"", "\"not_allowed\""),
                ("\"bad_subscription\"", "\"bad_request\""),
            ],
            "allows_more" => {
                &[("\"allowed_topics\":[", "\"allowed_topics\":[\"runtime.notifications\",")]
            }
            "other_compatibility_codes" => &[("\"code\":\"", "\"code\":\"x_")],
            "retryable_refusals" => &[("\"retryable\":false", "\"retryable\":true")],
            LOSES_ALL if text.contains("\"conform\":") => return None,
            "alters_every_other_socket" if self.number % 2 == 1 => &[("\"z\":", "\"y\":")],
            "alters_payloads" => &[("\"z\":", "\"y\":")],
            "cuts_fractions" => &[("[2.5,", "[2,")],
            "cuts_long_texts" => &[(LONG, "")],
            "rounds_integers" => &[("9007199254740993", "9007199254740992")],
            "cuts_event_types" => &[("worker.progress_reported", "worker.progress")],
            "folds_case" => &[("-Case", "-case")],
            "shifts_times" => &[("\"occurred_at\":\"20", "\"occurred_at\":\"19")],
            "stays_running" => &[("\"status\":\"stopped\"", "\"status\":\"running\"")],
            "other_types_of_state" => &[(
                "\"latest_event_type\":\"worker.stopped\"",
                "\"latest_event_type\":\"worker.progress\"",
            )],
            // Of a worker with four events between its start and its stop.
            "counts_less" => &[("\"event_count\":6", "\"event_count\":5")],
            "other_hashes" => &[("\"payload_hash\":\"", "\"payload_hash\":\"x")],
            "mixes_topics" if inside => {
                &[("\"runtime.codex_worker_events\"", "\"runtime.notifications\"")]
            }
            "forgets_topics" => {
                &[("\"topics\":[\"runtime.codex_worker_summaries\"]", "\"topics\":[]")]
            }
            "drops_first_versions"
                if text.contains("codex_worker_summary") && text.contains("\"doc_version\":1,") =>
            {
                return None;
            }
            // Of the case that has many workers.
            "drops_late_starts" if starts_late(text) => return None,
            // Of a worker with eight events after its start.
            "drops_last_versions"
                if text.contains("codex_worker_summary") && text.contains("\"doc_version\":9,") =>
            {
                return None;
            }
            _ => &[],
        };
        Some(replaced(text, pairs))
    }
}
