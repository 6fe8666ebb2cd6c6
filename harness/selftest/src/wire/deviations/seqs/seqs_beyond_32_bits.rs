//! A log that is old: its seqs are beyond 32 bits, and within 53 (contract, before section 1: a long
//! past). A bigint of PostgreSQL, and a number of JavaScript.

use super::{metrics, seen};
use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

const HIGH: Deviation = Deviation {
    on_message: Some(|_, message| seen(message, high)),
    on_client: Some(asked_high),
    on_answer: Some(|request, answer| metrics(request, answer, high)),
    ..Deviation::none()
};

const BASE: u64 = 1 << 40;

pub(super) const ROW: Row = Row::go(HIGH.also_preflight());

fn high(seq: u64) -> u64 {
    seq + BASE
}

fn asked_high(_: &mut Socket, mut message: Message) -> Option<Vec<Message>> {
    let cursors = message.payload.get_mut("resume_after")?.as_object_mut()?;
    for cursor in cursors.values_mut() {
        *cursor = cursor.as_u64()?.saturating_sub(BASE).into();
    }
    Some(vec![message])
}
