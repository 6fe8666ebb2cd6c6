//! A page in place of a snapshot, with status 200: a single-page application's catch-all (nginx's
//! `try_files $uri $uri/ /index.html`, as Vue Router's guide gives it).

use super::snapshot;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::request(snapshot_html), "bad_snapshot", "not of the contract").resume();

fn snapshot_html(request: &Request) -> Option<Vec<Step>> {
    snapshot(request)?;
    let html = [("Content-Type", "text/html")];
    Some(vec![Step::Send(Answer::new("200 OK", &html, "<html></html>").bytes())])
}
