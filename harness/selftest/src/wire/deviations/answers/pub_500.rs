//! Every second publish ends in a 500 behind the write: it happens all the same, which is why RFC
//! 9110, section 9.2.2, has no client repeat a POST on its own.

use super::{PUBLISHES, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::answer(pub_500), STABILITY, PUBLISHES);

fn pub_500(request: &Request, _: Answer) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("500 Internal Server Error", &[], ""))
}
