//! The head of the page: the decision, and the answers for whoever has to take it.

use super::super::brief::{self, Brief};
use super::super::texts::{self, HERE};
use super::super::units::{count, is_unit, utc};
use super::PARTS;
use super::html::Html;
use super::tables::sign_of;
use crate::judge::Decision;
use crate::report::RunReport;

pub fn write(html: &mut Html, report: &RunReport) {
    let brief = Brief::of(report, Some(HERE));
    let (sign, class) = sign_of(report.decision);
    let strip = format!("strip {class}");
    html.tag("header", &[], |html| {
        html.tag("div", &[("class", &strip)], |html| {
            html.leaf("p", &[("class", "sign"), ("aria-hidden", "true")], sign);
            html.tag("div", &[], |html| {
                html.tag("h1", &[], |html| {
                    html.leaf("strong", &[], &report.decision.to_string());
                    html.text(": ");
                    html.text(&report.scenario.name);
                    if let Some(profile) = &report.scenario.profile {
                        html.text(&format!(" ({profile})"));
                    }
                });
                html.leaf("p", &[("class", "headline")], &headline(report, &brief.headline));
                html.leaf("p", &[("class", "subject")], &together(&subject(report)));
            });
        });
        facts(html, report);
        html.tag("dl", &[("class", "brief")], |html| {
            for untested in brief::untested(report) {
                html.leaf("dt", &[], "What was not tested");
                html.leaf("dd", &[], &together(&untested));
            }
            for (question, answer) in [
                ("What was tried", Some(&brief.tried)),
                ("What users would have seen", Some(&brief.users)),
                ("Since when, and whom it befell", brief.since.as_ref()),
                ("Whether the test is to blame", Some(&brief.own_fault)),
            ] {
                let Some(answer) = answer else { continue };
                html.leaf("dt", &[], question);
                html.leaf("dd", &[], &together(answer));
            }
            html.leaf("dt", &[], "What to do next");
            html.tag("dd", &[], |html| with_code(html, &together(&brief.next)));
            let cautions = cautions(report, &brief);
            if !cautions.is_empty() {
                html.leaf("dt", &[], "What to bear in mind");
                html.leaf("dd", &[], &together(&cautions));
            }
        });
        contents(html, &PARTS);
    });
}

/// Defects that are named under the verdict; all of them stand under Provenance.
const DEFECTS_SHOWN: usize = 3;

/// What was tested, and what was switched on in it on purpose, in a sentence.
pub fn subject(report: &RunReport) -> String {
    let target = &report.target;
    let what = match target.kind.as_str() {
        "reference" => format!("the reference runtime that is built in, at {}", target.url),
        _ => target.url.clone(),
    };
    let build = target.build.as_ref().map_or("not known", String::as_str);
    let subject = format!("Tested: {what}; its build: {build}");
    let more = target.defects.len().saturating_sub(DEFECTS_SHOWN);
    let defects = match more {
        0 => brief::defects(report),
        _ => Some(format!(
            "The target was started with {} defects, on purpose: {} and {more} more, under Provenance. This is no \
             judgement of a real one.",
            target.defects.len(),
            target.defects[..DEFECTS_SHOWN].join(", ")
        )),
    };
    [Some(format!("{subject}.")), defects].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What is to be known before anything is concluded, but for what stands under the verdict.
pub fn cautions(report: &RunReport, brief: &Brief) -> String {
    let told = brief::defects(report);
    let others = brief.cautions.iter().filter(|caution| told.as_ref() != Some(caution));
    others.cloned().collect::<Vec<_>>().join(" ")
}

fn headline(report: &RunReport, headline: &str) -> String {
    match (report.finished, report.interrupted) {
        // It says so itself.
        _ if report.decision == Decision::Hold => headline.to_owned(),
        (false, _) => format!("{headline} Unfinished: its record breaks off."),
        (true, true) => format!("{headline} It was interrupted."),
        (true, false) => headline.to_owned(),
    }
}

/// A sentence in which figures stay with their units where it is broken into lines.
fn together(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    let mut figure = false;
    for (number, word) in sentence.split(' ').enumerate() {
        let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
        if number > 0 {
            out.push(if figure && is_unit(bare) { '\u{a0}' } else { ' ' });
        }
        out.push_str(word);
        figure = word.ends_with(|c: char| c.is_ascii_digit());
    }
    out
}

/// A sentence of ours in which commands stand between backquotes.
pub fn with_code(html: &mut Html, sentence: &str) {
    for (number, part) in sentence.split('`').enumerate() {
        match number % 2 {
            0 => html.text(part),
            _ => html.leaf("code", &[], part),
        }
    }
}

/// What the run was, in figures.
fn facts(html: &mut Html, report: &RunReport) {
    let clients: u64 = report.fleet.clients.values().sum();
    let (own, foreign) = texts::deliveries(report);
    let violations = report.oracle.violations();
    let started = report.started_at.replace('T', " ").replace('Z', " UTC");
    html.tag("dl", &[("class", "facts")], |html| {
        let mut fact = |name: &str, value: Option<String>, shown: &str| {
            html.tag("div", &[], |html| {
                html.leaf("dt", &[], name);
                html.tag("dd", &[], |html| match value {
                    Some(value) => html.datum(value, shown),
                    None => html.text(shown),
                });
            });
        };
        fact("Began", None, &started);
        fact("Took", Some(report.duration_s.to_string()), &format!("{:.1} s", report.duration_s));
        fact("Clients", Some(clients.to_string()), &count(clients));
        fact("Updates checked", Some((own + foreign).to_string()), &count(own + foreign));
        fact("Violations", Some(violations.to_string()), &count(violations));
        if let Some((first, at)) = first_violation(report) {
            fact("First noticed", Some(first.to_string()), &at);
        }
        fact("Seed", Some(report.scenario.seed.to_string()), &report.scenario.seed.to_string());
    });
}

/// When the first violation was noticed, in microseconds of the run and for people.
fn first_violation(report: &RunReport) -> Option<(u64, String)> {
    let first = report.oracle.causes.iter().map(|cause| cause.first.at_us).min()?;
    let seconds = std::time::Duration::from_micros(first).as_secs_f64();
    let clock = utc(&report.started_at, first).map(|utc| format!(" ({utc} UTC)"));
    Some((first, format!("{seconds:.1} s{}", clock.unwrap_or_default())))
}

/// Links to the parts of the page.
pub fn contents(html: &mut Html, parts: &[(&str, &str)]) {
    html.tag("nav", &[("aria-label", "Parts of this page")], |html| {
        html.tag("ul", &[], |html| {
            for (id, title) in parts {
                html.tag("li", &[], |html| {
                    html.leaf("a", &[("href", &format!("#{id}"))], title);
                });
            }
        });
    });
}
