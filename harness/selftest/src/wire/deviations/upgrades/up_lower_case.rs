//! Names in lower case (RFC 9110, section 5.1), as proxies write that speak HTTP/2 behind.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_lower_case));

fn up_lower_case(mut head: Head) -> Vec<Step> {
    head.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    vec![Step::Send(head.bytes())]
}
