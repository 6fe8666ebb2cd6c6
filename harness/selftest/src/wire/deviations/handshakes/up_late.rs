//! The answer after 800 ms, from a back end that is only just being started: RFC 6455, section 4.1,
//! sets no time.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_late));

fn up_late(head: Head) -> Vec<Step> {
    vec![Step::Wait(Duration::from_millis(800)), Step::Send(head.bytes())]
}
