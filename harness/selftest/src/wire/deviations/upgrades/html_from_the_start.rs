//! A page, as a captive portal or a single-page application's catch-all sends it.

use super::up200_html;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_run(Deviation::upgrade(up200_html).also_preflight(), "200");
