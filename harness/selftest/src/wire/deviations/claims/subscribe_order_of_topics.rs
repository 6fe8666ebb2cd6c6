//! The reply to a subscribe names topics and watermarks in another order than they were asked for in: a set of
//! the server's language (contract, section 3, subscribe; rule 5: across topics there is no order).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(subscribe_order_of_topics));

fn subscribe_order_of_topics(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        for list in ["topics", "current_watermarks"] {
            let list = message.payload["response"][list].as_array_mut();
            list.into_iter().for_each(|list| list.reverse());
        }
        vec![(&message).into()]
    })
}
