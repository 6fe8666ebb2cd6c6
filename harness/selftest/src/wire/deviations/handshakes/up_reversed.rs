//! The headers in another order, the accept key first: the order of different names means nothing
//! (RFC 9110, section 5.3).

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_reversed));

fn up_reversed(mut head: Head) -> Vec<Step> {
    head.headers.sort_by_key(|(name, _)| std::cmp::Reverse(name.to_ascii_lowercase()));
    send(&head)
}
