//! They want another token (contract, section 5: the admin's).

use super::{METRICS, each};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::request(metrics_401), METRICS);

fn metrics_401(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("401 Unauthorized", &[], ""))
}
