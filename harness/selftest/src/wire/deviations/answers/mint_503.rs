//! Minting is off for every second request (contract, section 2).

use super::{MINTS, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(mint_503), STABILITY, MINTS).control();

fn mint_503(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("503 Service Unavailable", &[], ""))
}
