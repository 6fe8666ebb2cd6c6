//! The run in a few sentences, for somebody who decides and knows neither rules nor metrics.

mod tried;
mod users;

use std::collections::BTreeMap;

use self::tried::tried;
use self::users::{felt, users};
use super::units::{clients, count, counted, moment};
use super::{beside, reasons, texts};
use crate::judge::{Against, Decision, ObjectiveVerdict, STABILITY_GATE, Verdict, open, stability};
use crate::oracle::tally::Clients;
use crate::oracle::{Rule, RuleKind};
use crate::report::RunReport;
use crate::shard::absence::Absence;

/// The run in a few sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// What to decide, and the one reason for it.
    pub headline: String,
    /// What was tried.
    pub tried: String,
    /// What users would have seen.
    pub users: String,
    /// Whether what was seen may be the test's own doing.
    pub own_fault: String,
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
            _ if report.altered => altered(report),
            Decision::Go => (
                "Go on: all that this run was asked to show holds.".to_owned(),
                "Nothing has to be done.".to_owned(),
            ),
            Decision::NoGo => no_go(report, bundle),
            Decision::Hold => hold(report),
        };
        let users = users(report);
        let (tried, own_fault) = (tried(report), own_fault(report));
        // On a terminal it stands at the head.
        let passive = bundle.and_then(|_| passive(report));
        let cautions = passive.into_iter().chain(cautions(report)).collect();
        Self { headline, tried, users, own_fault, next, cautions }
    }
}

