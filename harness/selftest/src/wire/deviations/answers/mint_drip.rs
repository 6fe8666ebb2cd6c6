//! Tokens come a few bytes at a time: TCP keeps no boundaries of writes (RFC 9293, section 3.7).

use super::slowly;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_drip)).control();

fn mint_drip(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then(|| slowly(&answer))
}
