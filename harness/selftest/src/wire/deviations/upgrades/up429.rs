//! 429 with a Retry-After (RFC 6585, section 4), of a rate limit at the edge.

use super::half;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up429), "gate:stability", "429");

fn up429(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("429 Too Many Requests", &[("Retry-After", "1")], ""))
}
