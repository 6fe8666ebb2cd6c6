//! Which entries of a list are run: `--only` and `--part`.

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
            let mut known: Vec<_> = all.iter().map(&of).collect();
            known.dedup();
            let message =
                format!("there is no {what} `{name}` to run; known are {}", known.join(", "));
            return Err(Failure::new(Exit::Usage, message));
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
