//! `[target]`: what is tested.

use std::time::Duration;

use super::auth;
use super::diagnostic::Diagnostic;
use super::extras;
use super::fields::Fields;
use super::retention;
use super::scalar::{Bytes, Placed, Read};
use super::slowness;
use super::source::Place;
use super::stability::{self, Given};
use super::suggest;
use crate::metric::FINDINGS;
use crate::model::{BuildSource, Lane, Push, Secret, SnapshotPath, Target, TargetKind};

/// Path of the socket at the public edge (contract, section 3).
pub(crate) const SOCKET_PATH: &str = "/sync/socket/websocket";
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(600);
/// Close codes that a target may be allowed beside the contract's.
pub(crate) const CLOSE_CODES: std::ops::RangeInclusive<u64> = 1000..=4999;
/// What a client must take, at most: more than the documented 2 MiB a batch. An assumption.
pub(crate) const MESSAGE_MAX: Bytes = Bytes(16 << 20);
pub(crate) const MESSAGE_MAXES: std::ops::RangeInclusive<Bytes> =
    Bytes(64 << 10)..=Bytes(256 << 20);
/// `kind`, and whether it is the embedded runtime.
pub(crate) const KINDS: [(&str, bool); 2] = [("reference", true), ("url", false)];
pub(crate) const LANES: [(&str, Lane); 1] = [("ws", Lane::Ws)];
pub(crate) const PUSHES: [(&str, Push); 2] =
    [("frame", Push::Frame), ("update_batch", Push::UpdateBatch)];
pub(crate) const SNAPSHOTS: [(&str, SnapshotPath); 2] =
    [("http", SnapshotPath::Http), ("reset", SnapshotPath::Reset)];

/// Reads `[target]`, and how stable it is known to be; `flag_defects` come from the command line.
pub(crate) fn read(
    mut fields: Fields<'_>,
    flag_defects: &[Placed<String>],
) -> (Option<Target>, Given) {
    let target = target(&mut fields, flag_defects);
    let node = fields.node("stability");
    let name = "`[target.stability]`";
    let stability = stability::read(Fields::or_empty(fields.cx, node, &fields.place, name));
    fields.finish();
    (target, stability)
}

fn target(fields: &mut Fields<'_>, flag_defects: &[Placed<String>]) -> Option<Target> {
    let kind_given = fields.has("kind");
    let reference = fields.keyword_or("kind", true, &KINDS);
    let kind = match reference {
        Some(true) => reference_kind(fields, kind_given, flag_defects),
        Some(false) => url_kind(fields, flag_defects),
        None => {
            // Asked for, so that they are not called unknown beside the real mistake.
            let _ = ["url", "defects", "topics"].map(|key| fields.node(key));
            None
        }
    };
    let lane = lane(fields);
    let socket_path = socket_path(fields);
    let connect_timeout = fields.within("connect_timeout", TIMEOUTS).unwrap_or(CONNECT_TIMEOUT);
    let request_timeout = fields.within("request_timeout", TIMEOUTS).unwrap_or(REQUEST_TIMEOUT);
    let exclusive = fields.or("exclusive", reference.unwrap_or(false));
    let apply = fields.keyword_or("apply", Push::Frame, &PUSHES);
    // Only the reference runtime is known to serve snapshots (contract, section 5b).
    let snapshot = if reference == Some(false) { SnapshotPath::Reset } else { SnapshotPath::Http };
    let snapshot = fields.keyword_or("snapshot", snapshot, &SNAPSHOTS);
    let slow_consumer = slowness::read(fields, reference.unwrap_or(true));
    let build = build(fields);
    let close_codes = close_codes(fields);
    let admin_token = secret(fields, "admin_token", reference);
    let command_secret = secret(fields, "command_secret", reference);
    let headers = extras::headers(fields);
    let query = extras::query(fields);
    let Bytes(message_max) = fields.within("message_max", MESSAGE_MAXES).unwrap_or(MESSAGE_MAX);
    let dense_states = fields.or("dense_states", false);
    let findings_are_rules = findings_are_rules(fields);
    Some(Target {
        kind: kind?,
        lane: lane?,
        socket_path: socket_path?,
        connect_timeout,
        request_timeout,
        exclusive,
        apply: apply?,
        snapshot: snapshot?,
        slow_consumer,
        build: build?,
        close_codes: close_codes?,
        message_max: message_max.into(),
        admin_token: admin_token?,
        command_secret: command_secret?,
        headers: headers?,
        query: query?,
        dense_states,
        findings_are_rules: findings_are_rules?,
    })
}

