//! `[target]`: what is tested.

mod authority;
pub(in crate::read) mod keys;
pub(crate) mod profile;
mod way;

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;

use super::auth;
use super::diagnostic::Diagnostic;
use super::extras;
use super::fields::{Cx, Fields};
use super::key::{Declared, Kind, Shaped, Writer, array};
use super::retention;
use super::scalar::{Bytes, Placed, Rate, Read};
use super::schema::{Shape, pattern};
use super::slowness;
use super::source::Place;
use super::stability::{self, Given};
use super::suggest;
use super::tree::Node;
use crate::metric::FINDINGS;
use crate::model::{
    ALLOWS, BuildSource, CommandPath, Lane, Secret, SnapshotPath, Target, TargetKind, TopicSettings,
};
use crate::units::format_bytes;

pub(crate) use keys::{DEFECTS, TABLE};
pub(crate) use way::TABLE as TLS;

/// Reads `[target]`, and how stable it is known to be; `flag_defects` come from the command line.
pub(crate) fn read(
    mut fields: Fields<'_>,
    flag_defects: &[Placed<String>],
) -> (Option<Target>, Given) {
    let target = target(&mut fields, flag_defects);
    let stability =
        fields.inner_called(&keys::STABILITY, stability::OF_TARGET, stability::TABLE.keys);
    let stability = stability::read(stability);
    fields.finish();
    (target, stability)
}

fn target(fields: &mut Fields<'_>, flag_defects: &[Placed<String>]) -> Option<Target> {
    let kind_given = fields.has(&keys::KIND);
    let reference = fields.right(&keys::KIND);
    let kind = match reference {
        Some(true) => reference_kind(fields, kind_given, flag_defects),
        Some(false) => url_kind(fields, flag_defects),
        None => {
            // Whether it needs a url is not known; one that is there is read, so that its mistakes are told.
            let _ = fields.node(&keys::URL).map(|node| base_url(fields, node));
            None
        }
    };
    let retains = retains(fields, reference);
    let lane = lane(fields);
    let socket_path = fields.right(&keys::SOCKET_PATH);
    if let (Some(true), Some(path)) = (reference, &socket_path) {
        embedded_has_socket_at(fields, path);
    }
    let client_build_id = fields.get(&keys::CLIENT_BUILD_ID);
    let connect_timeout = fields.or(&keys::CONNECT_TIMEOUT);
    let request_timeout = fields.or(&keys::REQUEST_TIMEOUT);
    let exclusive = fields.get(&keys::EXCLUSIVE).unwrap_or(reference.unwrap_or(false));
    let apply = fields.right(&keys::APPLY);
    // Only the reference runtime is known to serve snapshots (contract, section 5b).
    let snapshot = if reference == Some(false) { SnapshotPath::Reset } else { SnapshotPath::Http };
    let snapshot = fields.right_or(&keys::SNAPSHOT, || snapshot);
    let slow_consumer = slowness::read(
        fields,
        &keys::SLOW_CONSUMER,
        reference.unwrap_or(true),
        fields.node(&keys::KIND),
    );
    let build = build(fields);
    let close_codes = close_codes(fields);
    let admin_token = secret(fields, &keys::ADMIN_TOKEN, reference);
    let command_secret = secret(fields, &keys::COMMAND_SECRET, reference);
    let headers = extras::headers(fields, &keys::HEADERS);
    let query = extras::query(fields, &keys::QUERY);
    let Bytes(message_max) = fields.or(&keys::MESSAGE_MAX);
    let dense_states = fields.or(&keys::DENSE_STATES);
    let findings_are_rules = findings_are_rules(fields);
    let allows = allows(fields);
    let way = way::read(fields, kind.as_ref(), reference == Some(true));
    let commands = fields.right(&keys::COMMANDS);
    let command = command(fields, commands);
    let passive = commands == Some(CommandPath::None);
    let clients_max =
        fields.get(&keys::CLIENTS_MAX).or(passive.then_some(keys::PASSIVE_CLIENTS_MAX));
    let connect_rate_max = fields.get(&keys::CONNECT_RATE_MAX).map(|Rate(per_s)| per_s);
    let connect_rate_max = connect_rate_max.or(passive.then_some(keys::PASSIVE_CONNECT_RATE_MAX));
    Some(Target {
        kind: kind?,
        retains: retains?,
        lane: lane?,
        socket_path: socket_path?,
        client_build_id,
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
        allows: allows?,
        way: way?,
        commands: commands?,
        command: command?,
        clients_max,
        connect_rate_max,
    })
}

