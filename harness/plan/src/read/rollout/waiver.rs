//! A file of waivers: who takes on which WARN, why, and until when.

use super::document;
use crate::read::diagnostic::Diagnostics;
use crate::read::fields::{Cx, Fields};
use crate::read::key::{Key, Name, Raw, Table, Text};
use crate::read::schema::Shape;
use crate::read::tree::Node;
use crate::rollout::Waiver;

const WAIVER: Key<Raw> = Key::new(
    "waiver",
    Raw(|| Shape::Tables("waiver", 0)),
    "[[waiver]]",
    "Leave to go on in spite of a WARN.",
);
pub(in crate::read) const FILE: Table =
    Table::new("waivers", "the file of waivers", "Waivers of a rollout.", &[&WAIVER]);
const GATE: Key<Name> =
    Key::new("gate", Name, "gate = \"error-budget\"", "The gate that warns.").required();
const METRIC: Key<Text> = Key::new(
    "metric",
    Text,
    "metric = \"auth_errors\"",
    "The metric of the objective. Default: every one of the gate.",
);
const OWNER: Key<Text> = Key::new("owner", Text, "owner = \"Ada\"", "Who takes it on.").required();
const REASON: Key<Text> =
    Key::new("reason", Text, "reason = \"old tokens, gone by Friday\"", "Why.").required();
const EXPIRES: Key<Text> = Key::new(
    "expires",
    Text,
    "expires = \"2026-12-01\"",
    "Until when it counts: RFC 3339, or a date, the whole of which counts (UTC).",
)
.required();
pub(in crate::read) const TABLE: Table = Table::new(
    "waiver",
    "`[[waiver]]`",
    "Leave to go on in spite of a WARN.",
    &[&GATE, &METRIC, &OWNER, &REASON, &EXPIRES],
);

/// Reads a file of waivers; `path` is for messages.
///
/// # Errors
/// With everything that is wrong with it.
pub fn waivers(path: &str, text: &str) -> Result<Vec<Waiver>, Diagnostics> {
    document(path, text, &|_| None, |cx, root| {
        let fields = Fields::of(cx, root, &FILE)?;
        let nodes = fields.tables(&WAIVER);
        fields.finish();
        let read: Vec<_> = nodes?.into_iter().map(|node| one(cx, node)).collect();
        read.into_iter().collect()
    })
}

fn one(cx: &Cx, node: &Node) -> Option<Waiver> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let gate = fields.need(&GATE);
    let metric = fields.get(&METRIC);
    let (owner, reason) = (fields.need(&OWNER), fields.need(&REASON));
    let expires = fields.need(&EXPIRES);
    fields.finish();
    Some(Waiver { gate: gate?, metric, owner: owner?, reason: reason?, expires: expires? })
}
