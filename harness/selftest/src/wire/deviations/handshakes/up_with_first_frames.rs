//! A ping and a pong in the same segment as the answer: a server may send as soon as it has accepted
//! (RFC 6455, section 4.2.2), and a client's buffer then holds more than the head.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::frame::{Frame, PING, PONG};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_with_first_frames));

fn up_with_first_frames(head: Head) -> Vec<Step> {
    let (ping, pong) = (Frame::whole(PING, "hello"), Frame::whole(PONG, ""));
    vec![Step::Send([head.bytes(), ping.bytes(), pong.bytes()].concat())]
}
