//! What befell the run, each reason once, and the rules: the broken ones with their causes and with what their first
//! clients got.

use super::super::units::{count, counted};
use super::super::{befell, brief, reasons, texts};
use super::client;
use super::html::Html;
use super::part;
use super::strip::with_code;
use super::tables::{figure, name, sign, table};
use crate::oracle::Rule;
use crate::report::{Cause, RunReport};

/// Causes told of a rule; the rest are counted.
const CAUSES_SHOWN: usize = 10;
/// Clients of a rule whose frames are shown; the rest are told by `explain`.
const STORIES_SHOWN: usize = 3;

/// `stories` are the clients of all rules whose frames are shown at the most.
pub fn write(html: &mut Html, report: &RunReport, mut stories: usize) {
    part(html, "rules", |html| {
        why(html, report);
        let broken = reasons::broken(report);
        if broken.is_empty() {
            let kept = report.oracle.violations.len() as u64;
            let kept = counted(kept, "rule was", "rules were");
            html.leaf("p", &[], &format!("{kept} put to the test, and none was broken."));
        }
        for (rule, causes) in &broken {
            of_rule(html, report, *rule, causes, &mut stories);
        }
        every_rule(html, report);
    });
}

/// What befell the run, what it did not judge, and each reason but for the rules that are broken.
fn why(html: &mut Html, report: &RunReport) {
    let (befell, mut skipped, reasons) =
        (befell::lines(report), befell::not_applicable(report), reasons::all(report));
    // It stands in the page's head.
    if !brief::untested(report).is_empty() {
        skipped.clear();
    }
    if befell.is_empty() && skipped.is_empty() && reasons.is_empty() {
        return;
    }
    html.leaf("h3", &[], "What befell it, and why");
    html.tag("ul", &[], |html| {
        for line in &befell {
            html.tag("li", &[], |html| html.leaf("strong", &[], line));
        }
        for reason in &reasons {
            let of = reason.of.join(", ");
            html.tag("li", &[], |html| match reason.verdict {
                Some(verdict) => {
                    super::tables::verdict(html, verdict);
                    html.text(&format!(" {of}: {}", reason.why));
                }
                None if of.is_empty() => html.text(&reason.why),
                None => html.text(&format!("{}; so undecided: {of}", reason.why)),
            });
        }
        for line in &skipped {
            html.leaf("li", &[], line);
        }
    });
}

fn of_rule(
    html: &mut Html,
    report: &RunReport,
    rule: Rule,
    causes: &[&Cause],
    stories: &mut usize,
) {
    let violations = report.oracle.violations.get(rule.name()).copied().unwrap_or(0);
    let (word, by) = reasons::condemned(report, rule);
    let (sign, class) = reasons::verdict(report, rule).map_or(("!", "warn"), sign);
    html.tag("article", &[("class", "rule"), ("id", &format!("rule-{rule}"))], |html| {
        html.tag("h3", &[], |html| {
            html.tag("strong", &[("class", class)], |html| {
                html.leaf("span", &[("aria-hidden", "true")], sign);
                html.text(&format!(" {word}"));
            });
            html.text(&format!(" {rule}: broken "));
            html.datum(violations, &count(violations));
            html.text(if violations == 1 { " time" } else { " times" });
            html.text(&format!(", {by}"));
        });
        html.leaf("p", &[], reasons::felt(report, rule));
        html.tag("p", &[("class", "note")], |html| {
            with_code(html, &format!("What must hold: {}", rule.what_must_hold()));
        });
        if let Some(why) = reasons::why_not_condemned(report, rule) {
            html.leaf("p", &[], &format!("Not condemned: {why}."));
        }
        let mut told = Vec::new();
        for cause in causes.iter().take(CAUSES_SHOWN) {
            of_cause(html, report, cause);
            let Some(client) = cause.first.client.filter(|client| !told.contains(client)) else {
                continue;
            };
            if told.len() < STORIES_SHOWN && *stories > 0 && report.stories.of(client).is_some() {
                client::write(html, report, client, &cause.first);
                told.push(client);
                *stories -= 1;
            }
        }
        let hidden: u64 = causes.iter().skip(CAUSES_SHOWN).map(|cause| cause.violations).sum();
        if hidden > 0 {
            let more = counted((causes.len() - CAUSES_SHOWN) as u64, "other cause", "other causes");
            html.leaf("p", &[], &format!("… and {} more, of {more}.", count(hidden)));
        }
    });
}

fn of_cause(html: &mut Html, report: &RunReport, cause: &Cause) {
    html.tag("ul", &[("class", "cause")], |html| {
        html.tag("li", &[], |html| html.leaf("strong", &[], &reasons::cause(report, cause)));
        html.leaf("li", &[], &format!("such as {}", reasons::example(cause)));
        if let Some(surfaces) = reasons::surfaces(report, cause) {
            html.leaf("li", &[], &format!("befell {surfaces}"));
        }
        if let Some(command) = reasons::explain(cause, texts::HERE) {
            html.tag("li", &[], |html| {
                with_code(html, &format!("see it, from the bundle's folder: `{command}`"))
            });
        }
    });
}

/// Every rule that had an occasion, in figures.
fn every_rule(html: &mut Html, report: &RunReport) {
    let oracle = &report.oracle;
    let (own, foreign) = texts::deliveries(report);
    html.tag("p", &[], |html| {
        html.text(&format!(
            "{} and {} judged; {}, {}; of others or of the past, and held against no publish: {}. At the end {}.",
            counted(own, "delivery", "deliveries"),
            counted(oracle.replies, "replay reply", "replay replies"),
            counted(oracle.repeats, "repeat", "repeats"),
            counted(oracle.redelivered, "redelivery", "redeliveries"),
            counted(foreign, "delivery", "deliveries"),
            befell::drain(report),
        ));
    });
    if let Some(names) = texts::not_exercised(report) {
        html.leaf("p", &[("class", "note")], &format!("{names}."));
    }
    let heads = [
        ("Rule", false),
        ("What must hold", false),
        ("Cases judged", true),
        ("Violations", true),
        ("Consequences", true),
        ("Undecided", true),
    ];
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "Every rule, with the cases judged");
        table(html, "Every rule that had an occasion", &heads, |html| {
            for (rule, violations) in &oracle.violations {
                let of = |counts: &std::collections::BTreeMap<String, u64>| {
                    counts.get(rule).copied().unwrap_or(0)
                };
                html.tag("tr", &[], |html| {
                    name(html, rule);
                    let what = Rule::of(rule).map_or("", Rule::what_must_hold);
                    html.tag("td", &[], |html| with_code(html, what));
                    for n in [
                        of(&oracle.judged),
                        *violations,
                        of(&oracle.consequences),
                        of(&oracle.undecided),
                    ] {
                        figure(html, Some(n), &count(n));
                    }
                });
            }
        });
    });
}
