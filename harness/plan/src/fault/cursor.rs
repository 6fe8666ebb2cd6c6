//! `cursor`: clients come back with a cursor that is not theirs.
//!
//! Each target closes its socket, connects again by its back-off, and subscribes with the chosen
//! cursor on the new socket: on the old one events would still be under way, and nobody could say
//! which subscribe they belong to.

use super::{Extent, FaultType};
use crate::model::{ActsOn, ChosenCursor, FaultKind, Garbage};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "cursor",
    summary: "Closes the sockets of its targets, which come back with a cursor that is not theirs.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    attributes,
    read,
};

const EVENTS: std::ops::RangeInclusive<u64> = 1..=u32::MAX as u64;
const GARBAGE: [(&str, Garbage); 3] =
    [("negative", Garbage::Negative), ("text", Garbage::Text), ("number", Garbage::Number)];
const KEYS: [&str; 3] = ["stale_by", "future_by", "garbage"];

fn attributes() -> Vec<Key> {
    let stale_by = "So many events behind what the target had applied, on each topic that has had as \
                    many: the contract decides whether that is stale.";
    let future_by = "So many events beyond the highest that any client has seen. The contract is \
                     silent on it: what is answered is a finding, and where it is accepted, what \
                     does not come to the client, which stays subscribed for the settle bound and \
                     two seconds more before it comes back with its own cursor.";
    let garbage = "No cursor at all, which must be refused with `bad_subscription`: a `negative` \
                   number, a number as `text`, or one bare `number` for all topics.";
    vec![
        Key::new("stale_by", Shape::integer(EVENTS), stale_by).alternative(),
        Key::new("future_by", Shape::integer(EVENTS), future_by).alternative(),
        Key::new("garbage", Shape::words(&GARBAGE), garbage).alternative(),
    ]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let stale_by = attributes.within("stale_by", EVENTS).map(ChosenCursor::StaleBy);
    let future_by = attributes.within("future_by", EVENTS).map(ChosenCursor::FutureBy);
    let garbage = match attributes.node("garbage") {
        Some(node) => attributes.cx.keyword("garbage", node, &GARBAGE),
        None => None,
    };
    let given: Vec<&str> = KEYS.into_iter().filter(|key| attributes.has(key)).collect();
    match *given {
        [_] => {
            let chosen = stale_by.or(future_by).or(garbage.map(ChosenCursor::Garbage));
            chosen.map(|cursor| FaultKind::Cursor { cursor })
        }
        [] => {
            let what = "the fault does not say which cursor the targets come back with";
            let help = "add `stale_by = 100`, `future_by = 100` or `garbage = \"negative\"`";
            attributes.cx.report_missing(Diagnostic::error(&attributes.place, what).help(help));
            None
        }
        [first, second, ..] => {
            let node = attributes.node(if second == KEYS[1] { KEYS[1] } else { KEYS[2] })?;
            let what = "the targets come back with one cursor, not with several";
            let help = format!("remove `{first}` or `{second}`");
            attributes.cx.report(Diagnostic::error(&node.place, what).help(help));
            None
        }
    }
}
