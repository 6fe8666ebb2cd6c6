//! More figures, and a window of a topic that the contract does not know, from a newer build: where
//! a target's shape is another, the target is the fact (contract, before section 1).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(metrics_extra_fields));

fn metrics_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    document["uptime_seconds"] = 1.5.into();
    document["delivery_metrics"]["bytes_out"] = 1024.into();
    let windows = document["topic_windows"].as_array_mut()?;
    let mut another = windows.first()?.clone();
    another["topic"] = "runtime.of_another_age".into();
    another["shards"] = serde_json::json!([1, 2]);
    windows.push(another);
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}
