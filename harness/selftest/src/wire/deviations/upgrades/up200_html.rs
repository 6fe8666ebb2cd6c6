//! A page, as a captive portal or a single-page application's catch-all sends it.

use super::{REFUSED, STABILITY, up200_html};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up200_html), STABILITY, REFUSED);
