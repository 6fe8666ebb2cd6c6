//! Tables, and the signs of verdicts.

use super::html::Html;
use crate::judge::{Decision, Verdict};

/// A column's head, and whether figures stand in it.
pub type Head<'a> = (&'a str, bool);

/// A table in a box that scrolls by itself where the screen is narrow, and can be reached by the keyboard.
pub fn table(html: &mut Html, caption: &str, heads: &[Head<'_>], rows: impl FnOnce(&mut Html)) {
    let holder =
        [("class", "table"), ("tabindex", "0"), ("role", "group"), ("aria-label", caption)];
    html.tag("div", &holder, |html| {
        html.tag("table", &[("border", "1"), ("cellpadding", "4")], |html| {
            html.leaf("caption", &[], caption);
            html.tag("thead", &[], |html| {
                html.tag("tr", &[], |html| {
                    for (head, is_figure) in heads {
                        let class = if *is_figure { "n" } else { "" };
                        html.leaf("th", &[("scope", "col"), ("class", class)], head);
                    }
                });
            });
            html.tag("tbody", &[], rows);
        });
    });
}

/// A cell with a text.
pub fn cell(html: &mut Html, text: &str) {
    html.leaf("td", &[], text);
}

/// A cell with the name of its row.
pub fn name(html: &mut Html, text: &str) {
    html.leaf("th", &[("scope", "row")], text);
}

/// A cell with a figure.
pub fn figure(html: &mut Html, value: Option<impl std::fmt::Display>, shown: &str) {
    html.tag("td", &[("class", "n")], |html| match value {
        Some(value) => html.datum(value, shown),
        None => html.text(shown),
    });
}

/// A verdict with its sign, and the class of its colour.
pub fn sign(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("✓", "pass"),
        Verdict::Fail => ("✗", "fail"),
        Verdict::Warn => ("!", "warn"),
        Verdict::Inconclusive => ("?", "open"),
        Verdict::NotApplicable => ("–", "none"),
    }
}

/// A decision with its sign, and the class of its colour.
pub fn sign_of(decision: Decision) -> (&'static str, &'static str) {
    match decision {
        Decision::Go => ("✓", "go"),
        Decision::NoGo => ("✗", "no-go"),
        Decision::Hold => ("?", "hold"),
    }
}

/// A verdict as it is shown everywhere: sign and word.
pub fn verdict(html: &mut Html, verdict: Verdict) {
    let (sign, class) = sign(verdict);
    let word = match verdict {
        Verdict::NotApplicable => "not applicable".to_owned(),
        other => other.to_string(),
    };
    html.tag("strong", &[("class", class)], |html| {
        html.leaf("span", &[("aria-hidden", "true")], sign);
        html.text(&format!(" {word}"));
    });
}

/// What a verdict would be if the run ended now, in words that are none.
pub fn so_far(html: &mut Html, verdict: Verdict) {
    let (sign, class) = sign(verdict);
    let word = match verdict {
        Verdict::Pass => "holds",
        Verdict::Fail | Verdict::Warn => "beyond",
        Verdict::Inconclusive | Verdict::NotApplicable => "open",
    };
    html.tag("strong", &[("class", class)], |html| {
        html.leaf("span", &[("aria-hidden", "true")], sign);
        html.text(&format!(" {word}"));
    });
}
