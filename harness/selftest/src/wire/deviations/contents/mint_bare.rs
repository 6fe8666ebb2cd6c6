//! The minted token without the `data` that it has around it (contract, section 2): a gateway that
//! unwraps, as a mapping template of AWS API Gateway does (`$input.json('$.data')`).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_bare)).control();

fn mint_bare(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    let answer = answer.edited(|document| *document = document["data"].take());
    Some(vec![Step::Send(answer?.bytes())])
}
