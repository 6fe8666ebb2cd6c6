//! Texts that come from the target, made harmless where they enter: without secrets, escaped, cut.
//!
//! What may be written to a terminal, a table or a file later on is decided here, once: no control
//! character, no mark that changes the direction or the look of what stands around it, nothing that a
//! table would take for its own. What looks like a token or a key is not kept at all.

use khala_wire::unseen::{is_unseen, number};

/// Longest text kept of an answer, in characters.
const TEXT_MAX: usize = 160;
/// Longest word kept (a status, a code), in characters.
const WORD_MAX: usize = 60;
/// Longest build kept, in characters.
const BUILD_MAX: usize = 200;
/// Characters in a row, letters and digits among them, that are taken for a secret.
const SECRET_MIN: usize = 32;
/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";
/// Names whose values are secrets however short they are.
const SECRET_NAMES: [&str; 8] =
    ["token", "bearer", "authorization", "secret", "password", "passwd", "signature", "api_key"];

/// What stands between the name of a header and its secret, besides `Bearer`.
const SCHEMES: [&str; 4] = ["basic", "digest", "negotiate", "apikey"];

/// A text of the target, such as the beginning of a body.
#[must_use]
pub fn text(text: &str) -> Box<str> {
    harmless(text, TEXT_MAX)
}

/// A word of the target, such as a code or a header's value.
#[must_use]
pub fn word(text: &str) -> Box<str> {
    harmless(text, WORD_MAX)
}

/// A build, as whoever names a header or a command for it wants to see it: its first line. A commit's digest looks
/// like a key, and is none.
#[must_use]
pub fn build(text: &str) -> Box<str> {
    cut(text.lines().next().unwrap_or_default().trim(), BUILD_MAX)
}

/// A text of the target that is to be seen as it stood, such as a frame: only what would change what
/// stands around it is escaped.
#[must_use]
pub fn frame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match escape(c) {
            Some(escaped) if !matches!(c, '\\' | '|' | '`') => out.push_str(&escaped),
            _ => out.push(c),
        }
    }
    out
}

/// What a command wrote, line by line; how much of it is kept is for the caller to say.
#[must_use]
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in without_secrets(text).chars() {
        match escape(c) {
            Some(escaped) if c != '\n' => out.push_str(&escaped),
            _ => out.push(c),
        }
    }
    out
}

/// What a parser says of a text of the target, which it may quote.
#[must_use]
pub fn error(error: &dyn std::fmt::Display) -> String {
    text(&error.to_string().replace('`', "'")).into()
}

/// A text of the target from its bytes; `None` of one that says nothing.
#[must_use]
pub fn body(bytes: &[u8]) -> Option<Box<str>> {
    // A character may take four bytes; what is cut in two is replaced, and cut off.
    let start = &bytes[..bytes.len().min(4 * TEXT_MAX)];
    let told = text(String::from_utf8_lossy(start).trim());
    (!told.is_empty()).then_some(told)
}

fn harmless(text: &str, max: usize) -> Box<str> {
    cut(&without_secrets(text), max)
}

/// A text, escaped, as far as it goes into so many characters.
fn cut(text: &str, max: usize) -> Box<str> {
    let mut out = String::new();
    let mut shown = 0;
    for c in text.chars() {
        let escaped = escape(c);
        let width = escaped.as_ref().map_or(1, |text| text.chars().count());
        if shown + width > max {
            out.push('…');
            break;
        }
        shown += width;
        match escaped {
            Some(text) => out.push_str(&text),
            None => out.push(c),
        }
    }
    out.into()
}

/// How a character is written that must not stand for itself.
fn escape(c: char) -> Option<String> {
    match c {
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        // A table would take them for its own.
        '|' | '`' => Some(number(c)),
        c => is_unseen(c).then(|| number(c)),
    }
}

/// Whether a character may be part of a token or a key.
fn is_of_a_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '=' | '~' | '%')
}

/// The text without what looks like a secret.
fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut named = false;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_of_a_secret(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let (before_value, value) = split_value(run);
        let names = |part: &str| {
            let part = part.trim_end_matches('=').to_ascii_lowercase();
            SECRET_NAMES.iter().any(|name| part.ends_with(name))
        };
        if value.is_empty() {
            let begins = after.trim_start_matches(['"', '\'', '\\', ' ']).starts_with(':');
            // What is a name itself, and no value that ends as one.
            let is_name = names(run) && (begins || is_one(run));
            let secret = !run.is_empty() && (named || looks_like_a_secret(run)) && !is_name;
            out.push_str(if secret { REDACTED } else { run });
        } else {
            out.push_str(before_value);
            let secret = names(before_value) || looks_like_a_secret(value);
            out.push_str(if secret { REDACTED } else { value });
        }
        let gap = after.find(is_of_a_secret).unwrap_or(after.len());
        let (between, next) = after.split_at(gap);
        // A name's value stands behind a colon (`"token": "…"`), a scheme's behind a blank (`Bearer …`).
        let near = between.chars().all(|c| matches!(c, '"' | '\'' | ':' | ' ' | '\\'));
        let is_scheme = |scheme: &&str| run.eq_ignore_ascii_case(scheme);
        let scheme = is_scheme(&"bearer") || named && SCHEMES.iter().any(is_scheme);
        named = near && (scheme || names(run) && between.contains(':'));
        out.push_str(between);
        rest = next;
    }
    out
}

