//! Chunks with extensions, and a trailer behind them (RFC 9112, sections 7.1.1 and 7.1.2).

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_chunk_extensions)).control();

fn answers_chunk_extensions(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    let text = String::from_utf8(answer.chunked(answer.body.len())).ok()?;
    let size = format!("\r\n\r\n{:x}", answer.body.len());
    let text = text.replacen(&size, &format!("{size};a=b;c=\"d\""), 1);
    let end = text.strip_suffix("0\r\n\r\n")?;
    let text = format!("{end}0;last\r\nServer-Timing: db;dur=1\r\n\r\n");
    Some(vec![Step::Send(text.into_bytes())])
}
