//! Two hundred more headers, some 12 KiB of them, as gateways add for tracing and security: HTTP
//! sets no limit (RFC 9110, section 5.4).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_many_headers));

fn up_many_headers(head: Head) -> Vec<Step> {
    let value = "v".repeat(40);
    let head = (0..200).fold(head, |head, n| head.and(&format!("X-Trace-{n}"), &value));
    vec![Step::Send(head.bytes())]
}
