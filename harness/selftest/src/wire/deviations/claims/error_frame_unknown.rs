//! An error frame whose code nobody knows (contract, section 3: its list of codes is closed): clients act on
//! these words, and on no others.

use super::error_frame;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(error_frame_unknown), "wrong_close_or_error", "backend_hiccup");

fn error_frame_unknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    error_frame(socket, message, r#"{"code":"backend_hiccup","message":"m"}"#)
}