/// What can be said of evidence that was changed: nothing of the target.
fn altered(report: &RunReport) -> (String, String) {
    let come_to = match report.decision {
        Decision::Go => "would be a GO",
        Decision::NoGo => "would be a NO-GO",
        Decision::Hold => "would be a HOLD",
    };
    let headline = format!(
        "Do not rely on this: the evidence was changed after the run, and what is left of it {come_to}."
    );
    let next = "Take the bundle from where nobody could change it, or run it again: under Why it says which \
                files are not what the run wrote, and what the run itself came to.";
    (headline, next.to_owned())
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

fn condemned(report: &RunReport) -> impl Iterator<Item = Rule> {
    let broken = reasons::broken(report).into_iter().map(|(rule, _)| rule);
    broken.filter(|rule| reasons::verdict(report, *rule) == Some(Verdict::Fail))
}

fn no_go(report: &RunReport, bundle: Option<&str>) -> (String, String) {
    let again = "run the same again when it is mended";
    if let Some(away) = absences(report).next() {
        let what = match away.only_sockets {
            true => "nothing came over sockets from",
            false => "the service went away at",
        };
        let next = format!(
            "Find out why {what} {} (its own log tells), and {again}.",
            moment(away.from_us)
        );
        return (format!("Do not go on: {}.", stability::what(away)), next);
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
    let away = report.fleet.away_at_end();
    let (why, next) = if !report.finished {
        (
            "the record of the test breaks off before its end".to_owned(),
            "Run it again, to its end, or judge the evidence as the run wrote it.",
        )
    } else if report.interrupted {
        ("the test was stopped before its end".to_owned(), "Run it again, to its end.")
    } else if starved(report).is_some() {
        (
            "the machine that ran the test was too busy to measure anything but itself".to_owned(),
            "Run it again on a machine that does nothing else, or with fewer clients.",
        )
    } else if report.oracle.deliveries == 0 {
        (
            "not one update arrived, so that nothing was tested".to_owned(),
            "See below whether clients could connect at all, and run it again.",
        )
    } else if let Some(fault) =
        report.faults.iter().find(|fault| fault.why_it_did_not_bite().is_some())
    {
        (
            "a disturbance that belongs to the test did not happen as planned".to_owned(),
            match beside::elsewhere(report, fault) {
                Some(_) => {
                    "Give the disturbances more time between them, or aim them at clients that are connected \
                     by then (under Faults it says where the others were), and run it again."
                }
                None => "See under Faults what became of it, and run it again.",
            },
        )
    } else if let Some((unkept, mend)) = unkept(report) {
        let why =
            format!("no client can keep this bound: {} {}", reasons::name(unkept), unkept.require);
        let next = format!(
            "Mend the scenario and run it again: {mend}. `khala-harness check` tells all such bounds before a \
             run."
        );
        return (format!("Do not decide by this run: {why}."), next);
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

/// Why the machine that ran the test could not measure all that it was to, if it could not: of the run, or of
/// the first objective that is undecided for it.
fn starved(report: &RunReport) -> Option<&str> {
    let mut of_the_run = report.of_the_run.iter();
    let of_the_run = of_the_run.find(|reason| reason.against == Against::Generator);
    let undecided = || failed(report, Verdict::Inconclusive).next();
    of_the_run.map(|reason| reason.why.as_str()).or_else(|| {
        undecided().map(|it| it.reason.as_str()).filter(|why| why.starts_with("the generator "))
    })
}

/// The first objective that decides and that no target can keep, with what mends it.
fn unkept(report: &RunReport) -> Option<(&ObjectiveVerdict, &str)> {
    let mut unkept = failed(report, Verdict::Inconclusive).filter(|one| one.never_kept.is_some());
    let first = unkept.next()?;
    Some((first, first.it_takes.as_deref().unwrap_or("ask for what can be kept")))
}

/// Whether what was seen may be the test's own doing, in a sentence or two.
fn own_fault(report: &RunReport) -> String {
    let proven = condemned(report).any(|rule| rule.kind() == RuleKind::Proof);
    let stands = if proven {
        " What is broken stands all the same: no slowness of the test can make it."
    } else {
        ""
    };
    if report.altered {
        return "Not known: the evidence was changed after the run.".to_owned();
    }
    if !report.finished {
        return format!("Not known: the record breaks off.{stands}");
    }
    if let Some(why) = starved(report) {
        return format!("In what is undecided, yes: {why}.{stands}");
    }
    let unkept = failed(report, Verdict::Inconclusive).find_map(|one| one.never_kept.as_deref());
    if let Some(why) = unkept {
        return format!(
            "In what is undecided, yes: it asks for what no client can keep, for {why}.{stands}"
        );
    }
    let own: u64 = report.own_ends.iter().map(|line| line.count).sum();
    if own > 0 {
        let incidents = counted(own, "incident follows", "incidents follow");
        return format!(
            "In part: {incidents} from its own pauses, and nobody is blamed for them.{stands}"
        );
    }
    let proven = if proven { ", and no slowness of it could make what is broken" } else { "" };
    format!("No: {}{proven}.", texts::brief_fitness(&report.generator))
}

/// What would decide the first rule that is left undecided, where its reason says so.
fn it_takes(report: &RunReport) -> Option<&str> {
    let objectives =
        report.gates.iter().filter(|gate| gate.judged).flat_map(|gate| &gate.objectives);
    let open = objectives.filter(|objective| objective.verdict == Verdict::Inconclusive);
    open.filter_map(|objective| objective.it_takes.as_deref()).next()
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

/// What a run that writes nothing does not say.
pub fn passive(report: &RunReport) -> Option<String> {
    report.target.passive.then(|| {
        let rules = khala_plan::estimate::NEEDS_A_LEDGER.join(", ");
        format!(
            "Passive: nothing was written, and what others write was judged. Not applicable, for they are about what a run itself has published: {rules}. What is lost or late \
             for everybody alike, nobody saw.{}",
            silent(&report.oracle.applied, &report.oracle.unreached)
        )
    })
}

/// Client ranges that a sentence names.
const RANGES_MAX: usize = 4;

/// Topics on which nothing came, and clients to which nothing came on a topic on which others got something, each a
/// sentence behind a space.
fn silent(applied: &BTreeMap<String, u64>, unreached: &BTreeMap<String, Clients>) -> String {
    let nothing = applied.iter().filter(|(_, applied)| **applied == 0);
    let nothing: Vec<_> = nothing.map(|(topic, _)| topic.as_str()).collect();
    let mut text = match nothing.as_slice() {
        [] => String::new(),
        topics => format!(
            " Nothing at all came on {}: nothing is said of what is published there.",
            topics.join(", ")
        ),
    };
    for (topic, clients) in unreached {
        if nothing.contains(&topic.as_str()) {
            continue;
        }
        let ranges = clients.ranges();
        let told = ranges.iter().take(RANGES_MAX).map(|&(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let more = if ranges.len() > RANGES_MAX { ", …" } else { "" };
        let count: u64 = ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum();
        let clients = counted(count, "client", "clients");
        text +=
            &format!(" On {topic} nothing came to {clients} ({told}{more}), and to others it did.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passive_run_names_the_topics_and_clients_to_which_nothing_came() {
        let applied = [("a", 0), ("b", 7)].map(|(topic, n)| (topic.to_owned(), n)).into();
        let of = |clients: &[u32]| clients.iter().copied().collect::<Clients>();
        let unreached = [("a", of(&[0, 1])), ("b", of(&[2, 5, 6, 9, 11, 13]))];
        let unreached = unreached.map(|(topic, who)| (topic.to_owned(), who)).into();
        assert_eq!(
            silent(&applied, &unreached),
            " Nothing at all came on a: nothing is said of what is published there. On b nothing came to \
             6 clients (2, 5 to 6, 9, 11, …), and to others it did."
        );
        assert_eq!(silent(&[("b".to_owned(), 7)].into(), &BTreeMap::new()), "");
    }

    #[test]
    fn a_sentence_becomes_a_clause() {
        assert_eq!(clause("Users miss events."), "users miss events");
    }
}
