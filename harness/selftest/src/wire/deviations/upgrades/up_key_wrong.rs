//! The accept key of another request (RFC 6455, section 4.1), as a cache answers.

use super::{BROKEN, KEY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::accepted(up_key_wrong), BROKEN, KEY);

fn up_key_wrong(head: Head) -> Vec<Step> {
    let other = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    vec![Step::Send(head.with("Sec-WebSocket-Accept", other).bytes())]
}
