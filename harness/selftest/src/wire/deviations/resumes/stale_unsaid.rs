//! Stale cursors are taken for none at all, so that all that is left is replayed without a word: a
//! subscribe without cursor is never stale, and one with a cursor must be (contract, section 3).

use super::of_stream;
use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::client(stale_unsaid), "stale_not_signalled", "was accepted").resume();

fn stale_unsaid(_: &mut Socket, mut message: Message) -> Option<Vec<Message>> {
    (!of_stream(&message)).then_some(())?;
    message.payload.as_object_mut()?.remove("resume_after")?;
    Some(vec![message])
}
