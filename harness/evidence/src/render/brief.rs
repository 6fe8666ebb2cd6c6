//! The run in a few sentences, for somebody who decides and knows neither rules nor metrics.

use khala_plan::metric::MetricId;

use super::reasons;
use super::units::{clients, count, duration, moment};
use crate::judge::{Against, Decision, ObjectiveVerdict, STABILITY_GATE, Verdict, open, stability};
use crate::oracle::Rule;
use crate::report::RunReport;
use crate::shard::absence::{Absence, Manner};

/// Sentences of a kind that are told; the rest is below.
const TOLD_MAX: usize = 3;
/// Faults that are told; the rest is below.
const FAULTS_MAX: usize = 4;

/// The run in a few sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// What to decide, and the one reason for it.
    pub headline: String,
    /// What was tried.
    pub tried: String,
    /// What users would have seen.
    pub users: String,
    /// What to do next.
    pub next: String,
    /// What is to be known before anything is concluded.
    pub cautions: Vec<String>,
}

impl Brief {
    /// The sentences on a report, for a reader to whom the bundle's folder is `bundle`; without one, for a
    /// reader who has the commands below.
    pub fn of(report: &RunReport, bundle: Option<&str>) -> Self {
        let (headline, next) = match report.decision {
            Decision::Go => (
                "Go on: all that this run was asked to show holds.".to_owned(),
                "Nothing has to be done.".to_owned(),
            ),
            Decision::NoGo => no_go(report, bundle),
            Decision::Hold => hold(report),
        };
        let users = users(report);
        Self { headline, tried: tried(report), users, next, cautions: cautions(report) }
    }
}

/// A sentence as a clause: its first letter small, without its full stop.
fn clause(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

/// What failed of a deciding gate that is no rule.
fn failed(report: &RunReport, verdict: Verdict) -> impl Iterator<Item = &ObjectiveVerdict> {
    let gates = report.gates.iter().filter(|gate| !gate.advisory && gate.name != STABILITY_GATE);
    let objectives = gates.flat_map(|gate| &gate.objectives);
    objectives.filter(move |one| one.verdict == verdict && one.metric != reasons::VIOLATIONS)
}

/// The times in which the target was away although nobody planned it.
fn absences(report: &RunReport) -> impl Iterator<Item = &Absence> {
    report.target.absences.iter().filter(|absence| !absence.planned)
}

fn absence(absence: &Absence) -> String {
    let what = match absence.manner {
        Manner::Restarted => "The service restarted",
        Manner::Lost | Manner::Absent => "The service was away",
        Manner::CutOff => "Everybody who was connected was cut off",
    };
    let until = match absence.until_us {
        Some(until) => format!(", and back at {}", moment(until)),
        None => ", to the end".to_owned(),
    };
    let whose = stability::of_all(absence.clients, absence.arrived);
    format!("{what} at {}{until}, for {whose}.", moment(absence.from_us))
}

/// What those who use the product notice when a claim on a metric fails, in a sentence.
fn felt(metric: &str) -> &'static str {
    match MetricId::of(metric) {
        Some(MetricId::TokenMint) => "Signing in takes too long.",
        Some(MetricId::Connect | MetricId::TlsHandshake | MetricId::Join | MetricId::Subscribe) => {
            "Connecting takes too long."
        }
        Some(MetricId::ReplayBootstrap | MetricId::Snapshot) => {
            "It takes too long until an app that was opened shows everything."
        }
        Some(MetricId::ResumeToLive | MetricId::TimeToRecovered | MetricId::ReplayLag) => {
            "After an interruption it takes too long until an app is up to date again."
        }
        Some(MetricId::Delivery) => "Updates arrive too late.",
        Some(MetricId::BystanderRatio) => "A few slow users make it slower for all others.",
        Some(MetricId::UnplannedStale) => "Apps are made to load everything again for nothing.",
        Some(MetricId::HeartbeatRtt | MetricId::HeartbeatTimeouts) => {
            "Open connections are not answered in time."
        }
        Some(MetricId::Publish) => "Changes take too long to be accepted.",
        Some(MetricId::PublishErrors) => "Too many changes are refused.",
        Some(MetricId::ReconnectAttempts) => "Apps have to try too often to come back.",
        Some(MetricId::AuthErrors | MetricId::MintErrors) => "Too many sign-ins are refused.",
        Some(MetricId::ConnectErrors | MetricId::TopicErrors) => "Too many connects fail.",
        Some(MetricId::Reconnects) => "Connections break too often.",
        Some(MetricId::Unrecovered) => "Some apps never come back after an interruption.",
        Some(MetricId::PeakConnects) => "Too many apps come back in the same second.",
        Some(MetricId::Violations) => "What users see may be wrong.",
        None => "Connections break, or requests fail, although nobody meant them to.",
    }
}

