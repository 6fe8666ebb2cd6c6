//! Finds secrets that were written in clear text, so that no diagnostic repeats them.
//!
//! By the look of the text alone, before it is parsed: a file with a syntax error is shown too.

use std::ops::Range;

/// Keys whose values are secrets.
pub(crate) const SECRET_KEYS: [&str; 2] = ["secret", "token"];

/// What follows a secret's key on its line, unless it is the table that says where the secret is.
pub(crate) fn secret_lines(text: &str) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for (at, _) in line.match_indices('=') {
            let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
            let value = &line[at + 1..];
            let names_secret = SECRET_KEYS.iter().any(|secret| {
                key.strip_suffix(secret).is_some_and(|before| {
                    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-')
                })
            });
            if names_secret && !value.trim_start().starts_with('{') {
                let lead = value.len() - value.trim_start().len();
                masks.push(start + at + 1 + lead..start + line.trim_end().len().max(at + 1 + lead));
            }
        }
        start += line.len();
    }
    masks
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
    fn references_to_secrets_and_other_keys_are_not() {
        for text in ["secret = { env = \"NAME\" }", "my_secret = 1", "token_ttl = 3", "secret"] {
            assert_eq!(masked(text), [""; 0], "{text}");
        }
    }
}
