//! A 401: the clients stop for good, as on a 403 (contract, section 6).

use super::{STABILITY, half};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up401), STABILITY, "auth_errors");

fn up401(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("401 Unauthorized", &[("WWW-Authenticate", "Bearer")], ""))
}
