//! Tokens come with more fields than the contract has: a client ignores what it does not know in
//! such an answer (RFC 6749, section 5.1).

use super::with_a_field;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_extra_fields)).control();

fn mint_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    with_a_field(answer)
}
