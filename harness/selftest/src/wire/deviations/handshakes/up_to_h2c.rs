//! A 101 to another protocol (RFC 6455, section 4.1: the client fails the connection), as a back end that
//! answers the h2c upgrade of the proxy before it.

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::accepted(up_to_h2c), "ws_protocol", "without the headers");

fn up_to_h2c(head: Head) -> Vec<Step> {
    send(&head.with("Upgrade", Some("h2c")))
}
