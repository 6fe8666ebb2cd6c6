//! What acknowledgements of commands say of what was asked: whose event it is, and which (contract, section 3).
//!
//! What is not there is nobody's lie; what is there must be the command's own, or whoever sent it takes another's
//! success for theirs.

use khala_evidence::record::{Micros, Record};
use khala_wire::marker::{Marker, marker_of};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::EVENT_TYPE;
use crate::said;

/// What is read of an event's acknowledgement.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Acknowledgement {
    pub seq: u64,
    #[serde(default)]
    worker_id: Value,
    #[serde(default, rename = "workerId")]
    worker_id_camel: Value,
    #[serde(default)]
    event_type: Value,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

/// Whose a command to a worker is said to be, if that is another's.
pub(super) fn of_another_worker(said: &str, worker: &str) -> Option<String> {
    let told = || format!("worker `{}`'s, and was sent to worker `{worker}`", said::word(said));
    (said != worker).then(told)
}

impl Acknowledgement {
    /// What it says that is not so of an event to a worker.
    pub(super) fn otherwise(&self, worker: &str, sent: &Marker<'_>) -> Option<String> {
        let names = [&self.worker_id, &self.worker_id_camel];
        let mut names = names.into_iter().filter_map(Value::as_str);
        names.find_map(|said| of_another_worker(said, worker)).or_else(|| self.of_another(sent))
    }

    fn of_another(&self, sent: &Marker<'_>) -> Option<String> {
        if let Some(other) = self.event_type.as_str().filter(|other| *other != EVENT_TYPE) {
            let other = said::word(other);
            return Some(format!("an event of type `{other}`, and was sent as `{EVENT_TYPE}`"));
        }
        let marker = self.payload.as_ref().and_then(|payload| marker_of(payload.get()));
        let other = marker.filter(|marker| marker.run == sent.run && marker.n != sent.n)?;
        Some(format!("publish {}", other.n))
    }
}

/// A command that was acknowledged as something else.
pub(super) fn record(at: Micros, worker: u16, command: String, why: String) -> Record {
    Record::Misacknowledged { at, worker, command: command.into(), why: why.into() }
}

#[cfg(test)]
impl Acknowledgement {
    /// One that says no more than a seq.
    pub(super) fn of_seq(seq: u64) -> Self {
        Self { seq, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otherwise(more: &str) -> Option<String> {
        let acknowledgement: Acknowledgement =
            serde_json::from_str(&format!(r#"{{"seq":4{more}}}"#)).expect("an acknowledgement");
        assert_eq!(acknowledgement.seq, 4);
        let sent = Marker { run: "r".into(), n: 7, at_us: 1, begun_us: 1 };
        acknowledgement.otherwise("w", &sent)
    }

    #[test]
    fn an_acknowledgement_is_of_the_event_that_was_sent() {
        let payload = |run: &str, n: u32| {
            format!(
                r#","payload":{{"khala_harness":{{"run":"{run}","n":{n},"at_us":1,"begun_us":1}}}}"#
            )
        };
        let whole = format!(
            r#","worker_id":"w","event_type":"worker.progress","occurred_at":"t"{}"#,
            payload("r", 7)
        );
        for right in [
            String::new(),
            r#","workerId":"w""#.to_owned(),
            r#","worker_id":null,"payload":null,"event_type":null"#.to_owned(),
            r#","worker_id":12"#.to_owned(),
            payload("of another run", 9),
            r#","payload":{"redacted":true}"#.to_owned(),
            whole,
        ] {
            assert_eq!(otherwise(&right), None, "{right}");
        }
        for (wrong, why) in [
            (r#","worker_id":"v""#.to_owned(), "worker `v`'s, and was sent to worker `w`"),
            (r#","worker_id":"w","workerId":"v""#.to_owned(), "worker `v`'s"),
            (r#","event_type":"worker.stopped""#.to_owned(), "an event of type `worker.stopped`"),
            (payload("r", 8), "publish 8"),
        ] {
            let said = otherwise(&wrong).expect("it says another");
            assert!(said.starts_with(why), "{said}");
        }
    }
}
