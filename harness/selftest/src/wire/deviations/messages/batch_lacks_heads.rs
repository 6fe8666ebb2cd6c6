//! Batches without `head_watermarks`: an encoder that leaves out what is empty, as Go's
//! `encoding/json` with `omitempty`.

use super::{MALFORMED, lacks};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(batch_lacks_heads), MALFORMED, "head_watermarks");

fn batch_lacks_heads(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "sync:update_batch", "head_watermarks")
}
