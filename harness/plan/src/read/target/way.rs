//! How a target by URL is reached: TLS, a proxy, and where its control service is.

use std::path::PathBuf;

use super::authority::{self, Wrong};
use crate::model::{TargetKind, TlsKeys, Way};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::{Cx, Fields};
use crate::read::key::{Bool, Key, KeyOr, Raw, Table, Text, Writer};
use crate::read::scalar::Read;
use crate::read::schema::{Shape, pattern};
use crate::read::source::Place;
use crate::read::tree::Node;

pub(super) const CONTROL_URL: Key<Raw> = Key::new(
    "control_url",
    Raw(|| Shape::Matching(pattern::whole(r"https?://[^\s/?#@]+/*"))),
    "control_url = \"https://control.example.com\"",
    "Base url of the control service of a target by URL, which makes tokens (`mint = \"control\"`) and revokes \
     sessions. Default: `url`.",
);
pub(super) const PROXY: Key<Raw> = Key::new(
    "proxy",
    Raw(|| Shape::Matching(pattern::whole(r"http://[^\s/?#@]+/*"))),
    "proxy = \"http://127.0.0.1:3128\"",
    "HTTP proxy through which every connection goes, by CONNECT. Default: what HTTPS_PROXY, HTTP_PROXY, \
     ALL_PROXY and NO_PROXY say of the host; of this machine none.",
);
pub(super) const CLEAR_TEXT: KeyOr<Bool> = Key::new(
    "clear_text",
    Bool,
    "clear_text = true",
    "Whether tokens and secrets may go to another host without TLS.",
)
.or(false);
pub(super) const TLS: Key<Raw> = Key::new(
    "tls",
    Raw(|| Shape::Table("tls")),
    "[target.tls]",
    "How a target by an `https` URL is spoken to.",
);

const CA: Key<Text> = Key::new(
    "ca",
    Text,
    "ca = \"ca.pem\"",
    "PEM file of the certificate authorities that are trusted. Default: the system's.",
);
const CLIENT_CERTIFICATE: Key<Text> = Key::new(
    "client_certificate",
    Text,
    "client_certificate = \"client.pem\"",
    "PEM file of the certificate that clients show, with those that lead to its root.",
)
.beside("client_key");
const CLIENT_KEY: Key<Text> = Key::new(
    "client_key",
    Text,
    "client_key = \"client.key\"",
    "PEM file of the key of `client_certificate`.",
)
.beside("client_certificate");
const SERVER_NAME: Key<Text> = Key::new(
    "server_name",
    Text,
    "server_name = \"sync.example.com\"",
    "Name that is asked for (SNI) and that the certificate must have. Default: the URL's host.",
);
const INSECURE: KeyOr<Bool> = Key::new(
    "insecure",
    Bool,
    "insecure = true",
    "Whether any certificate is taken. Stamped on every report: nobody knows then who was tested.",
)
.or(false);

/// `[target.tls]`
pub(crate) const TABLE: Table = Table::new(
    "tls",
    "`[target.tls]`",
    "How a target by an `https` URL is spoken to.",
    &[&CA, &CLIENT_CERTIFICATE, &CLIENT_KEY, &SERVER_NAME, &INSECURE],
);

/// Reads how a target of this kind is reached; `reference` is the embedded one, which is reached in one way.
pub(super) fn read(target: &Fields<'_>, kind: Option<&TargetKind>, reference: bool) -> Option<Way> {
    if reference {
        let why = "with `kind = \"reference\"`: it is this machine's own";
        for key in [&CONTROL_URL as &dyn crate::read::key::Declared, &PROXY, &CLEAR_TEXT, &TLS] {
            target.no_effect_by(key, target.node(&super::keys::KIND), why);
        }
        return Some(Way::default());
    }
    let url = |key: &Key<Raw>, schemes: &[&str]| match target.node(key) {
        Some(node) => base_url(target, key.name, node, schemes).map(Some),
        None => (!target.has(key)).then_some(None),
    };
    let control_url = url(&CONTROL_URL, &["http://", "https://"]);
    let proxy = url(&PROXY, &["http://"]);
    let clear_text = target.or(&CLEAR_TEXT);
    let tls = tls(target);
    let of_control = control_url.as_ref().and_then(Option::as_deref);
    if let Some(TargetKind::Url { base_url }) = kind
        && ![Some(base_url.as_str()), of_control]
            .iter()
            .flatten()
            .any(|url| url.starts_with("https"))
    {
        let url = target.node(&super::keys::URL);
        target.no_effect_by(&TLS, url, "with a url of `http`: nothing is encrypted");
    }
    Some(Way { control_url: control_url?, proxy: proxy?, clear_text, tls: tls? })
}

