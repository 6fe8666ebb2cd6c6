//! The heads of every batch have a topic that the token does not open (contract, section 1, rule 8).

use super::reheaded;
use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(heads_name_others), "authz_leak", "org:77:billing");

fn heads_name_others(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    reheaded(message, |heads| heads.push(json!({"topic": "org:77:billing", "watermark": 7})))
}
