//! A ping between the client's goodbye and its echo (RFC 6455, section 5.5.1, forbids data only behind
//! one's own close): Cowboy sends what its mailbox still holds.

use super::echoes;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(data_before_echo));

fn data_before_echo(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let ping = Frame::whole(PING, "still here");
    let message = Frame::text(r#"[null,null,"sync:v1","sync:heartbeat",{"watermarks":[]}]"#);
    echoes(socket, frame)
        .then(|| vec![ping.into(), message.into(), frame.clone().into(), Step::Finish])
}
