//! Defect `command_obeyed`: commands that come over the socket, where they must change nothing.

use khala_wire::canonical::canonical_json;
use khala_wire::command::Event;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::connection::Connection;
use crate::defect::Kind;

/// A command, whatever its message calls it. A runtime that obeys is not choosy: it takes the
/// bodies of the command path with the worker beside them.
#[derive(Deserialize)]
struct Command {
    #[serde(alias = "workerId")]
    worker_id: Option<String>,
    event: Option<Event>,
}

impl Connection {
    /// Does what a message says, if it is a command: an `event` is published to the worker that is
    /// named (to the first one when none is), a worker that is only named is created. Returns what
    /// was done.
    pub(super) fn obey(&mut self, payload: &RawValue) -> Option<Value> {
        if !self.shared.defects.armed(Kind::CommandObeyed) {
            return None;
        }
        let command: Command = serde_json::from_str(payload.get()).ok()?;
        if (command.event.is_none() && command.worker_id.is_none())
            || !self.chooses(Kind::CommandObeyed)
        {
            return None;
        }
        let store = &self.shared.store;
        let done = match command.event {
            Some(Event { event_type, payload }) => {
                let worker = command.worker_id.or_else(|| store.first_worker())?;
                let payload = RawValue::from_string(canonical_json(&payload)).ok()?;
                let defects = &self.shared.defects;
                let published = store.publish(defects, &worker, &event_type, &payload).ok()?;
                serde_json::json!({"seq": published.seq, "worker_id": worker})
            }
            None => {
                let worker = command.worker_id?;
                let (latest_seq, status, _) = store.create_worker(&worker, None, None).ok()?;
                serde_json::json!({"latestSeq": latest_seq, "status": status, "workerId": worker})
            }
        };
        self.shared.defects.note(Kind::CommandObeyed);
        Some(done)
    }
}
