//! Refs as numbers: a serializer that reads `"1"` into an integer and writes that. Numbers are refs
//! as well (contract, section 3, framing).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(refnumbers));

fn refnumbers(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    for reference in [&mut message.join, &mut message.reference] {
        let number = reference.as_str().and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number {
            *reference = number.into();
        }
    }
    Some(vec![(&message).into()])
}
