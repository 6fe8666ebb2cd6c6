//! No snapshot is to be had: 503 with a Retry-After (RFC 9110, section 15.6.4). Clients subscribe
//! without a cursor.

use super::snapshot;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

const STABLE: &str = "gate:stability";

pub(super) const ROW: Row =
    Row::no_go(Deviation::request(snapshot_503), STABLE, "snapshot_errors").resume();

fn snapshot_503(request: &Request) -> Option<Vec<Step>> {
    snapshot(request)?;
    let headers = [("Retry-After", "1")];
    Some(vec![Step::Send(Answer::new("503 Service Unavailable", &headers, "").bytes())])
}
