//! Every second publish is redirected with 307 (RFC 9110, section 15.4.8), to where nobody listens.

use super::{ELSEWHERE, PUBLISHES, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(pub_redirect), STABILITY, PUBLISHES);

fn pub_redirect(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("307 Temporary Redirect", &[ELSEWHERE], ""))
}
