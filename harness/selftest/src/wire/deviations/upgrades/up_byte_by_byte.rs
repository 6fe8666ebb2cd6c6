//! The answer a byte at a time, as a slow link or a proxy without a buffer passes it: TCP keeps no
//! boundaries of writes (RFC 9293, section 3.7).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Step, drip};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_byte_by_byte));

fn up_byte_by_byte(head: Head) -> Vec<Step> {
    drip(&head.bytes(), 1, Duration::from_millis(1))
}
