//! No accept key (RFC 6455, section 4.1, wants one), as a handler by hand forgets it.

use super::{BROKEN, KEY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::accepted(up_key_missing), BROKEN, KEY);

fn up_key_missing(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Sec-WebSocket-Accept", None).bytes())]
}
