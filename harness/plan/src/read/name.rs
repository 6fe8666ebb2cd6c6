//! Names that scenarios give: they end up in paths, addresses and labels, so they are plain.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::source::Place;

/// Longest name; with a time and an id it is still a file name.
const NAME_LEN_MAX: usize = 64;

/// Checks that a name is plain.
pub(crate) fn plain(cx: &Cx, name: String, place: &Place) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && name.chars().all(allowed) && name.len() <= NAME_LEN_MAX {
        return Some(name);
    }
    let what = format!("`{name}` is not a plain name");
    let help = format!(
        "names are up to {NAME_LEN_MAX} letters, digits, `-` and `_`, a letter or digit first"
    );
    cx.report(Diagnostic::error(place, what).help(help));
    None
}

/// Reports all but the first of equal names; `what` is what they name, such as `phase`.
pub(crate) fn report_duplicates<'a>(
    cx: &Cx,
    what: &str,
    names: impl IntoIterator<Item = (&'a str, &'a Place)>,
) {
    report_duplicates_helped(cx, what, "name each once", names);
}

/// The same, with what to do about it.
pub(crate) fn report_duplicates_helped<'a>(
    cx: &Cx,
    what: &str,
    help: &str,
    names: impl IntoIterator<Item = (&'a str, &'a Place)>,
) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for (name, place) in names {
        match seen.get(name) {
            Some(first) => {
                let first = cx.sources.borrow().describe(first);
                cx.report(
                    Diagnostic::error(place, format!("there is another {what} `{name}`"))
                        .label("named twice")
                        .note(format!("the first one is at {first}"))
                        .help(help),
                );
            }
            None => drop(seen.insert(name, place)),
        }
    }
}