fn condemned(report: &RunReport) -> impl Iterator<Item = Rule> {
    let broken = reasons::broken(report).into_iter().map(|(rule, _)| rule);
    broken.filter(|rule| reasons::verdict(report, *rule) == Some(Verdict::Fail))
}

fn no_go(report: &RunReport, bundle: Option<&str>) -> (String, String) {
    let again = "run the same again when it is mended";
    if let Some(away) = absences(report).next() {
        let next = format!(
            "Find out why the service went away at {} (its own log tells), and {again}.",
            moment(away.from_us)
        );
        let told = stability::sentence(away);
        let told = told.split(" (").next().unwrap_or_default();
        return (format!("Do not go on: {told}."), next);
    }
    if let Some(rule) = condemned(report).next() {
        let cause = report.oracle.causes.iter().find(|cause| cause.rule == rule);
        let command = cause.zip(bundle).and_then(|(cause, bundle)| reasons::explain(cause, bundle));
        let shown = match command {
            Some(command) => format!("`{command}` shows what the first client concerned got"),
            None => "the first example stands below".to_owned(),
        };
        let next =
            format!("Give the evidence to those who build the service ({shown}), and {again}.");
        return (format!("Do not go on: {}.", clause(reasons::felt(report, rule))), next);
    }
    let next = format!(
        "Give the evidence to those who build the service (what failed, and by how much, stands below), \
         and {again}."
    );
    let worst = failed(report, Verdict::Fail).next();
    let felt = worst.map_or_else(|| felt(""), |objective| felt(&objective.metric));
    (format!("Do not go on: {}.", clause(felt)), next)
}

fn hold(report: &RunReport) -> (String, String) {
    let of_the_run = &report.of_the_run;
    let all: u64 = report.fleet.clients.values().sum();
    let away = all.saturating_sub(report.fleet.clients_live_at_end);
    let (why, next) = if !report.finished {
        ("the test was killed before its end".to_owned(), "Run it again, to its end.")
    } else if report.interrupted {
        ("the test was stopped before its end".to_owned(), "Run it again, to its end.")
    } else if of_the_run.iter().any(|reason| reason.against == Against::Generator) {
        (
            "the machine that ran the test was too busy to measure anything but itself".to_owned(),
            "Run it again on a machine that does nothing else, or with fewer clients.",
        )
    } else if report.oracle.deliveries == 0 {
        (
            "not one update arrived, so that nothing was tested".to_owned(),
            "See below whether clients could connect at all, and run it again.",
        )
    } else if report.faults.iter().any(|fault| fault.why_it_did_not_bite().is_some()) {
        (
            "a disturbance that belongs to the test did not happen as planned".to_owned(),
            "See under Faults what became of it, and run it again.",
        )
    } else if away > 0 && !of_the_run.is_empty() {
        (
            format!("{} of {} were not connected at the end", count(away), clients(all)),
            "Find out what kept them away, and run it again.",
        )
    } else if let Some(first) = of_the_run.first().filter(|first| first.against == Against::Open) {
        let undecided = report.oracle.undecided.iter();
        let rules = undecided.filter_map(|(rule, open)| Some((Rule::of(rule)?, *open)));
        let next = open::foremost(rules).map_or("Run it again.", open::remedy);
        (first.why.clone(), next)
    } else if let Some(first) = of_the_run.first() {
        (first.why.clone(), "Mend what the reason names, and run it again.")
    } else if let Some(open) = failed(report, Verdict::Inconclusive).next() {
        (
            format!("too little was seen to rule out that {}", clause(felt(&open.metric))),
            "Run it again for longer or with more clients: `khala-harness check` says how many it takes.",
        )
    } else if report.verdict == Verdict::Warn {
        (
            "all holds, with less to spare than was asked for".to_owned(),
            "Decide whether the smaller margin will do: what warns stands below, with what would have to come.",
        )
    } else {
        let why = "too little was seen to be sure that nothing was broken".to_owned();
        if let Some(how) = it_takes(report) {
            let next = format!("Run it again with what would decide it: {how}.");
            return (format!("Do not decide by this run: {why}."), next);
        }
        (why, "See the reasons below, and run it again.")
    };
    (format!("Do not decide by this run: {why}."), next.to_owned())
}

