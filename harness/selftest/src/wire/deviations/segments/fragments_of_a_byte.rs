//! A message in as many fragments as it has bytes (RFC 6455, section 5.4: any number), as a writer
//! without a buffer over `fasthttp/websocket`'s `NextWriter` flushes them.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CONTINUATION, FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(fragments_of_a_byte));

fn fragments_of_a_byte(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let last = frame.payload.len().checked_sub(1)?;
    (frame.first == FIN | TEXT && socket.frames.is_multiple_of(10)).then(|| {
        let part = |(index, &byte): (usize, &u8)| {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            let fin = if index == last { FIN } else { 0 };
            Frame { first: fin | opcode, payload: vec![byte] }.bytes()
        };
        vec![Step::Send(frame.payload.iter().enumerate().flat_map(part).collect())]
    })
}
