//! The end of the connection in place of an answer, as nginx gives it for `return 444`, from the
//! first one on.

use super::up_no_answer;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_run(Deviation::upgrade(up_no_answer).also_preflight(), "closed");