/// A secret of a target by URL; the embedded runtime's are made for each run. `None` is a mistake.
fn secret(
    fields: &mut Fields<'_>,
    key: &'static str,
    reference: Option<bool>,
) -> Option<Option<Secret>> {
    if reference != Some(false) {
        fields.no_effect(key, "with `kind = \"reference\"`: it is made for each run");
        return Some(None);
    }
    match fields.node(key) {
        Some(node) => auth::secret(fields.cx, key, node).map(Some),
        None => (!fields.has(key)).then_some(None),
    }
}

fn close_codes(fields: &mut Fields<'_>) -> Option<Vec<u16>> {
    let Some(codes) = fields.get::<Vec<Placed<u64>>>("close_codes") else {
        return (!fields.has("close_codes")).then(Vec::new);
    };
    let allowed = |code: &Placed<u64>| {
        if CLOSE_CODES.contains(&code.value) {
            return u16::try_from(code.value).ok();
        }
        let what = format!("`{}` is no close code", code.value);
        let help = "write codes from 1000 to 4999, 1005 for a close frame without a code";
        fields.cx.report(Diagnostic::error(&code.place, what).help(help));
        None
    };
    // Every one is looked at, so that all mistakes are told at once.
    let read: Vec<u16> = codes.iter().filter_map(allowed).collect();
    (read.len() == codes.len()).then_some(read)
}

fn findings_are_rules(fields: &mut Fields<'_>) -> Option<Vec<&'static str>> {
    let Some(names) = fields.get::<Vec<Placed<String>>>("findings_are_rules") else {
        return (!fields.has("findings_are_rules")).then(Vec::new);
    };
    let known = |name: &Placed<String>| {
        let known = FINDINGS.iter().map(|finding| finding.name);
        let found = known.clone().find(|known| *known == name.value);
        if found.is_none() {
            let what = format!("`{}` is no finding that can be a rule", name.value);
            let help = format!("there is {}", suggest::list(known));
            fields.cx.report(Diagnostic::error(&name.place, what).help(help));
        }
        found
    };
    let read: Vec<_> = names.iter().filter_map(known).collect();
    (read.len() == names.len()).then_some(read)
}

fn build(fields: &mut Fields<'_>) -> Option<Option<BuildSource>> {
    let header = fields.node("build_header");
    let command = fields.node("build_command");
    let fail = |place: &Place, what: &str, help: &str| {
        fields.cx.report(Diagnostic::error(place, what).help(help));
        None
    };
    match (header, command) {
        (None, None) => Some(None),
        (Some(header), None) => {
            let name = String::read(fields.cx, "build_header", header)?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return fail(
                    &header.place,
                    "that is no name of a header",
                    "write such as `x-build`",
                );
            }
            Some(Some(BuildSource::Header(name)))
        }
        (None, Some(node)) => {
            let words = Vec::<Placed<String>>::read(fields.cx, "build_command", node)?;
            if words.first().is_none_or(|program| program.value.is_empty()) {
                let help = "write program and arguments, such as `[\"cat\", \"BUILD\"]`";
                return fail(&node.place, "the command is empty", help);
            }
            let command = words.into_iter().map(|word| word.value).collect();
            Some(Some(BuildSource::Command(command)))
        }
        (Some(_), Some(node)) => fail(
            &node.place,
            "`build_command` beside `build_header`: which of them says the build?",
            "remove one of them",
        ),
    }
}

