//! A short length in the long form (RFC 6455, section 5.2: "the minimal number of bytes MUST be used"):
//! Chromium's frame parser fails the connection, tungstenite does not.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::{FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(length_not_shortest), "ws_protocol", "length");

fn length_not_shortest(socket: &mut Socket, frame_in_hand: &Frame) -> Option<Vec<Step>> {
    let text = b"[null,null,\"phoenix\",\"x\",{}]";
    let length = u8::try_from(text.len()).ok()?;
    let frame = [&[FIN | TEXT, 126, 0, length][..], text].concat();
    (socket.frames == LATER).then(|| vec![frame_in_hand.clone().into(), Step::Send(frame)])
}