/// What would decide the first rule that is left undecided, where its reason says so.
fn it_takes(report: &RunReport) -> Option<&str> {
    let objectives =
        report.gates.iter().filter(|gate| gate.judged).flat_map(|gate| &gate.objectives);
    let open = objectives.filter(|objective| objective.verdict == Verdict::Inconclusive);
    open.filter_map(|objective| objective.it_takes.as_deref()).next()
}

/// What a fault does, for people who do not know its name.
fn disturbance(kind: &str, n: u64) -> String {
    khala_plan::fault::of(kind)
        .map_or_else(|| format!("{kind} of {}", clients(n)), |kind| (kind.told)(&clients(n), n))
}

fn tried(report: &RunReport) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    let surfaces = report.fleet.clients.iter().filter(|(_, n)| **n > 0);
    let surfaces: Vec<_> =
        surfaces.map(|(surface, n)| format!("{} {}", count(*n), surface.name())).collect();
    let target = match report.target.kind.as_str() {
        "reference" => "the reference runtime that is built in".to_owned(),
        _ => report.target.url.clone(),
    };
    let whole = report.phases.last().map_or(0, |phase| phase.end_us);
    let whole = match report.interrupted || !report.finished {
        true => format!(" of {}", moment(whole)),
        false => String::new(),
    };
    let description = report.scenario.description.as_deref().map(str::trim).unwrap_or_default();
    let mut text = String::new();
    if !description.is_empty() {
        let stop = if description.ends_with(['.', '!', '?']) { "" } else { "." };
        text = format!("{description}{stop} ");
    }
    text += &format!(
        "{} ({}) for {:.1} s{whole} against {target}",
        clients(all),
        surfaces.join(", "),
        report.duration_s
    );
    let mut faults: Vec<_> = report.faults.iter().collect();
    faults.sort_by_key(|fault| fault.at_us);
    let told = faults.iter().take(FAULTS_MAX).map(|fault| {
        let at = moment(fault.at_us);
        let not_due = if fault.applied { "" } else { " (it ended before)" };
        format!("at {at} {}{not_due}", disturbance(&fault.kind, fault.planned))
    });
    let told: Vec<_> = told.collect();
    let more = match faults.len().saturating_sub(FAULTS_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    match told.is_empty() {
        true => text + ". Nothing was disturbed on purpose.",
        false => format!("{text}. On purpose: {}{more}.", told.join("; ")),
    }
}