/// A secret of a target by URL; the embedded runtime's are made for each run. `None` is a mistake.
fn secret(
    fields: &Fields<'_>,
    key: &dyn Declared,
    reference: Option<bool>,
) -> Option<Option<Secret>> {
    if reference != Some(false) {
        let why = "with `kind = \"reference\"`: it is made for each run";
        fields.no_effect_by(key, fields.node(&keys::KIND), why);
        return Some(None);
    }
    match fields.node(key) {
        Some(node) => auth::opening(fields.cx, key.name(), node).map(Some),
        None => (!fields.has(key)).then_some(None),
    }
}

/// What a target by URL is said to retain; the embedded runtime does what `topics` says.
fn retains(
    fields: &Fields<'_>,
    reference: Option<bool>,
) -> Option<BTreeMap<TopicId, TopicSettings>> {
    if reference == Some(true) {
        let why = "with `kind = \"reference\"`: `topics` says what it retains";
        fields.no_effect_by(&keys::RETAINS, fields.node(&keys::KIND), why);
        return Some(BTreeMap::new());
    }
    retention::read(fields, &keys::RETAINS)
}

fn close_codes(fields: &Fields<'_>) -> Option<Vec<u16>> {
    let Some(codes) = fields.get_as::<Vec<Placed<u64>>>(&keys::CLOSE_CODES) else {
        return (!fields.has(&keys::CLOSE_CODES)).then(Vec::new);
    };
    let range = keys::CLOSE_CODE.0..=keys::CLOSE_CODE.1;
    let allowed = |code: &Placed<u64>| {
        if range.contains(&code.value) {
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

fn findings_are_rules(fields: &Fields<'_>) -> Option<Vec<&'static str>> {
    let known: Vec<_> = FINDINGS.iter().map(|finding| finding.name).collect();
    let what = "finding that can be a rule";
    words(fields, &keys::FINDINGS_ARE_RULES, &known, what).map(Option::unwrap_or_default)
}

/// `None` is a mistake; an empty list allows nothing, which nobody means.
fn allows(fields: &Fields<'_>) -> Option<Option<Vec<&'static str>>> {
    let read = words(fields, &keys::MAY_BE_DONE, &ALLOWS, "thing that is done to a target")?;
    if read.as_ref().is_some_and(Vec::is_empty)
        && let Some(node) = fields.node(&keys::MAY_BE_DONE)
    {
        let help = "leave it out, or write such as [\"reads\"]";
        fields.cx.report(Diagnostic::error(&node.place, "`allows` allows nothing").help(help));
        return None;
    }
    Some(read)
}

/// A list of some of the words that there are; `Some(None)` where the key is left out, `None` of a mistake.
fn words(
    fields: &Fields<'_>,
    key: &dyn Declared,
    known: &[&'static str],
    what: &str,
) -> Option<Option<Vec<&'static str>>> {
    let Some(names) = fields.get_as::<Vec<Placed<String>>>(key) else {
        return (!fields.has(key)).then_some(None);
    };
    let one = |name: &Placed<String>| {
        let found = known.iter().copied().find(|known| *known == name.value);
        if found.is_none() {
            let what = format!("`{}` is no {what}", name.value);
            let help = format!("there is {}", suggest::list(known.iter().copied()));
            fields.cx.report(Diagnostic::error(&name.place, what).help(help));
        }
        found
    };
    let read: Vec<_> = names.iter().filter_map(one).collect();
    (read.len() == names.len()).then_some(Some(read))
}

fn build(fields: &Fields<'_>) -> Option<Option<BuildSource>> {
    let header = fields.node(&keys::BUILD_HEADER);
    let command = fields.node(&keys::BUILD_COMMAND);
    let fail = |place: &Place, what: &str, help: &str| {
        fields.cx.report(Diagnostic::error(place, what).help(help));
        None
    };
    match (header, command) {
        (None, None) => Some(None),
        (Some(header), None) => {
            let name = String::read(fields.cx, keys::BUILD_HEADER.name, header)?;
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
            let command = program(fields, keys::BUILD_COMMAND.name, node)?;
            Some(Some(BuildSource::Command(command)))
        }
        (Some(_), Some(node)) => fail(
            &node.place,
            "`build_command` beside `build_header`: which of them says the build?",
            "remove one of them",
        ),
    }
}

/// Program and arguments, of which there is a program.
fn program(fields: &Fields<'_>, key: &str, node: &Node) -> Option<Vec<String>> {
    let words = Vec::<Placed<String>>::read(fields.cx, key, node)?;
    if words.first().is_none_or(|program| program.value.is_empty()) {
        let help = "write program and arguments, such as `[\"cat\", \"BUILD\"]`";
        fields.cx.report(Diagnostic::error(&node.place, "the command is empty").help(help));
        return None;
    }
    Some(words.into_iter().map(|word| word.value).collect())
}

/// What carries commands out, where that is a program's to do.
fn command(fields: &Fields<'_>, commands: Option<CommandPath>) -> Option<Vec<String>> {
    let by_command = commands == Some(CommandPath::Command);
    match fields.node(&keys::COMMAND) {
        Some(node) if by_command => program(fields, keys::COMMAND.name, node),
        None if by_command && !fields.has(&keys::COMMAND) => {
            let place = fields.node(&keys::COMMANDS).map(|node| &node.place)?;
            let what = "`commands = \"command\"` without a `command`: nothing carries commands out";
            let help = "name a program and its arguments, such as `command = [\"./publish\"]`";
            fields.cx.report(Diagnostic::error(place, what).help(help));
            None
        }
        Some(_) => {
            fields.no_effect(&keys::COMMAND, "without `commands = \"command\"`");
            Some(Vec::new())
        }
        None => (!fields.has(&keys::COMMAND)).then(Vec::new),
    }
}

fn reference_kind(
    fields: &Fields<'_>,
    kind_given: bool,
    flag_defects: &[Placed<String>],
) -> Option<TargetKind> {
    // Something else than what is named must not be tested quietly.
    let tested = "the embedded reference runtime would be tested";
    match (fields.node(&keys::URL), fields.node(&keys::KIND)) {
        (Some(url), _) if !kind_given => {
            let what = format!("`url` without a `kind`: {tested}");
            fields.cx.report(Diagnostic::error(&url.place, what).help("add `kind = \"url\"`"));
        }
        (Some(url), Some(kind)) if fields.outranks(url, kind) => {
            let what = format!("`url` beside `kind = \"reference\"`: {tested}");
            let help = "name the target by `--target URL`, or set `target.kind=url` too";
            fields.cx.report(Diagnostic::error(&url.place, what).help(help));
        }
        (_, kind) => fields.no_effect_by(&keys::URL, kind, "with `kind = \"reference\"`"),
    }
    let mut defects: Vec<String> = fields
        .get_as::<Vec<Placed<String>>>(&keys::DEFECTS)
        .unwrap_or_default()
        .into_iter()
        .map(|defect| defect.value)
        .collect();
    defects.extend(flag_defects.iter().map(|defect| defect.value.clone()));
    Some(TargetKind::Reference { defects, topics: retention::read(fields, &keys::TOPICS)? })
}

fn url_kind(fields: &mut Fields<'_>, flag_defects: &[Placed<String>]) -> Option<TargetKind> {
    let help = "a run gives defects to the embedded runtime alone (`kind = \"reference\"`): leave `--target` and \
                `defects` out of it, or start `khala-harness reference --defect NAME` by hand and name its address \
                by `--target`";
    let given = fields.node(&keys::DEFECTS).map(|node| node.place.clone());
    for place in given.iter().chain(flag_defects.iter().map(|defect| &defect.place)) {
        let what = "a target of kind `url` cannot be given defects";
        fields.cx.report(Diagnostic::error(place, what).help(help));
    }
    // A warning, so that a scenario for the reference can be aimed at another runtime by `--set`.
    let why = "with `kind = \"url\"`: what such a target retains is its own affair";
    fields.no_effect_by(&keys::TOPICS, fields.node(&keys::KIND), why);
    let node = fields.need_node(&keys::URL)?;
    Some(TargetKind::Url { base_url: base_url(fields, node)? })
}

/// Reports a path at which the embedded runtime has no socket.
fn embedded_has_socket_at(fields: &Fields<'_>, path: &str) {
    if let Some(node) = fields.node(&keys::SOCKET_PATH)
        && !keys::EMBEDDED_SOCKET_PATHS.contains(&path)
    {
        let what = format!("the embedded runtime has no socket at `{path}`");
        let help = format!("it has one at {}", suggest::any_of(keys::EMBEDDED_SOCKET_PATHS));
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
}

/// The url of a target.
fn base_url(fields: &Fields<'_>, node: &Node) -> Option<String> {
    way::base_url(fields, keys::URL.name, node, &["http://", "https://"])
}

fn lane(fields: &Fields<'_>) -> Option<Lane> {
    if let Some(node) = fields.node(&keys::LANE)
        && node.as_str() == Some("poll")
    {
        let what = "the poll lane is not yet served";
        let help = "use `lane = \"ws\"`";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    fields.right(&keys::LANE)
}

/// The path of a socket, without a query.
#[derive(Clone, Copy)]
struct SocketPath;

impl Shaped for SocketPath {
    fn shape(&self) -> Shape {
        Shape::Matching(pattern::whole(r"/[^\s?#]*"))
    }
}

impl Kind for SocketPath {
    type Value = String;
    type Default = &'static str;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<String> {
        let path = String::read(cx, key, node)?;
        let forbidden = |c: char| c.is_whitespace() || "?#".contains(c);
        if path.starts_with('/') && !path.contains(forbidden) {
            return Some(path);
        }
        let what = format!("`{path}` is not a path");
        let help =
            format!("write such as `{}`, without a query", keys::SOCKET_PATH.default_value());
        cx.report(Diagnostic::error(&node.place, what).help(help));
        None
    }

    fn value(&self, default: &'static str) -> String {
        default.to_owned()
    }

    fn toml(&self, value: &String) -> toml::Value {
        value.as_str().into()
    }
}

/// Writes a target, with its limits for slow consumers and what it retains.
pub(crate) fn write(out: &mut Writer, target: &Target) {
    out.table("[target]");
    match &target.kind {
        TargetKind::Reference { defects, .. } => {
            out.key(&keys::KIND, &true);
            out.raw(&keys::DEFECTS, array(defects.iter().map(String::as_str)));
        }
        TargetKind::Url { base_url } => {
            out.key(&keys::KIND, &false);
            out.raw(&keys::URL, base_url.as_str());
        }
    }
    out.key(&keys::LANE, &target.lane);
    out.key(&keys::SOCKET_PATH, &target.socket_path);
    out.some(&keys::CLIENT_BUILD_ID, target.client_build_id.as_ref());
    if target.commands != keys::COMMANDS.default_value() {
        out.key(&keys::COMMANDS, &target.commands);
    }
    if !target.command.is_empty() {
        out.raw(&keys::COMMAND, array(target.command.iter().map(String::as_str)));
    }
    out.some(&keys::CLIENTS_MAX, target.clients_max.as_ref());
    out.some(&keys::CONNECT_RATE_MAX, target.connect_rate_max.map(Rate).as_ref());
    out.key(&keys::CONNECT_TIMEOUT, &target.connect_timeout);
    out.key(&keys::REQUEST_TIMEOUT, &target.request_timeout);
    out.key(&keys::EXCLUSIVE, &target.exclusive);
    out.key(&keys::APPLY, &target.apply);
    out.key(&keys::SNAPSHOT, &target.snapshot);
    match &target.build {
        None => {}
        Some(BuildSource::Header(name)) => out.raw(&keys::BUILD_HEADER, name.as_str()),
        Some(BuildSource::Command(command)) => {
            out.raw(&keys::BUILD_COMMAND, array(command.iter().map(String::as_str)));
        }
    }
    if !target.close_codes.is_empty() {
        let codes = target.close_codes.iter().map(|code| toml::Value::from(u32::from(*code)));
        out.raw(&keys::CLOSE_CODES, codes.collect::<Vec<_>>());
    }
    out.raw(&keys::MESSAGE_MAX, format_bytes(target.message_max));
    out.key(&keys::DENSE_STATES, &target.dense_states);
    if !target.findings_are_rules.is_empty() {
        out.raw(&keys::FINDINGS_ARE_RULES, array(target.findings_are_rules.iter().copied()));
    }
    if let Some(allows) = &target.allows {
        out.raw(&keys::MAY_BE_DONE, array(allows.iter().copied()));
    }
    let secrets = [
        (keys::ADMIN_TOKEN.name, &target.admin_token),
        (keys::COMMAND_SECRET.name, &target.command_secret),
    ];
    for (key, secret) in secrets {
        secret.iter().for_each(|secret| auth::write_secret(out, key, secret));
    }
    let reference = matches!(target.kind, TargetKind::Reference { .. });
    if !reference {
        way::write(out, &target.way);
    }
    extras::write(out, &keys::HEADERS, &target.headers);
    extras::write(out, &keys::QUERY, &target.query);
    if !reference {
        way::write_tls(out, &target.way.tls);
    }
    slowness::write(out, &target.slow_consumer, reference);
    if let TargetKind::Reference { topics, .. } = &target.kind {
        retention::write(out, &keys::TOPICS, topics);
    }
    retention::write(out, &keys::RETAINS, &target.retains);
}
