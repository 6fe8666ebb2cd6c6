//! Deviations that somebody has accepted, each with the reason.

use std::collections::BTreeMap;

/// By the case's id, why its deviation is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Reads the TOML of a file: a line a case, `id = "reason"`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence: no TOML, a case that there is none of, no reason.
    pub fn read(text: &str) -> Result<Self, String> {
        let table: BTreeMap<String, toml::Value> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        let mut known = BTreeMap::new();
        for (id, reason) in table {
            if !crate::cases::all().iter().any(|case| case.id == id) {
                return Err(format!(
                    "there is no case `{}`; `khala-harness conform --list` names them",
                    id.escape_debug()
                ));
            }
            match reason.as_str().map(str::trim) {
                Some(reason) if !reason.is_empty() => known.insert(id, reason.to_owned()),
                _ => return Err(format!("`{id}` needs a reason: {id} = \"why it is accepted\"")),
            };
        }
        Ok(Self(known))
    }

    /// Why the deviation of a case is accepted, if it is.
    #[must_use]
    pub fn reason(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_a_case_with_a_reason() {
        let id = crate::cases::all()[0].id;
        let known = Known::read(&format!("# ours\n{id} = \"ticket 7\"\n")).expect("reads");
        assert_eq!(known.reason(id), Some("ticket 7"));
        assert_eq!(known.reason("other"), None);
        for text in ["no_such_case = \"x\"", &format!("{id} = \" \""), &format!("{id} = 1"), "x"] {
            assert!(Known::read(text).is_err(), "{text}");
        }
    }
}
