//! Each eleventh seq is a hole, the same one for every client. A failed insert leaves one (contract,
//! before section 1); here no insert failed, so that it is an event of which nobody hears.

use super::{holed, metrics, seen};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

const HOLES: Deviation = Deviation {
    on_message: Some(|_, message| seen(message, holed)),
    on_answer: Some(|request, answer| metrics(request, answer, holed)),
    ..Deviation::none()
};

pub(super) const ROW: Row = Row::no_go(HOLES.also_preflight(), "gap", "never delivered");
