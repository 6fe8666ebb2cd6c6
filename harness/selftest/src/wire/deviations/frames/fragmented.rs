//! Every message in three fragments, with a ping and a pong that nobody asked for between them: RFC 6455,
//! section 5.4, lets control frames in between; proxies refragment as their buffers fall.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CONTINUATION, FIN, Frame, PING, PONG, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(fragmented));

fn fragmented(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = &frame.payload;
    if frame.first != FIN | TEXT || payload.len() < 3 {
        return None;
    }
    let (one, rest) = payload.split_at(payload.len() / 3);
    let (two, three) = rest.split_at(rest.len() / 2);
    let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
    Some(vec![
        part(TEXT, one),
        Frame::whole(PING, "between").into(),
        part(CONTINUATION, two),
        Frame::whole(PONG, "unasked").into(),
        part(FIN | CONTINUATION, three),
    ])
}
