//! A 101 without `Upgrade`: it is hop-by-hop (RFC 9110, section 7.6.1), and proxies drop it.

use super::BROKEN;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::accepted(up_no_upgrade), BROKEN, "without the headers");

fn up_no_upgrade(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Upgrade", None).bytes())]
}
