//! `[auth]`: how clients come by tokens. Secrets are named here, never held.

use std::time::Duration;

use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID};

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::interpolate::is_variable;
use super::key::{Case, Declared, Key, KeyOr, Raw, Table, Text, Within, Words, Writer, pairs};
use super::scalar::Read;
use super::schema::{Shape, pattern};
use super::source::Place;
use super::tree::{Node, Value};
use super::words::words;
use crate::model::{Auth, Mint, Secret};

const MINT: KeyOr<Words<Minter>> = Key::new(
    "mint",
    Words(&[("hs256", Minter::Hs256), ("control", Minter::Control), ("static", Minter::Static)]),
    "mint = \"control\"",
    "Who makes tokens. `hs256`: the harness signs with a shared key. `control`: the \
     control service, `POST /api/sync/token`, before every connect. `static`: made elsewhere \
     (`token`).",
)
.or(Minter::Hs256);
const KID: KeyOr<Text> =
    Key::new("kid", Text, "kid = \"2026-02\"", "Id of the key of `hs256`.").or(DEFAULT_KID);
const KEY: Key<Raw> = Key::new(
    "secret",
    Raw(opening_shape),
    "secret = { env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }",
    "Where the key of `hs256` is, never the key itself. The embedded runtime needs none: \
     it is made for each run.",
);
const ISSUER: KeyOr<Text> =
    Key::new("issuer", Text, "issuer = \"https://khala.example\"", "`iss` of tokens of `hs256`.")
        .or(DEFAULT_ISSUER);
const AUDIENCE: KeyOr<Text> =
    Key::new("audience", Text, "audience = \"sync\"", "`aud` of tokens of `hs256`.")
        .or(DEFAULT_AUDIENCE);
const TOKEN: Key<Raw> = Key::new(
    "token",
    Raw(opening_shape),
    "token = { env = \"KHALA_TOKEN\" }",
    "Where the token of `static` is, never the token itself. There may be several, one a line: clients take \
     them in turn, and share them where there are fewer.",
);
const SESSION_TOKEN: Key<Raw> = Key::new(
    "session_token",
    Raw(opening_shape),
    "session_token = { command = [\"pass\", \"khala/session\"] }",
    "Where the session access token is that all clients show the control service, never the token itself. \
     Default: each client has one of a session of its own, signed with the key in \
     KHALA_TARGET_SESSION_KEY or KHALA_REFERENCE_SESSION_KEY.",
);
const TTL: KeyOr<Within<Duration>> = Key::new(
    "ttl",
    Within(Duration::from_secs(1), Duration::from_secs(24 * 3600)),
    "ttl = \"5m\"",
    "Time to live of a token.",
)
.or(Duration::from_secs(15 * 60));

/// `[auth]`
pub(crate) const TABLE: Table = Table::new(
    "auth",
    "`[auth]`",
    "How clients come by tokens.",
    &[&MINT, &TOKEN, &SESSION_TOKEN, &KID, &ISSUER, &AUDIENCE, &KEY, &TTL],
)
.cases(|| vec![Case::when(&MINT, ["static"]).needs(&TOKEN)]);

const ENV: Key<Raw> = Key::new(
    "env",
    Raw(|| Shape::Matching(pattern::whole(pattern::VARIABLE))),
    "env = \"KHALA_TOKEN\"",
    "Name of the environment variable that holds it.",
)
.alternative();
const FILE: Key<Text> =
    Key::new("file", Text, "file = \"token.txt\"", "Path of the file that holds it.").alternative();

/// Where a secret is.
pub(crate) const SECRET: Table = Table::new(
    "secret",
    "`secret`",
    "Where a secret is: `{ env = \"NAME\" }` or `{ file = \"path\" }`.",
    &[&ENV, &FILE],
)
.replaced();

const COMMAND: Key<Raw> = Key::new(
    "command",
    Raw(|| Shape::Command),
    "command = [\"pass\", \"khala/token\"]",
    "Program and arguments; what it writes to standard output within 30 s is the secret. It runs once, before \
     the run, with `--allow-hooks` only.",
)
.alternative();

/// Where a secret is that opens the target.
pub(crate) const OPENING: Table = Table::new(
    "opening",
    "`opening`",
    "Where a secret is that opens the target: `{ env = \"NAME\" }`, `{ file = \"path\" }` or \
     `{ command = [\"program\", \"argument\"] }`.",
    &[&ENV, &FILE, &COMMAND],
)
.replaced();

