//! Every second token request is redirected, as to a log-in page: Django's `login_required` answers
//! so whoever has no session.

use super::{ELSEWHERE, MINTS, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::request(mint_redirect), STABILITY, MINTS).control();

fn mint_redirect(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("302 Found", &[ELSEWHERE], ""))
}
