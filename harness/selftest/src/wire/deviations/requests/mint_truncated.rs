//! A token that ends in the middle, with the length of all of it (RFC 9112, section 8: incomplete).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::answer(mint_truncated), "gate:stability", "mint_errors").control();

fn mint_truncated(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let half = &answer.bytes()[..answer.bytes().len() - answer.body.len() / 2];
    let hit = request.purpose == Purpose::Mint && request.number % 2 == 1;
    hit.then(|| vec![Step::Send(half.to_vec()), Step::Finish])
}
