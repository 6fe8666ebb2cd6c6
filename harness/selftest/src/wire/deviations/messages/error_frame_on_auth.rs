//! The error frame on topic `sync.auth` that may come with a revocation (contract, section 3, closes), to clients
//! whose session nobody has revoked: whoever reads it signs out.

use super::join_of;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::{LATER, batch};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(error_frame_on_auth), "wrong_close_or_error", "no reason");

fn error_frame_on_auth(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.frames != LATER {
        return None;
    }
    let error = r#"{"code":"reauth_required","message":"m","reauth_required":true,"reason":"r"}"#;
    let join = join_of(&message);
    let frame = batch::frame(&join, "sync.auth", 0, "KHALA_FRAME_KIND_ERROR", error);
    Some(vec![(&message).into(), (&frame).into()])
}
