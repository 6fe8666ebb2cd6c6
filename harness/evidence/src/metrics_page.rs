//! `METRICS.md`: the catalogue of metrics and what the judge does with each, as a page.
//!
//! Made of the catalogue and of the judge's own constants, so that the page cannot promise what the
//! code does not do. The words stand in `prose`.

mod prose;

use std::fmt::Write as _;

use khala_plan::gate::{grammar, power};
use khala_plan::metric::{Clustering, FINDINGS, MetricId, MetricKind};
use khala_plan::stability::Incident;

use crate::oracle::{Rule, RuleKind};

/// Writing to a string does not fail; the result is dropped in one place.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{ let _ = writeln!($out, $($format)*); }};
}

/// The page, in Markdown.
#[must_use]
pub fn render() -> String {
    let mut out = prose::head();
    catalogue(&mut out);
    for metric in MetricId::ALL {
        entry(&mut out, *metric);
    }
    out.push_str(&prose::samples());
    out.push_str(&prose::estimators());
    smallest_samples(&mut out);
    out.push_str(&prose::verdicts());
    out.push_str(&prose::false_passes());
    out.push_str(&prose::generator());
    out.push_str(&prose::stability());
    incidents(&mut out);
    rules(&mut out);
    findings(&mut out);
    out
}

fn catalogue(out: &mut String) {
    line!(out, "\n## The catalogue\n");
    line!(out, "| metric | kind | unit | flows | a gate may claim | for example | labels |");
    line!(out, "| --- | --- | --- | --- | --- | --- | --- |");
    for metric in MetricId::ALL {
        line!(
            out,
            "| [`{name}`](#{name}) | {} | {} | {} | {} | `{}` | {} |",
            metric.kind().name(),
            metric.unit(),
            flows(*metric),
            grammar::estimators(metric.kind()),
            grammar::example(*metric),
            labels(*metric),
            name = metric.name(),
        );
    }
}

/// How its samples come, which decides what is resampled.
fn flows(metric: MetricId) -> &'static str {
    match metric.clustering() {
        Clustering::Seconds => "all the time",
        Clustering::Clients => "on occasions of clients",
    }
}

fn labels(metric: MetricId) -> String {
    let labels: Vec<String> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
    if labels.is_empty() { "none".to_owned() } else { labels.join(", ") }
}

fn entry(out: &mut String, metric: MetricId) {
    line!(out, "\n### {}\n\n{}", metric.name(), metric.definition());
    if let Some(clusters) = clusters(metric) {
        line!(out, "{clusters}");
    }
    if metric.is_wrong_at_any_time() && metric != MetricId::Violations {
        line!(out, "An objective without `during` counts the ramp and the drain too.");
    }
    if let Some(note) = prose::note(metric) {
        line!(out, "{note}");
    }
}

/// What the design effect is estimated from, where there is one.
fn clusters(metric: MetricId) -> Option<String> {
    match (metric.kind(), metric.clustering()) {
        (MetricKind::Count | MetricKind::Ratio, _) => None,
        (MetricKind::Latency | MetricKind::Magnitude, Clustering::Seconds) => {
            let seconds = power::SECONDS_MIN;
            Some(format!(
                "It flows all the time: a percentile takes {seconds} seconds, which are resampled."
            ))
        }
        (MetricKind::Latency | MetricKind::Magnitude, Clustering::Clients) => Some(format!(
            "It comes of occasions, some of each client: of a percentile {} groups of clients are resampled.",
            prose::GROUPS
        )),
        (_, Clustering::Seconds) => Some("Samples of one second are a cluster.".to_owned()),
        (_, Clustering::Clients) => {
            Some(format!("Samples of one of {} groups of clients are a cluster.", prose::GROUPS))
        }
    }
}

/// The claims of the table of smallest samples, each about a metric of its kind.
const CLAIMS: [(MetricId, &str); 8] = [
    (MetricId::Delivery, "p(50) < 1s"),
    (MetricId::Delivery, "p(90) < 1s"),
    (MetricId::Delivery, "p(95) < 1s"),
    (MetricId::Delivery, "p(99) < 1s"),
    (MetricId::Delivery, "p(99.9) < 1s"),
    (MetricId::AuthErrors, "proportion <= 3%"),
    (MetricId::AuthErrors, "proportion <= 1%"),
    (MetricId::BystanderRatio, "ratio < 1.5"),
];

fn smallest_samples(out: &mut String) {
    line!(out, "\n## Smallest samples\n");
    line!(out, "| claim | passes at the earliest, with nothing beyond the bound, with |");
    line!(out, "| --- | --- |");
    for (metric, text) in CLAIMS {
        let Ok(claim) = grammar::parse(metric, text) else { continue };
        let needs = match power::needs(&claim) {
            power::Needs::Samples(n) => match power::seconds(metric, &claim, None) {
                Some(seconds) => format!("{n} samples over {seconds} s"),
                None => format!("{n} samples"),
            },
            power::Needs::Seconds(seconds) => format!("{seconds:.1} s"),
            power::Needs::Never => "none is enough".to_owned(),
        };
        let sides = if metric.kind() == MetricKind::Ratio { " on each side" } else { "" };
        line!(out, "| `{text}` | {needs}{sides} |");
    }
}

fn incidents(out: &mut String) {
    line!(
        out,
        "\n| kind | what it is | out of | limit of the contract |\n| --- | --- | --- | --- |"
    );
    for incident in Incident::ALL {
        let (name, what, of) = (incident.name(), incident.definition(), incident.occasions());
        let limit = incident.contract().map_or("–".to_owned(), |limit| format!("`{limit}`"));
        line!(out, "| `{name}` | {what} | {of} | {limit} |");
    }
}

fn rules(out: &mut String) {
    line!(out, "\n## Rules of the oracle\n");
    line!(out, "{}", prose::rules());
    line!(out, "| rule | kind | what must hold |\n| --- | --- | --- |");
    for rule in Rule::ALL {
        let kind = match rule.kind() {
            RuleKind::Proof => "proof",
            RuleKind::Lateness => "lateness",
        };
        line!(out, "| `{}` | {kind} | {} |", rule.name(), rule.what_must_hold());
    }
}

fn findings(out: &mut String) {
    line!(out, "\n## Where the contract is silent\n");
    line!(out, "{}", prose::findings());
    line!(out, "| finding | breaks by the key | what was seen |\n| --- | --- | --- |");
    for finding in FINDINGS {
        line!(out, "| `{}` | `{}` | {} |", finding.name, finding.rule, finding.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_one_of_this_code() {
        let committed = include_str!("../METRICS.md");
        assert!(
            committed == render(),
            "harness/evidence/METRICS.md is out of date; renew it with\n  \
             cargo build && target/debug/khala-harness metrics > harness/evidence/METRICS.md"
        );
    }

    #[test]
    fn every_metric_has_its_place_and_every_estimator_its_section() {
        let page = render();
        for metric in MetricId::ALL {
            assert!(page.contains(&format!("\n### {}\n", metric.name())), "{}", metric.name());
            let estimators = grammar::estimators(metric.kind());
            for estimator in estimators.split('`').skip(1).step_by(2) {
                assert!(page.contains(&format!("\n### `{estimator}`")), "{estimator}");
            }
        }
    }

    #[test]
    fn every_claim_of_the_page_is_one() {
        for (metric, text) in CLAIMS {
            assert!(grammar::parse(metric, text).is_ok(), "{text}");
        }
        for metric in MetricId::ALL {
            assert!(grammar::parse(*metric, grammar::example(*metric)).is_ok(), "{metric:?}");
        }
    }
}
