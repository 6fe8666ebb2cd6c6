//! A refusal with another tier than the fan-out metrics show (contract, section 3, known topics and stale cursor).

use super::stale_figures;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(stale_tier_other), "wrong_reason", "it names tier Cold").resume();

fn stale_tier_other(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    stale_figures(message, |stale| stale["qos_tier"] = "cold".into())
}
