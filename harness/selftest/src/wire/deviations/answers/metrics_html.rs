//! A page in their place, with status 200: a single-page application's catch-all (nginx's
//! `try_files $uri $uri/ /index.html`, as Vue Router's guide gives it).

use super::{HTML, METRICS, each};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::request(metrics_html), METRICS);

fn metrics_html(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("200 OK", &[HTML], "<html></html>"))
}