/// What a key may be that says where a secret is that opens the target.
pub(crate) fn opening_shape() -> Shape {
    Shape::Whole(OPENING.definition())
}

#[derive(Clone, Copy, PartialEq)]
enum Minter {
    Hs256,
    Control,
    Static,
}

/// Reads `[auth]`; `reference` says whether the target is the embedded one, and `kind` is where that is said.
pub(crate) fn read(
    mut fields: Fields<'_>,
    reference: Option<bool>,
    kind: Option<&Node>,
) -> Option<Auth> {
    let minter = fields.right(&MINT);
    let mint = match minter {
        Some(Minter::Hs256) => hs256(&fields, reference, kind),
        Some(Minter::Control) => {
            no_effect(&fields, &[&KID, &KEY, &ISSUER, &AUDIENCE, &TOKEN], "control");
            match fields.node(&SESSION_TOKEN) {
                None => Some(Mint::Control { session_token: None }),
                Some(node) => opening(fields.cx, SESSION_TOKEN.name, node)
                    .map(|secret| Mint::Control { session_token: Some(secret) }),
            }
        }
        Some(Minter::Static) => static_token(&mut fields, reference),
        None => {
            // Which of them it needs is not known; what is there is read, so that its mistakes are told.
            for key in [&TOKEN, &KEY, &SESSION_TOKEN] {
                let _ = fields.node(key).map(|node| opening(fields.cx, key.name, node));
            }
            [&KID, &ISSUER, &AUDIENCE].iter().for_each(|key| fields.examine(*key));
            None
        }
    };
    let ttl = match minter {
        Some(Minter::Static) => {
            fields.no_effect_by(&TTL, fields.node(&MINT), "on a token that was made elsewhere");
            TTL.default_value()
        }
        _ => fields.or(&TTL),
    };
    fields.finish();
    Some(Auth { mint: mint?, ttl })
}

fn no_effect(fields: &Fields<'_>, keys: &[&dyn Declared], mint: &str) {
    for key in keys {
        fields.no_effect_by(*key, fields.node(&MINT), &format!("with `mint = \"{mint}\"`"));
    }
}

fn hs256(fields: &Fields<'_>, reference: Option<bool>, kind: Option<&Node>) -> Option<Mint> {
    no_effect(fields, &[&TOKEN, &SESSION_TOKEN], "hs256");
    let kid = fields.or(&KID);
    let issuer = fields.or(&ISSUER);
    let audience = fields.or(&AUDIENCE);
    let secret = match fields.node(&KEY) {
        Some(node) => opening(fields.cx, KEY.name, node),
        None if reference == Some(false) && !fields.has(&KEY) => {
            fields.cx.report_missing(no_secret(fields, kind));
            None
        }
        None => Some(Secret::Generated),
    };
    Some(Mint::Hs256 { kid, secret: secret?, issuer, audience })
}

/// That a key is missing, in the file in which it belongs: that of a profile which names the target, or the way to tokens.
fn no_secret(fields: &Fields<'_>, kind: Option<&Node>) -> Diagnostic {
    let sources = fields.cx.sources.borrow();
    let file = |place: &&Place| sources.get(place.source).path.is_some();
    let said = [fields.node(&MINT), kind].into_iter().flatten().map(|node| &node.place);
    // The first of those that are laid over the others.
    let laid = said.filter(file).fold(&fields.place, |last, place| {
        if sources.layer(place) > sources.layer(last) { place } else { last }
    });
    let what = format!("{} lacks the `secret` that the target verifies with", fields.name);
    let into = sources.get(laid.source).path.as_deref().map(|path| format!(" of {path}"));
    let help = format!(
        "add `{}` to the {}{}; a target that `--target URL` names is given the key in that variable without it",
        KEY.example(),
        fields.name,
        into.unwrap_or_default()
    );
    Diagnostic::error(laid, what).help(help)
}

