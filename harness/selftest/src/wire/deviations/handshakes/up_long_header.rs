//! A header of 16 KiB, such as a policy of content security: HTTP sets no limit to one (RFC 9110,
//! section 5.4).

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_long_header));

fn up_long_header(head: Head) -> Vec<Step> {
    send(&head.and("Content-Security-Policy", &"default-src 'self'; ".repeat(820)))
}
