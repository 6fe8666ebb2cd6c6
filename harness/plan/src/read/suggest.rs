//! "Did you mean": the known name that is most like an unknown one, and lists of names for
//! messages.

/// Edits between two names beyond which they are not alike: three, or a quarter of a long name.
fn edits_max(name: &str) -> usize {
    (name.chars().count() / 4).max(3)
}

/// The candidate that `word` was probably meant to be.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .map(|candidate| {
            let plain = candidate.to_lowercase().replace('_', "-");
            (strsim::damerau_levenshtein(&word, &plain), candidate)
        })
        // Half of a short name may not be replaced, and nothing of it left is no likeness: of names of one letter each is
        // as near to every other.
        .filter(|(edits, name)| {
            let length = name.chars().count();
            *edits <= edits_max(name)
                && 2 * *edits < length.max(3)
                && (*edits < length || *edits == 0)
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `a`?", or else what there is.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match closest(word, candidates.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("there is {}", list(candidates)),
    }
}

/// "`a`, `b` and `c`", or "none".
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "and")
}

/// "`a`, `b` or `c`", or "none".
pub(crate) fn any_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "or")
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, by: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} {by} {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_understood_and_other_words_are_not() {
        let known = ["clients", "ramp", "name_prefix"];
        assert_eq!(closest("clinets", known), Some("clients"));
        assert_eq!(closest("client", known), Some("clients"));
        assert_eq!(closest("name-prefix", known), Some("name_prefix"));
        assert_eq!(closest("Ramp", known), Some("ramp"));
        assert_eq!(closest("duration", known), None);
        assert_eq!(closest("at", ["to"]), None);
        assert_eq!(closest("9", ["0", "1", "2"]), None, "any of them would do");
        assert_eq!(closest("A", ["a"]), Some("a"));
        assert_eq!(closest("drop_reconect", ["drop_on_reconnect"]), Some("drop_on_reconnect"));
    }

    #[test]
    fn without_a_close_one_all_are_listed() {
        assert_eq!(did_you_mean("x", ["a-b", "c-d", "e-f"]), "there is `a-b`, `c-d` and `e-f`");
        assert_eq!(did_you_mean("x", []), "there is none");
    }
}
