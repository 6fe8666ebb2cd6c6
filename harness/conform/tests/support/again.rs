//! Commands that the proxy carries out once more where the runtime would not.

use std::collections::HashSet;

use serde_json::{Value, json};

/// A command that creates or stops a worker once more, as one that publishes an event of it.
pub fn repeated(
    name: &str,
    request: &str,
    body: &str,
    known: &mut HashSet<String>,
) -> Option<(String, String)> {
    let workers = "POST /internal/v1/codex/workers";
    if name != "lifecycles_again" || !request.starts_with(workers) {
        return None;
    }
    let path = request.split(' ').nth(1)?;
    let kind = match path.strip_suffix("/stop") {
        Some(_) => "worker.stopped",
        None if path.ends_with("/events") => return None,
        None => "worker.started",
    };
    let created: Value = serde_json::from_str(body).ok()?;
    let events = match path.strip_suffix("/stop") {
        Some(worker) => format!("{worker}/events"),
        None => {
            let worker = created["worker_id"].as_str()?;
            if known.insert(worker.to_owned()) {
                return None;
            }
            format!("{path}/{worker}/events")
        }
    };
    let body = json!({ "event": { "event_type": kind, "payload": {} } }).to_string();
    let mut head: Vec<_> = request.split("\r\n").map(str::to_owned).collect();
    head[0] = format!("POST {events} HTTP/1.1");
    for line in
        head.iter_mut().filter(|line| line.to_ascii_lowercase().starts_with("content-length:"))
    {
        *line = format!("content-length: {}", body.len());
    }
    Some((head.join("\r\n"), body))
}
