//! The one module that reads environment variables, and what it means that one is set.
//!
//! A variable that is set to nothing counts as one that is not set: CI systems pass a secret that they do not
//! have as an empty text. So nothing empty is ever a key, a path or a password because of a variable.

use std::ffi::{OsStr, OsString};

/// Why a variable gives nothing, in a clause.
pub const NOT_SET: &str = "it is not set, or is empty";

/// The value of a variable, where it is set, says something, and is text.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    read(name).ok()
}

/// The same.
///
/// # Errors
/// Why there is none, in a clause that has nothing of the value.
pub fn read(name: &str) -> Result<String, String> {
    let value = raw(name.as_ref()).ok_or(NOT_SET)?;
    value.into_string().map_err(|_| "it is no UTF-8".to_owned())
}

/// Whether a variable is set and says something.
#[must_use]
pub fn is_set(name: impl AsRef<OsStr>) -> bool {
    raw(name.as_ref()).is_some()
}

/// Whether a variable is set, and says nothing.
#[must_use]
pub fn is_empty(name: impl AsRef<OsStr>) -> bool {
    std::env::var_os(name.as_ref()).is_some_and(|value| !says_something(&value))
}

/// The folders in which programs are looked for.
#[must_use]
pub fn programs() -> Option<OsString> {
    raw("PATH".as_ref())
}

/// Every variable that says something; what is no text has a mark where it is none.
pub fn all() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let set = std::env::vars_os().filter(|(_, value)| says_something(value));
    set.map(move |(name, value)| (text(name), text(value)))
}

fn raw(name: &OsStr) -> Option<OsString> {
    std::env::var_os(name).filter(|value| says_something(value))
}

/// The rule.
fn says_something(value: &OsStr) -> bool {
    !value.is_empty()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::mentions;

    /// What is empty is nothing wherever a variable is read, for it is read here alone.
    #[test]
    fn nothing_else_reads_a_variable() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the harness");
        let found = mentions(crates, &["env::var", "env::vars"], &["environment.rs"]);
        assert_eq!(found, [""; 0], "read it by `environment::variable`");
    }

    #[test]
    fn what_is_empty_says_nothing() {
        assert!(!says_something(OsStr::new("")));
        assert!(says_something(OsStr::new(" ")) && says_something(OsStr::new("0")));
    }

    #[test]
    fn what_is_not_set_is_told_so() {
        // One that every test has, and one that none has.
        assert!(is_set("PATH") && variable("PATH").is_some());
        assert_eq!(read("KHALA_HARNESS_TEST_UNSET"), Err(NOT_SET.to_owned()));
        assert!(all().any(|(name, _)| name == "PATH"));
    }
}
