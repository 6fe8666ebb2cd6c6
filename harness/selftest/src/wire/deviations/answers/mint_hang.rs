//! Every second token request is never answered, as a back end that is stuck: nginx gives one 60 s
//! by default (`proxy_read_timeout`), which is longer than any client here waits.

use super::{MINTS, STABILITY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::deviations::FOR_EVER;
use crate::wire::http::{Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::request(mint_hang), STABILITY, MINTS)
    .control()
    .set(&["target.request_timeout=1s"]);

fn mint_hang(request: &Request) -> Option<Vec<Step>> {
    let hit = request.purpose == Purpose::Mint && request.number % 2 == 1;
    hit.then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}
