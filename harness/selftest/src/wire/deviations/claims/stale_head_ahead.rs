//! A refusal whose head is a thousand beyond the log, with the lag that goes with it (contract, section 3, stale
//! cursor): a counter that was read and not the log. What the fan-out metrics show is another head.

use super::stale_figures;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(stale_head_ahead), "wrong_reason", "it names head").resume();

fn stale_head_ahead(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    stale_figures(message, |stale| {
        for figure in ["head_watermark", "replay_lag"] {
            stale[figure] = (stale[figure].as_u64().unwrap_or_default() + 1_000).into();
        }
    })
}
