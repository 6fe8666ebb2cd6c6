//! Publishes are answered 400 ms late, when what they made has reached everybody: nothing orders
//! the two (contract, section 3, commands).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(pub_late));

fn pub_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(400));
    (request.purpose == Purpose::Publish).then(|| vec![late, Step::Send(answer.bytes())])
}
