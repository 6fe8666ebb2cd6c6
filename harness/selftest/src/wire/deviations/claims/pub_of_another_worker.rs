//! Events are acknowledged as another worker's (contract, section 3, commands: `worker_id`), and come out as they were
//! sent: answers that went to another request of the same connection, as pipelining clients and pools mix them up.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::answer(pub_of_another_worker),
    "divergent_value",
    "and was sent to worker",
);

fn pub_of_another_worker(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    let answer = answer.edited(|document| document["data"]["worker_id"] = "somebody-elses".into());
    Some(vec![Step::Send(answer?.bytes())])
}
