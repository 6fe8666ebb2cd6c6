//! No space behind the colon, tabs, and space at the end of values: OWS of RFC 9110, section 5.5.

use std::fmt::Write as _;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_white_space));

fn up_white_space(head: Head) -> Vec<Step> {
    let mut text = format!("{}\r\n", head.line);
    for (index, (name, value)) in head.headers.iter().enumerate() {
        let (before, after) = [("", ""), ("\t ", "  \t"), ("    ", " ")][index % 3];
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}:{before}{value}{after}\r\n");
    }
    text.push_str("\r\n");
    vec![Step::Send(text.into_bytes())]
}
