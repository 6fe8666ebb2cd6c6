//! Publishes are answered with more fields than the contract has: where a target's shape is
//! another, the target is the fact (contract, before section 1).

use super::with_a_field;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(pub_extra_fields));

fn pub_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    with_a_field(answer)
}
