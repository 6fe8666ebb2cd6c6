//! Answers without a Content-Type (RFC 9110, section 8.3: a recipient may guess).

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_untyped)).control();

fn answers_untyped(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    answer.head = answer.head.with("Content-Type", None);
    Some(vec![Step::Send(answer.bytes())])
}