fn reference_kind(
    fields: &mut Fields<'_>,
    kind_given: bool,
    flag_defects: &[Placed<String>],
) -> Option<TargetKind> {
    if kind_given {
        fields.no_effect("url", "with `kind = \"reference\"`");
    } else if let Some(url) = fields.node("url") {
        // The default would quietly test something else than what the author named.
        let what = "`url` without a `kind`: the embedded reference runtime would be tested";
        fields.cx.report(Diagnostic::error(&url.place, what).help("add `kind = \"url\"`"));
    }
    let mut defects: Vec<String> = fields
        .get::<Vec<Placed<String>>>("defects")
        .unwrap_or_default()
        .into_iter()
        .map(|defect| defect.value)
        .collect();
    defects.extend(flag_defects.iter().map(|defect| defect.value.clone()));
    Some(TargetKind::Reference { defects, topics: retention::read(fields)? })
}

fn url_kind(fields: &mut Fields<'_>, flag_defects: &[Placed<String>]) -> Option<TargetKind> {
    let help = "only the reference runtime has defects: use `kind = \"reference\"`";
    let given = fields.node("defects").map(|node| node.place.clone());
    for place in given.iter().chain(flag_defects.iter().map(|defect| &defect.place)) {
        let what = "a target of kind `url` cannot be given defects";
        fields.cx.report(Diagnostic::error(place, what).help(help));
    }
    // A warning, so that a scenario for the reference can be aimed at another runtime by `--set`.
    fields
        .no_effect("topics", "with `kind = \"url\"`: what such a target retains is its own affair");
    let node = fields.need_node("url", "url = \"http://127.0.0.1:4000\"")?;
    let url = String::read(fields.cx, "url", node)?;
    let fail = |what: &str, help: &str| {
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    };
    let host = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(host), _) => host.trim_end_matches('/'),
        (_, Some(_)) => {
            fail("https is not yet served", "put a local TLS-ending proxy in front, or use http");
            return None;
        }
        _ => {
            fail("a target's url starts with `http://`", "write such as `http://127.0.0.1:4000`");
            return None;
        }
    };
    if host.contains('@') {
        fail("a url must not carry a user or password", "see `[auth]` for how clients sign in");
    } else if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#".contains(c)) {
        fail("the url is not a base url", "write scheme, host and port, nothing after them");
    } else if let Some(port) = bad_port(host) {
        let what = format!("`{port}` is no port");
        fail(&what, "a port is a number from 1 to 65535; without one it is 80");
    }
    Some(TargetKind::Url { base_url: format!("http://{host}") })
}

/// What stands where the port of an authority belongs, where that is none.
fn bad_port(authority: &str) -> Option<&str> {
    // Of an IPv6 address the colons are in brackets.
    let (_, after) = authority.rsplit_once(']').unwrap_or(("", authority));
    let (_, port) = after.rsplit_once(':')?;
    (!port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(port)
}

fn lane(fields: &mut Fields<'_>) -> Option<Lane> {
    let Some(node) = fields.node("lane") else { return Some(Lane::Ws) };
    if node.as_str() == Some("poll") {
        let what = "the poll lane is not yet served";
        let help = "use `lane = \"ws\"`";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    fields.cx.keyword("lane", node, &LANES)
}

fn socket_path(fields: &mut Fields<'_>) -> Option<String> {
    let Some(node) = fields.node("socket_path") else { return Some(SOCKET_PATH.to_owned()) };
    let path = String::read(fields.cx, "socket_path", node)?;
    if path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || "?#".contains(c)) {
        return Some(path);
    }
    let what = format!("`{path}` is not a path");
    let help = format!("write such as `{SOCKET_PATH}`, without a query");
    fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    None
}
