//! `target.headers` and `target.query`: what every request of a run carries beside its own.
//!
//! A value stands in the scenario, or is read from the environment or a file like any other secret. What
//! is a secret by its name must be.

use super::auth;
use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Declared, Writer, inline};
use super::mask::names_a_secret;
use super::scalar::Read;
use super::tree::{Node, Value};
use crate::model::{Extra, ExtraValue};

/// Headers that requests set themselves, or that carry the connection.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-oa-runtime-signature",
    "x-oa-user-id",
];
/// Parameters that requests set themselves (contract, sections 3 and 5).
const OWN_PARAMETERS: [&str; 8] = [
    "client",
    "client_build_id",
    "limit",
    "protocol_version",
    "schema_version",
    "token",
    "topic_limit",
    "vsn",
];

/// Reads `headers`; `None` is a mistake.
pub(super) fn headers(fields: &Fields<'_>, key: &dyn Declared) -> Option<Vec<Extra>> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_|~".contains(c);
    read(fields, key, true, |name| {
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || !name.chars().all(is_token) {
            return Some("that is no name of a header");
        }
        let own = OWN_HEADERS.contains(&&*lower) || lower.starts_with("sec-websocket-");
        own.then_some("requests set this header themselves")
    })
}

/// Reads `query`; `None` is a mistake.
pub(super) fn query(fields: &Fields<'_>, key: &dyn Declared) -> Option<Vec<Extra>> {
    read(fields, key, false, |name| {
        if name.is_empty() {
            return Some("a parameter has a name");
        }
        OWN_PARAMETERS.contains(&name).then_some("requests set this parameter themselves")
    })
}

/// Reads names and values; `any_case` says that names are the same in any case.
fn read(
    fields: &Fields<'_>,
    key: &dyn Declared,
    any_case: bool,
    wrong: impl Fn(&str) -> Option<&'static str>,
) -> Option<Vec<Extra>> {
    let Some(node) = fields.node(key) else { return (!fields.has(key)).then(Vec::new) };
    let (cx, key) = (fields.cx, key.name());
    let Value::Table(table) = &node.value else {
        let what = format!("`{key}` must be a table, not {}", node.value.type_name());
        let help = format!("write `{key} = {{ name = \"value\" }}`");
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    };
    let mut extras: Vec<Extra> = Vec::new();
    let mut right = true;
    for (name, place, node) in table.iter() {
        if let Some(what) = wrong(name) {
            cx.report(Diagnostic::error(place, what).help("remove it"));
            right = false;
        } else if any_case && extras.iter().any(|extra| extra.name.eq_ignore_ascii_case(name)) {
            let what = format!("the header `{name}` is there already, in another case");
            cx.report(Diagnostic::error(place, what).help("remove one of them"));
            right = false;
        } else if let Some(value) = value(cx, name, node) {
            extras.push(Extra { name: name.to_owned(), value });
        } else {
            right = false;
        }
    }
    right.then_some(extras)
}

fn value(cx: &Cx, name: &str, node: &Node) -> Option<ExtraValue> {
    if names_a_secret(name) || matches!(node.value, Value::Table(_)) {
        return auth::secret(cx, name, node).map(ExtraValue::Secret);
    }
    let text = String::read(cx, name, node)?;
    if let Some(variable) = node.place.variables.iter().find(|name| names_a_secret(name)) {
        let what = format!("the value of `{variable}` would be kept with the scenario");
        let help = format!("write `{{ env = \"{variable}\" }}`");
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    if text.chars().any(char::is_control) {
        let what = format!("the value of `{name}` has a control character in it");
        cx.report(Diagnostic::error(&node.place, what));
        return None;
    }
    Some(ExtraValue::Text(text))
}

/// Writes a table of extras of the target, if there are any.
pub(super) fn write(out: &mut Writer, key: &dyn Declared, extras: &[Extra]) {
    if extras.is_empty() {
        return;
    }
    out.table(&format!("[target.{}]", key.name()));
    for Extra { name, value } in extras {
        let name = toml::Value::String(name.clone()).to_string();
        match value {
            ExtraValue::Text(value) => {
                out.line(format_args!("{name} = {}", inline(&value.as_str().into())));
            }
            ExtraValue::Secret(secret) => auth::write_secret(out, &name, secret),
        }
    }
}
