//! A batch comes again when several others have come behind it: delivery is at least once, and a client
//! applies only what is above what it applied (contract, section 1, rule 4).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(batch_again_later));

fn batch_again_later(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if !message.is_data() {
        return None;
    }
    let again = socket.kept.len() >= 12 && message.event == "sync:frame";
    let mut steps = vec![(&message).into()];
    if again {
        let kept = std::mem::take(&mut socket.kept);
        let first = kept.iter().position(|one| one.event == "sync:update_batch")?;
        steps.extend(kept[first..first + 2].iter().map(Step::from));
    } else {
        socket.kept.push(message);
    }
    Some(steps)
}
