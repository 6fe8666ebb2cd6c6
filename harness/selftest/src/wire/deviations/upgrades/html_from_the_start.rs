//! A page, from the first upgrade on: a single-page application's catch-all (nginx's `try_files
//! $uri $uri/ /index.html`, as Vue Router's guide gives it).

use super::up200_html;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_run(Deviation::upgrade(up200_html).also_preflight(), "200");
