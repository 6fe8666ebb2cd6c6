//! One client's first token is not to be had (contract, section 2: 503 when minting is off); it tries
//! again. One of twelve is within the limit of the scenario.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::go(Deviation::request(mint_one_503)).control().set(&["fleet.clients=24"]);

fn mint_one_503(request: &Request) -> Option<Vec<Step>> {
    let answer = Answer::new("503 Service Unavailable", &[("Retry-After", "1")], "");
    let hit = request.purpose == Purpose::Mint && request.number == 5;
    hit.then(|| vec![Step::Send(answer.bytes())])
}
