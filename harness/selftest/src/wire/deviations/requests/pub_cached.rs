//! The first answer for every publish, which then never reaches the runtime: a cache of POSTs,
//! which RFC 9110, section 9.3.3, has only for answers that say so.

use crate::wire::deviation::Deviation;
use crate::wire::http::Purpose;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::cached(Purpose::Publish), "lost_publish", "reached no client");
