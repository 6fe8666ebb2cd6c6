//! Tokens and commands answered over HTTP/1.0, as nginx speaks by default to what is behind it.

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_http10)).control();

fn answers_http10(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    answer.head.line = answer.head.line.replace("HTTP/1.1", "HTTP/1.0");
    Some(vec![Step::Send(answer.bytes())])
}