fn static_token(fields: &mut Fields<'_>, reference: Option<bool>) -> Option<Mint> {
    no_effect(fields, &[&KID, &KEY, &ISSUER, &AUDIENCE, &SESSION_TOKEN], "static");
    if reference == Some(true) {
        let what = "the reference runtime makes its key for each run, which no static token fits";
        let help = "use `mint = \"hs256\"`";
        fields.cx.report(Diagnostic::error(&fields.place_of(&MINT), what).help(help));
    }
    let node = fields.need_node(&TOKEN)?;
    Some(Mint::Static { token: opening(fields.cx, TOKEN.name, node)? })
}

/// `{ env = "NAME" }` or `{ file = "…" }`, and nothing else.
pub(crate) fn secret(cx: &Cx, key: &str, node: &Node) -> Option<Secret> {
    secret_of(cx, key, node, &SECRET)
}

/// The same, or `{ command = […] }`.
pub(crate) fn opening(cx: &Cx, key: &str, node: &Node) -> Option<Secret> {
    secret_of(cx, key, node, &OPENING)
}

fn secret_of(cx: &Cx, key: &str, node: &Node, table: &Table) -> Option<Secret> {
    if !matches!(node.value, Value::Table(_) | Value::Poison) {
        // What stands there may be the secret itself.
        cx.sources.borrow_mut().mask(&node.place);
        let what = format!("`{key}` is a secret and must not stand in a scenario");
        let help = format!("write `{key} = {{ env = \"NAME\" }}` or `{{ file = \"path\" }}`");
        cx.report(Diagnostic::error(&node.place, what).label("say where it is").help(help));
        return None;
    }
    let fields = Fields::called(cx, node, format!("`{key}`"), table.keys)?;
    let (env, file) = (fields.node(&ENV), fields.node(&FILE));
    let runs = table.keys.iter().any(|it| it.name() == COMMAND.name);
    let command = runs && fields.has(&COMMAND);
    let words = if command { words(&fields, &COMMAND) } else { Some(None) };
    let place = fields.place.clone();
    fields.finish();
    match (env, file, command) {
        (Some(env), None, false) => {
            let name = String::read(cx, ENV.name, env)?;
            if is_variable(&name) {
                return Some(Secret::Env(name));
            }
            cx.sources.borrow_mut().mask(&env.place);
            let what = "`env` is not the name of an environment variable";
            let help = "write the variable's name here, not the secret";
            cx.report(Diagnostic::error(&env.place, what).help(help));
            None
        }
        (None, Some(file), false) => String::read(cx, FILE.name, file).map(Secret::File),
        (None, None, true) => words?.map(Secret::Command),
        _ => {
            let what = format!("`{key}` is read from one place");
            let help = match runs {
                false => "write either `{ env = \"NAME\" }` or `{ file = \"path\" }`",
                true => {
                    "write one of `{ env = \"NAME\" }`, `{ file = \"path\" }` and \
                     `{ command = [\"program\"] }`"
                }
            };
            cx.report(Diagnostic::error(&place, what).help(help));
            None
        }
    }
}

/// Writes how clients come by tokens.
pub(crate) fn write(out: &mut Writer, auth: &Auth) {
    out.table("[auth]");
    match &auth.mint {
        Mint::Hs256 { kid, secret, issuer, audience } => {
            out.key(&MINT, &Minter::Hs256);
            out.key(&KID, kid);
            write_secret(out, KEY.name, secret);
            out.key(&ISSUER, issuer);
            out.key(&AUDIENCE, audience);
        }
        Mint::Control { session_token } => {
            out.key(&MINT, &Minter::Control);
            session_token.iter().for_each(|it| write_secret(out, SESSION_TOKEN.name, it));
        }
        Mint::Static { token } => {
            out.key(&MINT, &Minter::Static);
            write_secret(out, TOKEN.name, token);
            // A token made elsewhere has its own time to live.
            return;
        }
    }
    out.key(&TTL, &auth.ttl);
}

/// Writes where a secret is.
pub(crate) fn write_secret(out: &mut Writer, key: &str, secret: &Secret) {
    let (place, name): (_, toml::Value) = match secret {
        Secret::Env(name) => (ENV.name, name.as_str().into()),
        Secret::File(path) => (FILE.name, path.as_str().into()),
        Secret::Command(words) => (COMMAND.name, words.clone().into()),
        Secret::Generated => return,
    };
    let place = pairs(std::iter::once((place, &name)));
    out.line(format_args!("{key} = {place}"));
}
