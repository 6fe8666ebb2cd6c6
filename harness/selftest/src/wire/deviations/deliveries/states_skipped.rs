//! A state whose next version is there already is never sent: versions may be skipped (contract, section
//! 3, commands).

use serde_json::Value;

use super::BEATS;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, steps, topic, updates};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(states_skipped)).set(BEATS);

fn states_skipped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_data() && topic(&message) != STATE {
        return None;
    }
    if !message.is_data() {
        let mut kept = std::mem::take(&mut socket.kept);
        kept.push(message);
        return Some(steps(&kept));
    }
    socket.kept.push(message);
    let [.., old, _, new, _] = &socket.kept[..] else { return Some(Vec::new()) };
    let keys = |batch: &Message| -> Vec<Value> {
        updates(batch).iter().map(|update| update["doc_key"].clone()).collect()
    };
    let newer = keys(new);
    let skipped = keys(old).iter().all(|key| newer.contains(key));
    let old: Vec<_> = socket.kept.drain(..2).collect();
    Some(if skipped { Vec::new() } else { steps(&old) })
}
