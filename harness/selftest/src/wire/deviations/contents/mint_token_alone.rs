//! The token and nothing beside it (contract, section 2, has more): nobody needs the rest to
//! connect.

use serde_json::json;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(mint_token_alone)).control();

fn mint_token_alone(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    let answer = answer.edited(|document| {
        *document = json!({ "data": { "token": document["data"]["token"] } });
    });
    Some(vec![Step::Send(answer?.bytes())])
}
