//! Every second publish is redirected.

use super::{ELSEWHERE, PUBLISHES, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(pub_redirect), STABILITY, PUBLISHES);

fn pub_redirect(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("307 Temporary Redirect", &[ELSEWHERE], ""))
}
