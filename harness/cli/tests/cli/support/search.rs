//! Looks for planted secrets in whatever was written and said, in each form in which one may stand there.

use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::Ended;

/// What every planted secret has in it.
const CANARY: &str = "canary-7f3a";
/// One that looks otherwise in each encoding, and needs quoting in all of them.
pub const AWKWARD: &str = "canary-7f3a/+\"q\\&=?é\"-awkward~";
/// The beginning of every token, whoever signed it: a header's first key. What is shorter stands in a histogram by chance.
const TOKENS: [&str; 3] = ["eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi"];

/// Whoever looks for a secret in what a command wrote and said.
pub struct Search(pub usize);

impl Search {
    pub fn of(&mut self, what: &str, ended: &Ended) {
        self.in_texts(what, [("stdout", ended.stdout.as_str()), ("stderr", ended.stderr.as_str())]);
        for (name, bytes) in &ended.files {
            self.in_bytes(&format!("{what}: {name}"), bytes);
        }
    }

    pub fn in_texts<'a>(
        &mut self,
        what: &str,
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        for (name, text) in texts {
            self.in_bytes(&format!("{what}: {name}"), text.as_bytes());
        }
    }

    pub fn in_bytes(&mut self, what: &str, bytes: &[u8]) {
        static FORMS: LazyLock<Vec<String>> = LazyLock::new(forms);
        let text = String::from_utf8_lossy(bytes);
        for secret in FORMS.iter() {
            let around = |at: usize| {
                let from = text[..at].char_indices().rev().nth(60).map_or(0, |(at, _)| at);
                text[from..].chars().take(160).collect::<String>()
            };
            let found = text.find(secret.as_str()).map(around);
            assert!(found.is_none(), "{what} has {secret}: …{}…", found.unwrap_or_default());
        }
        self.0 += 1;
    }
}

/// What of a planted secret is looked for, in each form in which it may stand.
fn forms() -> Vec<String> {
    let mut forms = vec![CANARY.to_owned()];
    // With what is plain encoded as well, and with what need not be left as it is.
    forms.push(percent(CANARY.as_bytes(), NON_ALPHANUMERIC));
    forms.push(forms[1].to_ascii_lowercase());
    forms.extend(in_base64(CANARY));
    forms.extend(TOKENS.map(str::to_owned));
    forms.extend(TOKENS.into_iter().flat_map(in_base64));
    // Of a secret with quotes, what stands behind the first of them, too.
    let json = serde_json::to_string(AWKWARD).expect("a string");
    forms.push(json.trim_matches('"').rsplit_once("\\\"").expect("a quote").1.to_owned());
    forms.push(AWKWARD.rsplit_once('"').expect("a quote").1.to_owned());
    forms
}

pub fn percent(bytes: &[u8], set: &'static AsciiSet) -> String {
    percent_encode(bytes, set).to_string()
}

/// What of a text is the same in base64 wherever it begins.
fn in_base64(text: &str) -> Vec<String> {
    let one = |before: usize| {
        let encoded = base64(format!("{}{text}", "x".repeat(before)).as_bytes());
        let (from, until) = ((before * 8).div_ceil(6), (before + text.len()) * 8 / 6);
        encoded[from..until].to_owned()
    };
    (0..3).map(one).collect()
}

/// Base64 as RFC 4648 has it, without padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).flat_map(|chunk| {
        let number =
            (0..3).fold(0_u32, |all, at| all << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        (0..=chunk.len()).map(move |at| DIGITS[(number >> (18 - 6 * at) & 63) as usize])
    });
    groups.map(char::from).collect()
}
