//! Which entries of a list are run: `--only` and `--part`.

use std::collections::HashSet;

use crate::Args;
use crate::exit::{Exit, Failure};

/// Those of `all` that were asked for, by the name that `of` gives; `what` says what they are.
///
/// # Errors
/// When a name is none of theirs, or nothing is left.
pub fn select<T>(
    selftest: &Args,
    all: Vec<T>,
    what: &str,
    of: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Failure> {
    for name in &selftest.only {
        if !all.iter().any(|entry| of(entry) == name) {
            return Err(Failure::new(Exit::Usage, unknown(what, name, all.iter().map(&of))));
        }
    }
    let wanted =
        |entry: &T| selftest.only.is_empty() || selftest.only.iter().any(|n| n == of(entry));
    let wanted = all.into_iter().filter(wanted).enumerate();
    let part = |index| selftest.part.is_none_or(|part| part.has(index));
    let selected: Vec<T> =
        wanted.filter(|(index, _)| part(*index)).map(|(_, entry)| entry).collect();
    if selected.is_empty() {
        let message = format!("this part is empty: there are fewer {what}s than parts");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(selected)
}

/// That there is none of a name, with the one that was probably meant, else with all, each once.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(meant) = khala_plan::closest(name, known.clone()) {
        return format!("there is no {what} `{name}` to run: did you mean `{meant}`?");
    }
    let mut seen = HashSet::new();
    let known: Vec<_> = known.filter(|name| seen.insert(*name)).collect();
    format!("there is no {what} `{name}` to run; known are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_with_the_one_that_was_meant_or_with_all_each_once() {
        let told = |name| unknown("defect", name, ["gap", "phantom", "gap"].into_iter());
        assert_eq!(told("phantm"), "there is no defect `phantm` to run: did you mean `phantom`?");
        assert_eq!(told("other"), "there is no defect `other` to run; known are gap, phantom");
    }
}
