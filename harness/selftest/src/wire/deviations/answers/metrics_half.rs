//! The metrics without `topic_windows`, a view that a newer build took apart: where a target's
//! shape is another than the contract's, the target is the fact (contract, before section 1).

use super::METRICS;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::answer(metrics_half), METRICS);

fn metrics_half(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let answer = answer.edited(|document| {
        document.as_object_mut().map(|fields| fields.remove("topic_windows"));
    });
    Some(vec![Step::Send(answer?.bytes())])
}
