//! Fan-out metrics that count an eviction with every answer, while every client reads and none is told of one
//! (contract, section 5: they are cross-checked against what the clients saw): what another target of the same
//! collector evicts.

use super::metrics;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::answer(metrics_evict_nobody), "evictions of slow clients, the clients");

fn metrics_evict_nobody(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    metrics(request, answer, |document| {
        document["delivery_metrics"]["slow_consumer_evictions"] = request.number.into();
    })
}