fn tls(target: &Fields<'_>) -> Option<TlsKeys> {
    let fields = target.inner(&TLS, &TABLE);
    let path = |key: &Key<Text>| fields.get(key).map(PathBuf::from);
    let (ca, certificate, key) = (path(&CA), path(&CLIENT_CERTIFICATE), path(&CLIENT_KEY));
    let server_name = fields.get(&SERVER_NAME);
    let insecure = fields.or(&INSECURE);
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err((&CLIENT_CERTIFICATE, "client_key")),
        (None, Some(_)) => Err((&CLIENT_KEY, "client_certificate")),
    };
    let client = client.map_err(|(given, missing)| {
        if let Some(node) = fields.node(given) {
            let what = format!("`{}` without `{missing}`", given.name);
            let help = "a client shows a certificate and signs with its key: name both files";
            fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        }
    });
    fields.finish();
    Some(TlsKeys { ca, client: client.ok()?, server_name, insecure })
}

/// Reads scheme, host and port, and nothing else; written without a slash at its end.
pub(super) fn base_url(
    fields: &Fields<'_>,
    key: &str,
    node: &Node,
    schemes: &[&str],
) -> Option<String> {
    let url = String::read(fields.cx, key, node)?;
    mask_login(fields.cx, &node.place, &url);
    let fail = |what: &str, help: &str| {
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    };
    let Some(scheme) = schemes.iter().find(|scheme| url.starts_with(**scheme)) else {
        let known: Vec<_> = schemes.iter().map(|scheme| format!("`{scheme}`")).collect();
        let what = format!("`{key}` starts with {}", known.join(" or "));
        fail(&what, "write such as `http://127.0.0.1:4000`");
        return None;
    };
    let authority = url[scheme.len()..].trim_end_matches('/');
    let port_by_scheme = if *scheme == "https://" { 443 } else { 80 };
    if let Err(Wrong { what, help }) = authority::check(authority, port_by_scheme) {
        fail(&what, &help);
    }
    Some(format!("{scheme}{authority}"))
}

/// Hides what stands before the host of a url: a user, and mostly a password.
fn mask_login(cx: &Cx, place: &Place, url: &str) {
    let begin = url.find("://").map_or(0, |at| at + "://".len());
    if let Some(end) = url.rfind('@').filter(|end| *end > begin) {
        let login = cx.sources.borrow().part(place, url, begin..end);
        cx.sources.borrow_mut().mask(&login);
    }
}

/// Writes the keys of `[target]` itself.
pub(super) fn write(out: &mut Writer, way: &Way) {
    if let Some(url) = &way.control_url {
        out.raw(&CONTROL_URL, url.as_str());
    }
    if let Some(url) = &way.proxy {
        out.raw(&PROXY, url.as_str());
    }
    out.key(&CLEAR_TEXT, &way.clear_text);
}

/// Writes `[target.tls]`.
pub(super) fn write_tls(out: &mut Writer, keys: &TlsKeys) {
    if *keys == TlsKeys::default() {
        return;
    }
    let TlsKeys { ca, client, server_name, insecure } = keys;
    let text = |path: &PathBuf| path.display().to_string();
    out.table("[target.tls]");
    out.some(&CA, ca.as_ref().map(text).as_ref());
    if let Some((certificate, key)) = client {
        out.key(&CLIENT_CERTIFICATE, &text(certificate));
        out.key(&CLIENT_KEY, &text(key));
    }
    out.some(&SERVER_NAME, server_name.as_ref());
    out.key(&INSECURE, insecure);
}
