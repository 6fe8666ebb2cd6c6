//! A subprotocol that nobody offered (RFC 6455, section 4.1).

use super::BROKEN;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::accepted(up_subprotocol), BROKEN, "a subprotocol");

fn up_subprotocol(head: Head) -> Vec<Step> {
    vec![Step::Send(head.and("Sec-WebSocket-Protocol", "phoenix").bytes())]
}
