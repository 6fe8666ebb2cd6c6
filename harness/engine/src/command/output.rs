//! What commands say, as it may be kept: its start and its end, without secrets.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use khala_plan::{Plan, names_a_secret};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::secrets;
use crate::target::keys;
use crate::{environment, said};

/// Bytes kept of the start of a stream, and as many of its end.
const KEPT: usize = 4 * 1024;
/// The longest secret that is looked for as it stands, in bytes; longer ones by their first so many.
const SECRET_MAX: usize = 4 * 1024;
/// Values shorter than this are taken for no secret: they would blank out plain words.
const SECRET_MIN: usize = 4;
/// The shortest part of an encoding that is looked for, in characters: shorter ones may be plain words.
const ENCODED_MIN: usize = 6;
/// What RFC 3986 leaves as it is in a component, so that `encodeURIComponent` and its like do, too.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is not ASCII, a control or what a URL has a meaning for: as those encode a path or a query who leave the rest.
const URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`');
/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// Knows secrets, and takes them out of texts. `Debug` shows none.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first.
    secrets: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Knows these, and what the environment holds under the names of secrets or as the password of a URL.
    #[must_use]
    pub fn new(
        known: impl IntoIterator<Item = Vec<u8>>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut secrets: Vec<Vec<u8>> = known.into_iter().collect();
        for (name, value) in environment {
            secrets.extend(password(&value).map(|password| password.as_bytes().to_vec()));
            if names_a_secret(&name) {
                // What holds several of them is none that is printed as it stands.
                let parts = value.split([',', ';', ' ']).filter(|part| *part != value);
                secrets.extend(parts.map(|part| part.as_bytes().to_vec()));
                secrets.push(value.into_bytes());
            }
        }
        secrets.retain(|secret| secret.trim_ascii().len() >= SECRET_MIN);
        let encoded: Vec<_> = secrets.iter().flat_map(|secret| encodings(secret)).collect();
        secrets.extend(encoded);
        secrets.iter_mut().for_each(|secret| secret.truncate(SECRET_MAX));
        secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        secrets.dedup();
        Self { secrets }
    }

    /// Knows these, the secrets of the harness's own environment, and those that commands told it.
    #[must_use]
    pub fn of_environment(known: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::new(known.into_iter().chain(secrets::all()), environment::all())
    }

    /// Knows the secrets that a plan names, those of a command once it told them ([`keys::learn`]), and those of the
    /// harness's own environment.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        Self::of_environment(keys::known(plan).into_iter().map(String::into_bytes))
    }

    /// Knows all secrets that this process met, wherever they were read from, and those of its environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(secrets::met(), environment::all())
    }

    /// The same for a panic, which may have come in the middle of learning one: it waits for nobody, and is `None` where
    /// that cannot be known now.
    #[must_use]
    pub fn of_panic() -> Option<Self> {
        Some(Self::new(secrets::try_met()?, environment::all()))
    }

    /// A word of a command, or another text of somebody's own, as it may be shown.
    #[must_use]
    pub fn word(&self, word: &str) -> String {
        let clean = self.clean(word.as_bytes(), 0..word.len());
        String::from_utf8_lossy(&clean).into_owned()
    }

    /// The words of a command, as they may be shown: quoted, with commas between them.
    #[must_use]
    pub fn words(&self, words: &[String]) -> String {
        format!("{:?}", words.iter().map(|word| self.word(word)).collect::<Vec<_>>())
    }

    /// Those bytes of a range that belong to no secret; the secrets may reach beyond it.
    fn clean(&self, bytes: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(range.len());
        let mut at = 0;
        while at < range.end {
            let rest = &bytes[at..];
            match self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    at += secret.len();
                    if at > range.start {
                        out.extend_from_slice(REDACTED.as_bytes());
                    }
                }
                None => {
                    if at >= range.start {
                        out.push(bytes[at]);
                    }
                    at += 1;
                }
            }
        }
        out
    }
}

/// A plan as it may be told, on a screen or in evidence: without the secrets that it names and those of the
/// harness's own environment.
#[must_use]
pub fn told_plan(plan: &Plan) -> Plan {
    let redactor = Redactor::of_plan(plan);
    plan.told(&|text| redactor.word(text))
}

/// What a secret looks like where somebody encoded it: for a URL, in base64 wherever it begins there, as the text of a
/// JSON string.
fn encodings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for set in [NON_ALPHANUMERIC, COMPONENT, URL] {
        let encoded = percent_encode(secret, set).to_string();
        all.extend([with_small_digits(&encoded), encoded]);
    }
    for skipped in 0..3_usize {
        let text = BASE64.encode([&[0; 2][..skipped], secret].concat());
        // Characters that have bits of what stands before it or after it are others there.
        let (from, until) = ((skipped * 8).div_ceil(6), (skipped + secret.len()) * 8 / 6);
        let part = text.get(from..until).unwrap_or_default();
        all.extend([part.replace('+', "-").replace('/', "_"), part.to_owned()]);
    }
    if let Ok(text) = std::str::from_utf8(secret)
        && let Ok(json) = serde_json::to_string(text)
    {
        let inner = json[1..json.len() - 1].to_owned();
        all.extend([inner.replace('/', "\\/"), inner]);
    }
    all.retain(|it| it.len() >= ENCODED_MIN && it.as_bytes() != secret);
    all.into_iter().map(String::into_bytes).collect()
}

/// Percent-encoded text with its hex digits in small letters, as some write them.
fn with_small_digits(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    // No other `%` stands there than those of the encoding.
    for (number, part) in encoded.split('%').enumerate() {
        let (digits, rest) = part.split_at(if number == 0 { 0 } else { part.len().min(2) });
        out.push_str(if number == 0 { "" } else { "%" });
        out.push_str(&digits.to_ascii_lowercase());
        out.push_str(rest);
    }
    out
}

/// The password in a URL, such as that of a database.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

/// The start and the end of a stream, and a little more of both, so that no secret is cut in two.
pub(super) struct Captured {
    start: Vec<u8>,
    end: VecDeque<u8>,
    /// Bytes in all.
    len: usize,
    /// Bytes kept more than are shown.
    margin: usize,
}

impl Captured {
    pub fn new(redactor: &Redactor) -> Self {
        let margin = redactor.secrets.first().map_or(0, Vec::len);
        Self { start: Vec::new(), end: VecDeque::new(), len: 0, margin }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let room = KEPT + self.margin;
        self.len += bytes.len();
        let (first, rest) = bytes.split_at(bytes.len().min(room - self.start.len()));
        self.start.extend_from_slice(first);
        self.end.extend(rest);
        let excess = self.end.len().saturating_sub(room);
        self.end.drain(..excess);
    }

    /// What is kept of it.
    pub fn text(self, redactor: &Redactor) -> String {
        let both = 2 * (KEPT + self.margin);
        if self.len <= both {
            let all = [self.start, self.end.into()].concat();
            if all.len() <= 2 * KEPT {
                return harmless(&redactor.clean(&all, 0..all.len()));
            }
            return cut(redactor, &all, &all);
        }
        cut(redactor, &self.start, &Vec::from(self.end))
    }
}

/// Start and end of a text that is longer than what is kept of it.
fn cut(redactor: &Redactor, start: &[u8], end: &[u8]) -> String {
    let first = redactor.clean(start, 0..KEPT.min(start.len()));
    let last = redactor.clean(end, end.len().saturating_sub(KEPT)..end.len());
    // A word that was cut in two may be the part of a secret that nobody knows.
    let whole = |byte: &u8| byte.is_ascii_whitespace();
    let first = &first[..first.iter().rposition(whole).map_or(0, |at| at + 1)];
    let last = &last[last.iter().position(whole).unwrap_or(last.len())..];
    format!("{}\n…\n{}", harmless(first), harmless(last))
}

fn harmless(bytes: &[u8]) -> String {
    said::lines(String::from_utf8_lossy(bytes).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| secret.as_bytes().to_vec()), [])
    }

    fn said(redactor: &Redactor, parts: &[&[u8]]) -> String {
        let mut captured = Captured::new(redactor);
        parts.iter().for_each(|part| captured.push(part));
        captured.text(redactor)
    }

    #[test]
    fn known_secrets_are_taken_out_the_longest_first() {
        let redactor = redactor(&["hunter", "hunter22", "abc"]);
        assert_eq!(
            said(&redactor, &[b"a hunt", b"er22, hunter, abc"]),
            "a [redacted], [redacted], abc"
        );
        assert_eq!(redactor.word("--key=hunter22"), "--key=[redacted]");
        assert_eq!(format!("{redactor:?}"), "Redactor(…)");
    }

    #[test]
    fn a_secret_is_taken_out_however_it_is_encoded() {
        let secret = "hunter\"22/+\\é&=?";
        let redactor = redactor(&[secret]);
        let quoted = serde_json::to_string(secret).expect("a string");
        let json = quoted.trim_matches('"');
        let small = |text: String| with_small_digits(&text);
        let base64 = |before: &str| BASE64.encode(format!("{before}{secret}"));
        let forms = [
            percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string(),
            small(percent_encode(secret.as_bytes(), NON_ALPHANUMERIC).to_string()),
            percent_encode(secret.as_bytes(), COMPONENT).to_string(),
            json[..json.len()].to_owned(),
            json.replace('/', "\\/"),
            base64(""),
            base64("").replace('+', "-").replace('/', "_"),
            base64("u:"),
            base64("me:"),
            base64("you:"),
        ];
        for form in forms {
            let told = said(&redactor, &[format!("told {form} end").as_bytes()]);
            assert!(told.starts_with("told ") && told.contains("[redacted]"), "{form}: {told}");
            // What is left of it is what has bits of its neighbours.
            assert!(told.len() <= "told [redacted] end".len() + 7, "{form}: {told}");
        }
        assert_eq!(
            redactor.words(&["--key".to_owned(), secret.to_owned()]),
            "[\"--key\", \"[redacted]\"]"
        );
    }

    #[test]
    fn the_environment_names_secrets() {
        let environment = [
            ("DATABASE_URL", "postgres://me:s3same@localhost/db"),
            ("PGPASSWORD", "open-it"),
            ("OLD_KEYS", "one:first-key,two:second-key"),
            ("HOME", "/home/me"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let redactor = Redactor::new([], environment);
        let said = said(&redactor, &[b"s3same open-it one:first-key two:second-key /home/me"]);
        assert_eq!(said, "[redacted] [redacted] [redacted] [redacted] /home/me");
    }

    #[test]
    fn of_much_the_start_and_the_end_are_kept_and_no_secret_is_cut_in_two() {
        let secret = "S3cr3t-".repeat(9);
        let redactor = redactor(&[&secret]);
        for before in (KEPT - 70)..(KEPT + 2) {
            let filler = "ab ".repeat(before).into_bytes();
            let mut text = filler[..before].to_vec();
            text.extend_from_slice(secret.as_bytes());
            text.extend("cd ".repeat(9 * KEPT).as_bytes());
            text.extend_from_slice(secret.as_bytes());
            text.extend_from_slice(&filler[..before]);
            let kept = said(&redactor, &[&text]);
            assert!(kept.len() <= 2 * (KEPT + REDACTED.len()) + 8, "{}", kept.len());
            assert!(!kept.contains("S3c") && !kept.contains("cr3t"), "{before}: {kept}");
            assert!(kept.starts_with("ab ab") && kept.contains('…'), "{kept}");
        }
    }

    #[test]
    fn what_would_change_what_stands_around_it_is_made_visible_and_lines_stay() {
        let said = said(&redactor(&[]), &[b"one\ntwo\x1b[31m `x` | Bearer abc1\n"]);
        assert_eq!(said, "one\ntwo\\u{1b}[31m \\u{60}x\\u{60} \\u{7c} Bearer [redacted]");
    }
}
