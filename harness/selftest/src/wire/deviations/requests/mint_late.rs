//! Tokens after 700 ms: a key that is fetched from elsewhere first, such as a JWK set (RFC 7517,
//! section 5).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_late)).control();

fn mint_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(700));
    (request.purpose == Purpose::Mint).then(|| vec![late, Step::Send(answer.bytes())])
}
