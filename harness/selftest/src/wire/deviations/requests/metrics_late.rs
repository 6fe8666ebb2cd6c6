//! The fan-out metrics after 700 ms: an operators' view that is computed when it is asked for, as
//! Prometheus wants it of exporters.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(metrics_late));

fn metrics_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(700));
    (request.purpose == Purpose::Metrics).then(|| vec![late, Step::Send(answer.bytes())])
}
