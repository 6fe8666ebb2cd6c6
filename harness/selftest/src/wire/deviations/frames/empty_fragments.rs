//! Every message between two empty fragments: RFC 6455, section 5.4, sets no least length.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CONTINUATION, FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(empty_fragments));

fn empty_fragments(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (frame.first == FIN | TEXT).then(|| {
        let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
        vec![part(TEXT, b""), part(CONTINUATION, &frame.payload), part(FIN | CONTINUATION, b"")]
    })
}