/// A run at its first `=` that has something behind it: the name with the sign, and the value.
fn split_value(run: &str) -> (&str, &str) {
    match run.find('=') {
        Some(at) if at > 0 && !run[at..].trim_matches('=').is_empty() => run.split_at(at + 1),
        _ => (run, ""),
    }
}

/// Whether a run is the name of a secret, and nothing more.
fn is_one(run: &str) -> bool {
    SECRET_NAMES.iter().any(|name| run.eq_ignore_ascii_case(name))
}

fn looks_like_a_secret(run: &str) -> bool {
    let any = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    let mixed = any(u8::is_ascii_digit) && any(u8::is_ascii_alphabetic);
    let jwt = run.starts_with("eyJ") && run.len() >= 12;
    jwt || run.len() >= SECRET_MIN && mixed && !is_uuid(run)
}

/// An id of a request or a trace helps whoever looks for it, and opens nothing.
fn is_uuid(run: &str) -> bool {
    let parts: Vec<_> = run.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && run.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_what_stands_around_it_is_made_visible() {
        for (said, shown) in [
            ("plain, as it is <b>", "plain, as it is <b>"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a|b`c", "a\\u{7c}b\\u{60}c"),
            ("two\r\nlines\t.", "two\\r\\nlines\\t."),
            ("\u{202e}evil\u{200b}", "\\u{202e}evil\\u{200b}"),
            ("\u{ffff}\u{feff}\u{e000}\0", "\\u{ffff}\\u{feff}\\u{e000}\\u{0}"),
            // The object replacement character stands for what is not there.
            ("a\u{fffc}b", "a\\u{fffc}b"),
            ("back\\slash", "back\\\\slash"),
        ] {
            assert_eq!(&*text(said), shown);
        }
    }

    #[test]
    fn a_build_stays_whole_and_cannot_change_what_stands_around_it() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(&*build(&format!(" {commit}\nsecond line")), commit);
        assert_eq!(&*build("7\u{202e}`\u{1b}[1A"), "7\\u{202e}\\u{60}\\u{1b}[1A");
        assert_eq!(build(&"7".repeat(300)).chars().count(), BUILD_MAX + 1);
        assert_eq!(&*build("\n7"), "");
    }

    #[test]
    fn a_frame_stays_as_it_stood_but_for_what_a_terminal_would_obey() {
        let hash = "x".repeat(300);
        let said = format!("[null,\"a|b`c\\n\",\"{hash}\"]");
        assert_eq!(frame(&said), said);
        assert_eq!(frame("\u{1b}[1A\nGO\u{202e}"), "\\u{1b}[1A\\nGO\\u{202e}");
        assert_eq!(error(&"unknown variant `\u{1b}`"), "unknown variant '\\u{1b}'");
    }

    #[test]
    fn long_texts_are_cut_and_no_escape_is_cut_in_two() {
        let long = text(&"x".repeat(1_000));
        assert_eq!(long.chars().count(), TEXT_MAX + 1);
        assert!(long.ends_with("x…"));
        let escapes = text(&"\u{7}".repeat(1_000));
        assert!(escapes.ends_with("\\u{7}…"), "{escapes}");
        assert_eq!(word(&"y".repeat(100)).chars().count(), WORD_MAX + 1);
        assert_eq!(body(b" \n "), None);
        assert_eq!(body("ü".repeat(700).as_bytes()).expect("a text").chars().count(), TEXT_MAX + 1);
        assert!(body(b"\xff\xfe").expect("a text").contains('\u{fffd}'));
    }

    #[test]
    fn secrets_are_not_kept() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyOjEifQ.c2lnbmF0dXJl";
        let key = "0123456789abcdef0123456789abcdef";
        for said in [
            format!("no such token {jwt} here"),
            format!("GET /socket?token={jwt}&vsn=2.0.0"),
            format!("{{\"token\": \"short{}\"}}", 1),
            "Authorization: Bearer short1".to_owned(),
            // A value that ends as a name does is one.
            "Authorization: Bearer short1-token".to_owned(),
            "password: short1-secret".to_owned(),
            "authorization: Basic short1".to_owned(),
            "password=short1".to_owned(),
            format!("key {key}"),
            jwt.to_string(),
        ] {
            let shown = text(&said);
            assert!(shown.contains(REDACTED), "{shown}");
            for secret in [jwt, key, "short1"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_kept() {
        for said in [
            "khala_publish_rate_limited",
            "{\"error\":\"token_expired\",\"retry_after_ms\":500}",
            "request 6f1f5a3c-2f0a-4b7e-9d56-0a1b2c3d4e5f failed",
            "the token is missing",
        ] {
            assert_eq!(&*text(said), said);
        }
    }
}
