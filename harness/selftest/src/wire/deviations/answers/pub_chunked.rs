//! Publishes are answered in chunks, without a length (RFC 9112, section 7.1).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(pub_chunked));

fn pub_chunked(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then(|| vec![Step::Send(answer.chunked(7))])
}
