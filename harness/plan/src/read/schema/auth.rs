//! `[auth]`, and where secrets are.

use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID};

use super::pattern;
use super::shape::Shape;
use super::table::{Case, Key, Table};
use crate::read::auth::{MINTERS, TTL, TTLS};
use crate::units::format_duration;

/// Every table of the section.
pub(super) fn tables() -> Vec<Table> {
    vec![auth(), secret()]
}

fn auth() -> Table {
    let keys = vec![
        Key::new(
            "mint",
            Shape::words(&MINTERS),
            "Who makes tokens. `hs256`: the harness signs with a shared key. `control`: the \
             control service, `POST /api/sync/token`, before every connect. `static`: one token \
             for all, made elsewhere.",
        )
        .or("hs256"),
        Key::new("kid", Shape::Text, "Id of the key of `hs256`.").or(DEFAULT_KID),
        Key::new(
            "secret",
            Shape::Whole("secret".to_owned()),
            "Where the key of `hs256` is, never the key itself. The embedded runtime needs none: \
             it is made for each run.",
        ),
        Key::new("issuer", Shape::Text, "`iss` of tokens of `hs256`.").or(DEFAULT_ISSUER),
        Key::new("audience", Shape::Text, "`aud` of tokens of `hs256`.").or(DEFAULT_AUDIENCE),
        Key::new(
            "token",
            Shape::Whole("secret".to_owned()),
            "Where the token of `static` is, never the token itself.",
        ),
        Key::new("ttl", Shape::Duration(TTLS), "Time to live of a token.").or(format_duration(TTL)),
    ];
    Table::new("auth", "How clients come by tokens.", keys)
        .case(Case::when("mint", ["static"]).needs("token"))
}

fn secret() -> Table {
    let keys = vec![
        Key::new(
            "env",
            Shape::Matching(pattern::whole(pattern::VARIABLE)),
            "Name of the environment variable that holds it.",
        )
        .alternative(),
        Key::new("file", Shape::Text, "Path of the file that holds it.").alternative(),
    ];
    let doc = "Where a secret is: `{ env = \"NAME\" }` or `{ file = \"path\" }`.";
    Table::new("secret", doc, keys).replaced()
}
