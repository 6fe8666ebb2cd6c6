//! Finds secrets that were written in clear text, so that no diagnostic repeats them.
//!
//! By the look of the text alone, before it is parsed: a file with a syntax error is shown too.

use std::ops::Range;

/// Keys whose values are secrets.
pub(crate) const SECRET_KEYS: [&str; 2] = ["secret", "token"];

/// What the names of other secrets have in them: headers, environment variables.
const SECRET_WORDS: [&str; 13] = [
    "api-key",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "passw",
    "private",
    "secret",
    "signature",
    "token",
    "webhook",
];
/// What the names of others end in.
const SECRET_ENDS: [&str; 4] = ["_key", "_keys", "_pass", "_pw"];

/// Whether the value of a header, a parameter or a variable of this name is a secret: where a scenario is read, and where
/// secrets are taken out of what commands say.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Keys that say where a secret is, and are shown.
const REFERENCE_KEYS: [&str; 2] = ["env", "file"];

/// What follows a secret's key, unless it says where the secret is: `{ env = "NAME" }`, `{ file = "…" }`.
///
/// A secret is also whatever else stands in its table, inline or not, under a key that is no such reference.
pub(crate) fn secret_lines(text: &str) -> Vec<Range<usize>> {
    let mut masks: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut in_secret_table = false;
    for line in text.split_inclusive('\n') {
        let (from, line_end) = (start, start + line.trim_end().len());
        start += line.len();
        // Within a string over several lines that is hidden already.
        if masks.last().is_some_and(|mask| mask.end > from) {
            continue;
        }
        let content = line.trim();
        if let Some(header) = content.strip_prefix('[') {
            let header = header.trim_start_matches('[').split(']').next().unwrap_or_default();
            in_secret_table = segments(header).any(|segment| SECRET_KEYS.contains(&segment));
            // A header has no value; what follows it is a comment.
            continue;
        }
        for (at, _) in line.match_indices('=') {
            let value = &line[at + 1..];
            if !holds_secret(&line[..at], in_secret_table) || is_reference(value) {
                continue;
            }
            let lead = value.len() - value.trim_start().len();
            let begin = from + at + 1 + lead;
            masks.push(begin..end_of_value(text, begin).max(line_end).max(begin));
        }
    }
    masks
}

/// Whether what follows this key is a secret; the key is what stands last in `before`.
fn holds_secret(before: &str, in_secret_table: bool) -> bool {
    let in_key = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    let before = before.trim_end();
    let key = &before[before.trim_end_matches(in_key).len()..];
    let segments: Vec<_> = segments(key).collect();
    let Some((last, tables)) = segments.split_last() else { return false };
    let in_secret = in_secret_table || tables.iter().any(|table| SECRET_KEYS.contains(table));
    SECRET_KEYS.contains(last) || in_secret && !REFERENCE_KEYS.contains(last)
}

/// The parts of a dotted key, without quotes.
fn segments(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').map(|segment| segment.trim().trim_matches(['"', '\'']))
}

/// Whether a value is an inline table that only says where a secret is.
fn is_reference(value: &str) -> bool {
    let Some(inner) = value.trim_start().strip_prefix('{') else { return false };
    let inner = inner.split('}').next().unwrap_or(inner);
    let Some((key, rest)) = inner.split_once('=') else { return false };
    let key = key.trim().trim_matches(['"', '\'']);
    REFERENCE_KEYS.contains(&key) && !rest.contains([',', '='])
}

/// Where a string over several lines ends that begins at `begin`; there, where none does.
fn end_of_value(text: &str, begin: usize) -> usize {
    let rest = &text[begin..];
    let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes));
    let Some(quotes) = quotes else { return begin };
    let inner = &rest[quotes.len()..];
    // One that is never closed takes the rest of the text with it.
    inner.find(quotes).map_or(text.len(), |at| begin + at + 2 * quotes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> Vec<&str> {
        secret_lines(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn values_of_secret_keys_are_found_wherever_they_stand() {
        assert_eq!(masked("a = 1\nsecret = \"x\"\nb = 2"), ["\"x\""]);
        assert_eq!(masked("auth.token=x y"), ["x y"]);
        assert_eq!(masked("auth = { kid = \"k\", secret = \"x\" }"), ["\"x\" }"]);
        assert_eq!(masked("\"secret\" = \"never closed"), ["\"never closed"]);
        assert_eq!(masked("--set auth.secret=x"), ["x"]);
    }

    #[test]
    fn whatever_else_stands_where_a_secret_does_is_one() {
        assert_eq!(masked("secret = { value = \"x\" }"), ["{ value = \"x\" }"]);
        assert_eq!(
            masked("secret = { env = \"A\", value = \"x\" }")[0],
            "{ env = \"A\", value = \"x\" }"
        );
        assert_eq!(masked("--set auth.secret={ value = \"x\" }"), ["{ value = \"x\" }"]);
        assert_eq!(masked("auth.secret.value = \"x\""), ["\"x\""]);
        assert_eq!(masked("[auth.secret] # = here\nvalue = \"x\"\n[fleet]\nvalue = 1"), ["\"x\""]);
        assert_eq!(masked("[auth.\"token\"]\nenv = \"NAME\"\nplain = 7"), ["7"]);
        let over_lines = "\"\"\"\na = 1\nx\"\"\"";
        assert_eq!(masked(&format!("secret = {over_lines}\nb = 2")), [over_lines]);
        assert_eq!(masked("token = '''\nnever closed\n"), ["'''\nnever closed\n"]);
    }

    #[test]
    fn references_to_secrets_and_other_keys_are_not() {
        for text in [
            "secret = { env = \"NAME\" }",
            "auth.secret.env = \"NAME\"",
            "[auth.secret]\nfile = \"key\"",
            "my_secret = 1",
            "token_ttl = 3",
            "secret",
        ] {
            assert_eq!(masked(text), [""; 0], "{text}");
        }
    }
}
