//! A refusal with another replay budget than the fan-out metrics show (contract, section 3, stale cursor, and section
//! 5): two settings where there is one.

use super::stale_figures;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(stale_budget_other), "wrong_reason", "it names budget 1,")
        .resume();

fn stale_budget_other(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    stale_figures(message, |stale| stale["replay_budget_events"] = 1.into())
}
