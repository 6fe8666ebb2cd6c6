//! The metrics without `topic_windows`: a view that a newer build took apart.

use serde_json::Value;

use super::METRICS;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::answer(metrics_half), METRICS);

fn metrics_half(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    document.as_object_mut()?.remove("topic_windows");
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}
