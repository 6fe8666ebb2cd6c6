//! Fan-out metrics whose totals fall although one process answers (contract, section 5): a gauge under a counter's
//! name, as dashboards that take rates of it show by holes.

use super::metrics;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::answer(metrics_count_back), "of the fan-out metrics went back");

fn metrics_count_back(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    metrics(request, answer, |document| {
        let served = 100_000 - u64::from(request.number);
        document["delivery_metrics"]["served_messages"] = served.into();
    })
}
