//! Every second token request gets a page, with status 200: a single-page application's catch-all
//! (nginx's `try_files $uri $uri/ /index.html`, as Vue Router's guide gives it).

use super::{HTML, MINTS, STABILITY, half};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(mint_html), STABILITY, MINTS).control();

fn mint_html(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("200 OK", &[HTML], "<html></html>"))
}
