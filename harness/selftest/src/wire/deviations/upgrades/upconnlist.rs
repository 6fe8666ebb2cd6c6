//! `Connection` as a list: RFC 9110, section 7.6.1; HAProxy and nginx add to it.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(upconnlist));

fn upconnlist(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Connection", Some("keep-alive, Upgrade")).bytes())]
}
