//! Data on a channel that the client never joined (contract, section 3, framing: there is one).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(other_channel), "misaddressed", "a channel");

fn other_channel(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_data().then(|| vec![(&Message { channel: "sync:v2".to_owned(), ..message }).into()])
}
