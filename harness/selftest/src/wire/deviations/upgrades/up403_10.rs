//! A 403 over HTTP/1.0, as Python's `http.server` answers by default (`protocol_version`).

use super::half;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up403_10), "gate:stability", "403");

fn up403_10(socket: &Socket) -> Option<Vec<Step>> {
    let mut answer = Answer::new("403 Forbidden", &[], "");
    answer.head.line = "HTTP/1.0 403 Forbidden".to_owned();
    half(socket, answer)
}
