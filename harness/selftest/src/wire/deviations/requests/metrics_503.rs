//! No metrics while a store is away (RFC 9110, section 15.6.4).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::request(metrics_503), "metrics");

fn metrics_503(request: &Request) -> Option<Vec<Step>> {
    let answer = Answer::new("503 Service Unavailable", &[("Retry-After", "5")], "");
    (request.purpose == Purpose::Metrics).then(|| vec![Step::Send(answer.bytes())])
}
