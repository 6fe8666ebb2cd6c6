//! There are none: some runtimes have no fan-out metrics (contract, before section 1).

use super::{METRICS, each};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::request(metrics_404), METRICS);

fn metrics_404(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("404 Not Found", &[], ""))
}
