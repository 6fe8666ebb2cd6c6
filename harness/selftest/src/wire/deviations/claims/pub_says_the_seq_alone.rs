//! Events are acknowledged by their seq and nothing else: where a target's shape is another, the target is the fact
//! (contract, before section 1), and what is not there is nobody's lie.

use serde_json::json;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(pub_says_the_seq_alone));

fn pub_says_the_seq_alone(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    let answer = answer.edited(|document| {
        document["data"] = json!({"seq": document["data"]["seq"]});
    });
    Some(vec![Step::Send(answer?.bytes())])
}
