//! Every fourth publish twice: a proxy that tries again although the request is not idempotent (nginx's
//! `proxy_next_upstream … non_idempotent`, RFC 9110, section 9.2.2).

use crate::wire::deviation::Deviation;
use crate::wire::http::Purpose;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::repeated(Purpose::Publish), "bad_duplicate", "came out again");
