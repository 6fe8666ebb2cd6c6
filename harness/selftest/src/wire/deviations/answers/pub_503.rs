//! Every second publish is turned away with a 503 and a Retry-After (RFC 9110, section 15.6.4), and
//! does not happen.

use super::{PUBLISHES, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(pub_503), STABILITY, PUBLISHES);

fn pub_503(request: &Request) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1")];
    half(request, Purpose::Publish, &Answer::new("503 Service Unavailable", &headers, ""))
}
