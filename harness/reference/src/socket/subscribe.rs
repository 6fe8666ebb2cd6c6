//! What a client asks for with `sync:subscribe` and `sync:unsubscribe`, and why it may not have it.
//!
//! Reading is as lenient as a real runtime's (entries that are not text are ignored, a batch size
//! that makes no sense is the default) and the checks are made in its order: shape, known topics,
//! granted topics, cursors.

use khala_wire::BATCH_UPDATES_MAX;
use khala_wire::cursor::ResumeAfter;
use khala_wire::topic::TopicId;
use serde_json::Value;
use serde_json::value::RawValue;

use super::upgrade::Principal;

/// A subscribe that may be served, staleness aside.
#[derive(Debug)]
pub struct Request {
    /// Ref of the message, raw.
    pub msg_ref: Option<Box<RawValue>>,
    /// Topics in the order asked for, with the cursors that were given.
    pub topics: Vec<(TopicId, Option<u64>)>,
    /// Updates per replay batch.
    pub batch_size: u64,
    /// Defects: cursors below their floor are served from the floor on.
    pub from_floor: bool,
}

impl Request {
    /// The topics with a cursor.
    pub fn cursors(&self) -> Vec<(TopicId, u64)> {
        self.topics.iter().filter_map(|(topic, cursor)| Some((*topic, (*cursor)?))).collect()
    }
}

/// Why a subscribe or unsubscribe is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `bad_subscription`
    Bad,
    /// `forbidden_topic`, with the topics.
    Forbidden(Vec<String>),
}

/// Reads `sync:subscribe`.
///
/// # Errors
/// The first refusal that applies.
pub fn read(
    payload: &RawValue,
    msg_ref: Option<&RawValue>,
    principal: &Principal,
) -> Result<Request, Refusal> {
    let payload: Value = serde_json::from_str(payload.get()).map_err(|_| Refusal::Bad)?;
    let names = names(&payload)?;
    let unknown: Vec<_> =
        names.iter().filter(|name| TopicId::of(name).is_none()).cloned().collect();
    if !unknown.is_empty() {
        return Err(Refusal::Forbidden(unknown));
    }
    let known: Vec<_> = names.iter().filter_map(|name| Some((name, TopicId::of(name)?))).collect();
    let allowed = |topic: TopicId| principal.allowed[topic.index()];
    let forbidden: Vec<_> = known
        .iter()
        .filter(|(_, topic)| !allowed(*topic))
        .map(|(name, _)| (*name).clone())
        .collect();
    if !forbidden.is_empty() {
        return Err(Refusal::Forbidden(forbidden));
    }
    let resume_after = match payload.get("resume_after") {
        None | Some(Value::Null) => None,
        Some(form) => {
            Some(serde_json::from_value::<ResumeAfter>(form.clone()).map_err(|_| Refusal::Bad)?)
        }
    };
    let cursor = |name: &str| resume_after.as_ref().and_then(|resume| resume.get(name));
    Ok(Request {
        msg_ref: msg_ref.map(ToOwned::to_owned),
        topics: known.iter().map(|(name, topic)| (*topic, cursor(name))).collect(),
        from_floor: false,
        batch_size: payload
            .get("replay_batch_size")
            .and_then(Value::as_u64)
            .filter(|size| *size > 0)
            .unwrap_or(BATCH_UPDATES_MAX as u64)
            .min(BATCH_UPDATES_MAX as u64),
    })
}

/// Reads `sync:unsubscribe`; unknown topics are nobody's and are left out.
///
/// # Errors
/// When the payload does not have its shape.
pub fn read_unsubscribe(payload: &RawValue) -> Result<Vec<TopicId>, Refusal> {
    let payload: Value = serde_json::from_str(payload.get()).map_err(|_| Refusal::Bad)?;
    Ok(names(&payload)?.iter().filter_map(|name| TopicId::of(name)).collect())
}

/// `topics`: trimmed, without blanks, each once; empty is bad.
fn names(payload: &Value) -> Result<Vec<String>, Refusal> {
    let list = payload.get("topics").and_then(Value::as_array).ok_or(Refusal::Bad)?;
    let mut names: Vec<String> = Vec::new();
    for name in list.iter().filter_map(Value::as_str).map(str::trim) {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() { Err(Refusal::Bad) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES};

    use super::*;
    use crate::socket::upgrade::ClientVersions;

    fn principal(open: &[&str]) -> Principal {
        Principal {
            session: "s".into(),
            device: "d".into(),
            expires_unix_s: i64::MAX,
            allowed: khala_wire::topic::KNOWN.map(|topic| open.contains(&topic.name)),
            client: ClientVersions::default(),
        }
    }

    fn ask(text: &str) -> Result<Request, Refusal> {
        let payload: &RawValue = serde_json::from_str(text).expect("json");
        read(payload, None, &principal(&[RUN_SUMMARIES, NOTIFICATIONS]))
    }

    #[test]
    fn names_are_trimmed_and_taken_once_and_cursors_follow_them() {
        let request = ask(r#"{"topics":[" runtime.notifications ",7,"runtime.notifications",""],
            "resume_after":{"runtime.notifications":0},"replay_batch_size":2}"#)
        .expect("fine");
        let topic = TopicId::of(NOTIFICATIONS).expect("known");
        assert_eq!(request.topics, [(topic, Some(0))]);
        assert_eq!(request.batch_size, 2);
    }

    #[test]
    fn batch_sizes_that_make_no_sense_are_the_default_and_none_is_above_it() {
        for size in ["0", "-1", "\"9\"", "100000", "null"] {
            let text =
                format!(r#"{{"topics":["runtime.notifications"],"replay_batch_size":{size}}}"#);
            assert_eq!(ask(&text).expect("fine").batch_size, 200, "{size}");
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_checks() {
        let refused = |text: &str| ask(text).expect_err(text);
        for text in [r#"{}"#, r#"{"topics":[]}"#, r#"{"topics":"x"}"#, "[]", r#"{"topics":[1]}"#] {
            assert_eq!(refused(text), Refusal::Bad);
        }
        let both = r#"{"topics":["runtime.codex_worker_events","nope"],"resume_after":5}"#;
        assert_eq!(refused(both), Refusal::Forbidden(vec!["nope".into()]));
        let ungranted = r#"{"topics":["runtime.codex_worker_events"],"resume_after":5}"#;
        assert_eq!(
            refused(ungranted),
            Refusal::Forbidden(vec!["runtime.codex_worker_events".into()])
        );
        let bad_cursor = r#"{"topics":["runtime.notifications"],"resume_after":{"x":-1}}"#;
        assert_eq!(refused(bad_cursor), Refusal::Bad);
    }
}
