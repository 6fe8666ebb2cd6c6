//! Commands: program and arguments, which no shell is asked about.

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use super::key::Declared;
use super::mask::names_a_secret;
use super::scalar::Placed;

/// The words of a command, if it is there. `None` is a mistake.
pub(crate) fn words(fields: &Fields<'_>, key: &dyn Declared) -> Option<Option<Vec<String>>> {
    let Some(node) = fields.node(key) else { return (!fields.has(key)).then_some(None) };
    let words: Vec<Placed<String>> = fields.get_as(key)?;
    let key = key.name();
    if words.first().is_none_or(|program| program.value.is_empty()) {
        let what = format!("`{key}` is empty");
        let help = "write program and arguments, such as `[\"sh\", \"-c\", \"…\"]`";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    let secret = |word: &Placed<String>| {
        let mut variables = word.place.variables.iter();
        Some((word.place.clone(), variables.find(|name| names_a_secret(name))?.clone()))
    };
    if let Some((place, variable)) = words.iter().find_map(secret) {
        let what = format!("the value of `{variable}` would be kept with the scenario");
        let help = format!("let the command read it, in a shell's word `${variable}`");
        fields.cx.report(Diagnostic::error(&place, what).help(help));
        return None;
    }
    if let Some(word) = words.iter().find(|word| word.value.contains('\0')) {
        let what = format!("`{key}` has a word with a NUL, which no command can be given");
        fields.cx.report(Diagnostic::error(&word.place, what));
        return None;
    }
    Some(Some(words.into_iter().map(|word| word.value).collect()))
}
