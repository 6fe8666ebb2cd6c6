//! A body behind the 101, as a framework that ends every answer with a page: a 1xx answer has none
//! (RFC 9112, section 6.3), and its first byte is read as a frame.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::accepted(up_body_behind), "ws_protocol", "a reserved bit");

fn up_body_behind(head: Head) -> Vec<Step> {
    vec![Step::Send([head.bytes(), b"Switching Protocols".to_vec()].concat())]
}
