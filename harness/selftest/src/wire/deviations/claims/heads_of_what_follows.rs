//! Batches of one update, each with the head that they have together: it is beyond what the batch carries, and there
//! (contract, section 3, delivery: the head as read then, `replay_complete:false` in live batches).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(heads_of_what_follows));

fn heads_of_what_follows(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let heads = message.payload["head_watermarks"].clone();
    batch::rewrite(&message, |updates| {
        let count = updates.len();
        let mut all = Vec::with_capacity(2 * count);
        for (n, update) in updates.into_iter().enumerate() {
            let complete = n + 1 == count;
            let (name, seq) = (update["topic"].clone(), update["watermark"].as_u64());
            let [mut push, _] = batch::both(&message.join, &[update], complete);
            push.payload["head_watermarks"] = heads.clone();
            let (name, carried) = (name.as_str().unwrap_or_default(), push.payload.to_string());
            let (seq, kind) = (seq.unwrap_or_default(), "KHALA_FRAME_KIND_UPDATE_BATCH");
            let frame = batch::frame(&message.join, name, seq, kind, &carried);
            all.extend([push, frame]);
        }
        all
    })
}
