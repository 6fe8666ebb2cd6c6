//! Answers without a length, whose end is the connection's (RFC 9112, section 6.3, last rule).

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_until_closed)).control();

fn answers_until_closed(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then(|| vec![Step::Send(answer.until_closed())])
}
