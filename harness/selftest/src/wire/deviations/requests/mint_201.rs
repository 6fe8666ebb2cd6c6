//! 201 in place of 200: a token was made (RFC 9110, section 15.3.2); the contract names no status.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_201)).control();

fn mint_201(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    "HTTP/1.1 201 Created".clone_into(&mut answer.head.line);
    Some(vec![Step::Send(answer.bytes())])
}
