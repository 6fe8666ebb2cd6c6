//! The grammar of claims: `p(99) < 20s`, `proportion <= 3%`, `rate <= 1.5/s`, `count == 0`,
//! `ratio < 1.5`.
//!
//! ```text
//! claim      := estimator comparison bound
//! estimator  := "p(" percent ")" | "max" | "proportion" | "rate" | "count" | "ratio"
//! comparison := "<" | "<=" | "=="            (== for counts only)
//! bound      := duration | share | rate | number, as the metric's kind says
//! ```
//!
//! Which estimators there are follows from the metric's kind. A claim bounds from above: every
//! metric of the catalogue is better when smaller.

use std::ops::Range;

use crate::metric::{MetricId, MetricKind};
use crate::model::{Claim, Comparison, Estimator};
use crate::units;

/// Why a text is not a claim about a metric, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ClaimError {
    /// What is wrong, in a sentence without a full stop.
    pub what: String,
    /// What to write instead.
    pub help: String,
    /// The offending bytes of the text; empty at its end when something is missing.
    pub span: Range<usize>,
}

/// Reads a claim about `metric`.
///
/// # Errors
/// With the position of the first mistake in the text.
pub fn parse(metric: MetricId, text: &str) -> Result<Claim, ClaimError> {
    let (left, comparison, right) = split_at_comparison(metric, text)?;
    let estimator = estimator(metric, text, left)?;
    if comparison == Comparison::Equal && estimator != Estimator::Count {
        return Err(ClaimError {
            what: "`==` compares counts; an estimate is never exact".to_owned(),
            help: "use `<` or `<=`".to_owned(),
            span: text.find("==").map_or(0..0, |at| at..at + 2),
        });
    }
    let bound = bound(metric, estimator, text, right)?;
    let claim = Claim { text: text.trim().to_owned(), estimator, comparison, bound };
    possible(&claim, text)?;
    Ok(claim)
}

/// Why a text is no claim, whatever it may be about; nothing where some metric takes it.
#[must_use]
pub fn no_claim(text: &str) -> Option<ClaimError> {
    let mut first = None;
    for &metric in MetricId::ALL {
        let error = parse(metric, text).err()?;
        first.get_or_insert(error);
    }
    first
}

/// The estimators of a kind, as help texts list them.
#[must_use]
pub fn estimators(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Latency | MetricKind::Magnitude => "`p(q)` and `max`",
        MetricKind::Proportion => "`proportion` and `count`",
        MetricKind::Rate => "`rate` and `count`",
        MetricKind::Count => "`count`",
        MetricKind::Ratio => "`ratio`",
    }
}

/// A claim about `metric` that is well-formed, for help texts.
#[must_use]
pub fn example(metric: MetricId) -> &'static str {
    match metric.kind() {
        MetricKind::Latency => "p(99) < 20s",
        MetricKind::Magnitude => "p(99) <= 5",
        MetricKind::Proportion => "proportion <= 3%",
        MetricKind::Rate => "rate <= 1.5/s",
        MetricKind::Count => "count == 0",
        MetricKind::Ratio => "ratio < 1.5",
    }
}

/// Bytes of `text` without white space at either end of `range`.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..(start + part.trim().len())
}

fn split_at_comparison(
    metric: MetricId,
    text: &str,
) -> Result<(Range<usize>, Comparison, Range<usize>), ClaimError> {
    let is_sign = |c: char| matches!(c, '<' | '>' | '=' | '!');
    let Some(start) = text.find(is_sign) else {
        let end = text.trim_end().len();
        return Err(ClaimError {
            what: if text.trim().is_empty() {
                "the claim is empty".to_owned()
            } else {
                format!("`{}` makes no comparison", text.trim())
            },
            help: format!("write such as `{}`", example(metric)),
            span: end..end,
        });
    };
    let len = text[start..].find(|c| !is_sign(c)).unwrap_or(text.len() - start);
    let end = start + len;
    let (comparison, help) = match &text[start..end] {
        "<" => (Some(Comparison::Less), ""),
        "<=" => (Some(Comparison::LessOrEqual), ""),
        "==" => (Some(Comparison::Equal), ""),
        "=" => (None, "use `==` for counts, `<` or `<=` for the rest"),
        ">" | ">=" => (None, "a claim bounds from above: use `<` or `<=`"),
        _ => (None, "use `<`, `<=` or, for counts, `==`"),
    };
    match comparison {
        Some(comparison) => {
            Ok((trimmed(text, 0..start), comparison, trimmed(text, end..text.len())))
        }
        None => Err(ClaimError {
            what: format!("`{}` is not a comparison of claims", &text[start..end]),
            help: help.to_owned(),
            span: start..end,
        }),
    }
}

