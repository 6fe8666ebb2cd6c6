//! Every second publish ends in a 500 behind the write: it happens all the same.

use super::{PUBLISHES, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::answer(pub_500), STABILITY, PUBLISHES);

fn pub_500(request: &Request, _: Answer) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("500 Internal Server Error", &[], ""))
}
