//! The accept key twice: Chromium fails the handshake over a header that may come once.

use super::{BROKEN, KEY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::accepted(up_key_twice), BROKEN, KEY);

fn up_key_twice(head: Head) -> Vec<Step> {
    let key = head.header("Sec-WebSocket-Accept").unwrap_or_default().to_owned();
    vec![Step::Send(head.and("Sec-WebSocket-Accept", &key).bytes())]
}