fn estimator(metric: MetricId, text: &str, span: Range<usize>) -> Result<Estimator, ClaimError> {
    let name = &text[span.clone()];
    let kind = metric.kind();
    let distribution = matches!(kind, MetricKind::Latency | MetricKind::Magnitude);
    let estimator = match name {
        "" => None,
        "max" => distribution.then_some(Estimator::Max),
        "proportion" => (kind == MetricKind::Proportion).then_some(Estimator::Proportion),
        "rate" => (kind == MetricKind::Rate).then_some(Estimator::Rate),
        "count" => (!distribution && kind != MetricKind::Ratio).then_some(Estimator::Count),
        "ratio" => (kind == MetricKind::Ratio).then_some(Estimator::Ratio),
        _ if name.starts_with('p') && name[1..].trim_start().starts_with('(') => {
            let percent = percentile(text, span.clone())?;
            distribution.then_some(Estimator::Percentile(percent))
        }
        _ => {
            return Err(ClaimError {
                what: format!("`{name}` is not an estimator"),
                help: format!("`{}` has {}", metric.name(), estimators(kind)),
                span,
            });
        }
    };
    estimator.ok_or_else(|| ClaimError {
        what: if name.is_empty() {
            "nothing is estimated".to_owned()
        } else {
            format!("`{}` has no `{name}`", metric.name())
        },
        help: format!("it has {}", estimators(kind)),
        span,
    })
}

/// The percent of `p(99.9)`; `span` covers the whole estimator.
fn percentile(text: &str, span: Range<usize>) -> Result<f64, ClaimError> {
    // The caller has seen the parenthesis.
    let open = span.start + text[span.clone()].find('(').unwrap_or(0);
    let help = || "write such as `p(99)` or `p(99.9)`".to_owned();
    if !text[span.clone()].ends_with(')') {
        let what = "`p(` is not closed".to_owned();
        return Err(ClaimError { what, help: help(), span: span.end..span.end });
    }
    let inside = trimmed(text, open + 1..span.end - 1);
    let digits = &text[inside.clone()];
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.parse::<f64>() {
        Ok(percent) if plain && percent > 0.0 && percent < 100.0 => Ok(percent),
        _ => Err(ClaimError {
            what: format!("`{digits}` is not a percentile, which lies between 0 and 100"),
            help: help(),
            span: if inside.is_empty() { open..span.end } else { inside },
        }),
    }
}

fn bound(
    metric: MetricId,
    estimator: Estimator,
    text: &str,
    span: Range<usize>,
) -> Result<f64, ClaimError> {
    let written = &text[span.clone()];
    let fail = |what: String| {
        Err(ClaimError { what, help: format!("write such as `{}`", example(metric)), span })
    };
    if written.is_empty() {
        return fail("the bound is missing".to_owned());
    }
    let number = || written.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let read = match (estimator, metric.kind()) {
        (Estimator::Proportion, _) => units::share(written),
        (Estimator::Rate, _) => units::rate_per_s(written),
        (Estimator::Count, _) => {
            return match number().filter(|n| n.fract() == 0.0) {
                Some(count) => Ok(count),
                None => fail(format!("`{written}` is not a count")),
            };
        }
        (_, MetricKind::Latency) => units::duration(written).map(|d| d.as_micros() as f64),
        _ => {
            return match number() {
                Some(number) => Ok(number),
                None => fail(format!("`{written}` is not a number")),
            };
        }
    };
    read.or_else(|why| fail(format!("`{written}` {why}")))
}

/// Refuses claims that hold always or never, whatever is measured.
fn possible(claim: &Claim, text: &str) -> Result<(), ClaimError> {
    let (what, help) = match claim.estimator {
        Estimator::Proportion if claim.bound <= 0.0 => (
            "no number of samples shows a proportion of nothing",
            "claim `count == 0`, or allow a share, such as `proportion <= 1%`",
        ),
        Estimator::Proportion if claim.bound >= 1.0 => {
            ("a proportion is never above 100 %, so the claim says nothing", "lower the bound")
        }
        Estimator::Rate if claim.bound <= 0.0 => (
            "no length of time shows a rate of nothing",
            "claim `count == 0`, or allow a rate, such as `rate <= 0.05/s`",
        ),
        _ if claim.bound <= 0.0 && claim.comparison == Comparison::Less => {
            ("nothing is below zero, so the claim can never hold", "raise the bound")
        }
        _ => return Ok(()),
    };
    let start =
        text.trim_end().len() - text.rsplit(['<', '=']).next().map_or(0, |b| b.trim().len());
    Err(ClaimError {
        what: what.to_owned(),
        help: help.to_owned(),
        span: start..text.trim_end().len(),
    })
}

#[cfg(test)]
mod tests;
