//! An extension that nobody offered (RFC 6455, section 4.1: the client fails the connection), as proxies
//! that compress on their own account name it.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::accepted(updeflate), "ws_protocol", "an extension");

fn updeflate(head: Head) -> Vec<Step> {
    vec![Step::Send(head.and("Sec-WebSocket-Extensions", "permessage-deflate").bytes())]
}
