//! Fan-out metrics whose heads are a thousand beyond the log (contract, section 5: they are cross-checked against what
//! the clients saw): a counter that was read and not the log. No client goes by them.

use super::metrics;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::answer(metrics_heads_ahead), "the fan-out metrics showed head");

fn metrics_heads_ahead(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    metrics(request, answer, |document| {
        for window in document["topic_windows"].as_array_mut().into_iter().flatten() {
            let head = window["head_sequence"].as_u64().unwrap_or_default();
            window["head_sequence"] = (head + 1_000).into();
        }
    })
}
