//! A status line that ends with the status: RFC 9112, section 4, lets the reason be absent, and servers of
//! HTTP/2 descent (Envoy, hyper's custom reasons) have none.

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_no_reason));

fn up_no_reason(mut head: Head) -> Vec<Step> {
    "HTTP/1.1 101 ".clone_into(&mut head.line);
    send(&head)
}
