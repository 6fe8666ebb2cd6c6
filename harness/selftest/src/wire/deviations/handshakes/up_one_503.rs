//! One client's first upgrade is turned away with 503 and "no healthy upstream", as Envoy does
//! while no back end is ready; it tries again. One of twelve is within any limit.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::Answer;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::upgrade(up_one_503));

fn up_one_503(socket: &Socket) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1")];
    let answer = Answer::new("503 Service Unavailable", &headers, "no healthy upstream");
    (socket.number == 0).then(|| vec![Step::Send(answer.bytes()), Step::Finish])
}
