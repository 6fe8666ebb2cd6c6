//! JSON with white space in and around it (RFC 8259, section 2), as frameworks print it outside of
//! production.

use serde_json::Value;

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_pretty)).control();

fn answers_pretty(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    let text = format!("\r\n{}\r\n", serde_json::to_string_pretty(&document).ok()?);
    Some(vec![Step::Send(answer.saying(text).bytes())])
}
