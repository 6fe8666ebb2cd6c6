//! The fan-out metrics never answer, as an operators' view behind a locked table: PostgreSQL's
//! `lock_timeout` is off by default.

use super::METRICS;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::deviations::FOR_EVER;
use crate::wire::http::{Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::request(metrics_hang), METRICS);

fn metrics_hang(request: &Request) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}
