//! `${NAME}` and `${NAME:-default}` in string values; `$${` is a literal `${`.

use std::ops::Range;

/// Looks a variable of the environment up; one that is empty counts as not set, and is `None`.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A string with its variables filled in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interpolated {
    pub text: String,
    /// Names of the variables whose values went into it.
    pub variables: Vec<String>,
}

/// Why a string cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InterpolationError {
    pub what: String,
    pub help: String,
    /// Bytes of the string.
    pub span: Range<usize>,
    /// Whether the text is right and only this environment lacks something.
    pub unset: bool,
}

/// Fills `text` in.
pub(crate) fn interpolate(
    text: &str,
    environment: &Environment<'_>,
) -> Result<Interpolated, InterpolationError> {
    let mut out = Interpolated { text: String::with_capacity(text.len()), variables: Vec::new() };
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[..start].ends_with('$') {
            out.text.push_str(&text[at..start - 1]);
            out.text.push_str("${");
            at = start + 2;
            continue;
        }
        out.text.push_str(&text[at..start]);
        let Some(length) = text[start..].find('}') else {
            return Err(InterpolationError {
                what: "`${` is not closed".to_owned(),
                help: "write `${NAME}` or `${NAME:-default}`; `$${` stands for a plain `${`"
                    .to_owned(),
                span: start..text.len(),
                unset: false,
            });
        };
        let end = start + length + 1;
        let (name, default) = match text[start + 2..end - 1].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&text[start + 2..end - 1], None),
        };
        if !is_variable(name) {
            return Err(InterpolationError {
                what: format!("`{name}` is not the name of an environment variable"),
                help: "names are letters, digits and underscores, such as `${KHALA_TARGET_URL}`"
                    .to_owned(),
                span: start..end,
                unset: false,
            });
        }
        match (environment(name), default) {
            (Some(value), _) => {
                out.variables.push(name.to_owned());
                out.text.push_str(&value);
            }
            (None, Some(default)) => out.text.push_str(default),
            (None, None) => {
                return Err(InterpolationError {
                    what: format!("the environment variable `{name}` is not set, or is empty"),
                    help: format!("set it, or give a default: `${{{name}:-…}}`"),
                    span: start..end,
                    unset: true,
                });
            }
        }
        at = end;
    }
    out.text.push_str(&text[at..]);
    Ok(out)
}

/// Whether a text is the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example".to_owned()),
            _ => None,
        }
    }

    fn filled(text: &str) -> String {
        interpolate(text, &environment).map_or_else(|e| e.what, |filled| filled.text)
    }

    #[test]
    fn variables_and_defaults_are_filled_in() {
        for (text, expected) in [
            ("plain", "plain"),
            ("http://${HOST}:1/", "http://example:1/"),
            ("${HOST}${HOST}", "exampleexample"),
            ("${NONE:-here}", "here"),
            ("${NONE:-}", ""),
            ("$HOST costs $5", "$HOST costs $5"),
            ("$${HOST}", "${HOST}"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn only_variables_that_were_used_are_named() {
        let filled = interpolate("${HOST}/${NONE:-x}", &environment).unwrap();
        assert_eq!(filled.variables, ["HOST"]);
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (text, what, at, unset) in [
            (
                "a${NONE}b",
                "the environment variable `NONE` is not set, or is empty",
                "${NONE}",
                true,
            ),
            ("a${NONE", "`${` is not closed", "${NONE", false),
            ("${}", "`` is not the name of an environment variable", "${}", false),
            ("${1X}", "`1X` is not the name of an environment variable", "${1X}", false),
            ("${A B}", "`A B` is not the name of an environment variable", "${A B}", false),
        ] {
            let error = interpolate(text, &environment).expect_err(text);
            assert_eq!(
                (error.what.as_str(), &text[error.span.clone()], error.unset),
                (what, at, unset)
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}:A-Z\\-é ]{0,20}") {
            if let Err(error) = interpolate(&text, &environment) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }
}
