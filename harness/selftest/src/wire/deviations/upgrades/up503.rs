//! 503 with a Retry-After (RFC 9110, section 15.6.4), of a load balancer without a backend.

use super::half;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up503), "gate:stability", "503");

fn up503(socket: &Socket) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1"), ("Content-Type", "text/html")];
    half(socket, Answer::new("503 Service Unavailable", &headers, "<html>overloaded</html>"))
}
