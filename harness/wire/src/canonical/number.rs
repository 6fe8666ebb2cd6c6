//! Canonical JSON with numbers in one of the ways in which runtimes write them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Depth beyond which a document is not looked at: that of `serde_json`.
const DEPTH_MAX: usize = 128;

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they were sent.
    Sent,
    /// As JavaScript writes them (ECMA-262, `Number::toString`; RFC 8785 takes it for canonical JSON).
    JavaScript,
}

impl Form {
    pub const ALL: [Self; 2] = [Self::Sent, Self::JavaScript];

    fn of<'a>(self, number: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::Sent => Some(Cow::Borrowed(number)),
            Self::JavaScript => javascript(number.parse().ok()?).map(Cow::Owned),
        }
    }
}

/// Canonical JSON of a text; `None` of what is no JSON, or too deep.
pub fn canonical(text: &str, form: Form) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    write(serde_json::from_str(text).ok()?, form, 0, &mut out)?;
    Some(out)
}

fn write(value: &RawValue, form: Form, depth: usize, out: &mut String) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    let text = value.get().trim_ascii();
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (n, (key, member)) in members.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(&key).ok()?);
                out.push(':');
                write(member, form, depth + 1, out)?;
            }
            out.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (n, item) in items.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, form, depth + 1, out)?;
            }
            out.push(']');
        }
        b'"' => {
            let string: String = serde_json::from_str(text).ok()?;
            out.push_str(&serde_json::to_string(&string).ok()?);
        }
        b'-' | b'0'..=b'9' => out.push_str(&form.of(text)?),
        _ => out.push_str(text),
    }
    Some(())
}

/// A number as JavaScript writes it; `None` of what is no finite one.
fn javascript(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some("0".to_owned());
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(match exponent {
        -6..=20 => format!("{value}"),
        21.. => format!("{digits}e+{exponent}"),
        _ => format!("{digits}e{exponent}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_writes_numbers_so() {
        let cases = [
            ("1.0", "1"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("-1.5e30", "-1.5e+30"),
            ("1e-6", "0.000001"),
            ("1.25e-7", "1.25e-7"),
            ("9007199254740993", "9007199254740992"),
        ];
        for (sent, written) in cases {
            assert_eq!(canonical(sent, Form::JavaScript).as_deref(), Some(written), "{sent}");
            assert_eq!(canonical(sent, Form::Sent).as_deref(), Some(sent));
        }
    }

    #[test]
    fn keys_are_sorted_strings_are_written_one_way_and_spaces_go() {
        let text = r#" { "b" : [ true , null ] , "a\u0062" : "\u00e9\/" } "#;
        assert_eq!(canonical(text, Form::Sent).as_deref(), Some(r#"{"ab":"é/","b":[true,null]}"#));
    }

    #[test]
    fn what_is_no_json_or_too_deep_has_no_canonical_form() {
        for text in ["", "{", "[1,]", "1e999"] {
            assert_eq!(canonical(text, Form::JavaScript), None, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(canonical(&deep, Form::Sent), None);
    }
}
