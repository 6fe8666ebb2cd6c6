//! A redirect, as to a log-in page: a WebSocket client follows none (Fetch, `WebSocket` opening
//! handshake: redirect mode "error").

use super::{STABILITY, half};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up302), STABILITY, "302");

fn up302(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("302 Found", &[("Location", "/login")], ""))
}
