//! A page: a single-page application's catch-all (nginx's `try_files $uri $uri/ /index.html`, as
//! Vue Router's guide gives it), or a captive portal's.

use super::{REFUSED, STABILITY, up200_html};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up200_html), STABILITY, REFUSED);