fn users(report: &RunReport) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    let mut told: Vec<String> = absences(report).map(absence).collect();
    for (rule, causes) in reasons::broken(report) {
        let most = causes.iter().map(|cause| cause.clients).max().unwrap_or(0);
        let first = causes.iter().map(|cause| cause.first.at_us).min().unwrap_or(0);
        let whose = match most {
            0 => String::new(),
            some => format!("{} of {}, ", count(some), clients(all)),
        };
        let open = match reasons::verdict(report, rule) {
            Some(Verdict::Inconclusive) => "perhaps: ",
            _ => "",
        };
        let sentence = clause(reasons::felt(report, rule));
        told.push(format!("{open}{sentence} ({whose}first at {}).", moment(first)));
    }
    let mut felt: Vec<_> =
        failed(report, Verdict::Fail).map(|objective| felt(&objective.metric)).collect();
    felt.dedup();
    told.extend(felt.into_iter().map(str::to_owned));
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if more > 0 {
        told.push(format!("And {more} more."));
    }
    if !told.is_empty() {
        return told.iter().map(|one| capital(one)).collect::<Vec<_>>().join(" ");
    }
    if report.oracle.deliveries == 0 {
        return "Nothing at all: not one update arrived.".to_owned();
    }
    let checked = count(report.oracle.deliveries);
    let until = if report.interrupted || !report.finished { " until then" } else { "" };
    format!(
        "Nothing wrong{until}: {checked} updates were checked as they arrived.{}",
        recovered(report)
    )
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

/// How those who were cut off came back.
fn recovered(report: &RunReport) -> String {
    let lines = report.metrics.iter().filter(|line| line.metric == MetricId::TimeToRecovered);
    let (mut longest, mut n, mut never) = (0, 0, 0);
    for line in lines {
        (n, never) = (n + line.n, never + line.censored);
        longest = longest.max(line.response.map_or(0, |response| response.max));
    }
    match (n, never) {
        (0, _) => String::new(),
        (_, 0) => {
            format!(
                " After being cut off, the slowest client was up to date in {}.",
                duration(longest)
            )
        }
        // All were back at the end, so that these took longer than the phase in which they were cut off.
        (n, late) if report.fleet.clients_live_at_end >= report.fleet.clients.values().sum() => {
            format!(
                " Of {} times that a client was cut off, it was up to date again {} times only after the \
                 phase of that disturbance had ended.",
                count(n),
                count(late)
            )
        }
        (n, away) if report.interrupted || !report.finished => format!(
            " Of {} times that a client was cut off, it was not back {} times when it ended.",
            count(n),
            count(away)
        ),
        (n, never) => {
            format!(
                " After being cut off, {} of {} were not up to date again.",
                count(never),
                count(n)
            )
        }
    }
}

fn cautions(report: &RunReport) -> Vec<String> {
    let mut cautions = Vec::new();
    if report.target.way.as_ref().is_some_and(|way| way.insecure) {
        cautions.push(
            "No certificate was verified, on purpose (target.tls.insecure): nobody knows who was tested."
                .to_owned(),
        );
    }
    if !report.target.defects.is_empty() {
        let defects = report.target.defects.join(", ");
        cautions.push(format!(
            "The target was started with a defect, on purpose: {defects}. This is no judgement of a real one."
        ));
    }
    let not_judged: Vec<_> =
        report.gates.iter().filter(|gate| !gate.judged).map(|gate| gate.name.as_str()).collect();
    if !not_judged.is_empty() {
        cautions.push(format!("Not judged by this profile: {}.", not_judged.join(", ")));
    }
    let (never, rules) = (report.oracle.not_exercised.len(), report.oracle.violations.len());
    if never > 0 {
        cautions.push(format!(
            "Of {} rules {never} had no occasion in this run: nothing is said of them.",
            never + rules
        ));
    }
    cautions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_sentence_that_everybody_knows() {
        for metric in MetricId::ALL {
            let sentence = felt(metric.name());
            assert!(sentence.ends_with('.') && !sentence.contains(['_', '`']), "{sentence}");
        }
    }

    #[test]
    fn every_fault_has_words_of_its_own() {
        for kind in khala_plan::fault::REGISTRY {
            let name = kind.name;
            assert!(!disturbance(name, 3).contains(" of 3 clients"), "{name}");
        }
    }

    #[test]
    fn a_sentence_becomes_a_clause_and_back() {
        assert_eq!(clause("Users miss events."), "users miss events");
        assert_eq!(capital("users miss events."), "Users miss events.");
    }
}
