//! A character of two bytes, one in each of two fragments: RFC 6455, section 8.1, wants UTF-8 of the
//! message and of no fragment.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::{CONTINUATION, FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::frame(utf8_across_fragments), "unknown_field");

fn utf8_across_fragments(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    if socket.frames != LATER {
        return None;
    }
    let text = "[null,null,\"sync:v1\",\"sync:heartbeat\",{\"watermarks\":[],\"\u{e9}\":1}]";
    let cut = text.find('\u{e9}')? + 1;
    let (one, two) = text.as_bytes().split_at(cut);
    let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
    Some(vec![frame.clone().into(), part(TEXT, one), part(FIN | CONTINUATION, two)])
}
