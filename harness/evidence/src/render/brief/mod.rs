//! The run in a few sentences, for somebody who decides and knows neither rules nor metrics.

mod happened;
mod hold;
mod since;
mod tried;
mod untested;
mod users;

use std::collections::BTreeMap;

use khala_plan::metric::{RULES, is_of_published};

use self::hold::hold;
use self::tried::tried;
pub use self::untested::untested;
use self::users::{felt, users};
use super::units::{clients, count, counted, moment};
use super::{reasons, texts};
use crate::judge::{Against, Decision, ObjectiveVerdict, STABILITY_GATE, Verdict, stability};
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
    /// Of a NO-GO, since when it is so and whom it befell, or why neither can be said.
    pub since: Option<String>,
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
            Decision::Go => untested::go(report),
            Decision::NoGo => no_go(report, bundle),
            Decision::Hold => hold(report),
        };
        let users = users(report);
        let (tried, own_fault) = (tried(report), own_fault(report));
        // On a terminal it stands at the head.
        let passive = bundle.and_then(|_| passive(report));
        let cautions = passive.into_iter().chain(cautions(report)).collect();
        let since = (report.decision == Decision::NoGo).then(|| since::since(report));
        Self { headline, tried, users, own_fault, since, next, cautions }
    }
}

/// What can be said of evidence that was changed: nothing of the target.
fn altered(report: &RunReport) -> (String, String) {
    let come_to = match Decision::from(report.verdict) {
        Decision::Go => "would be a GO",
        Decision::NoGo => "would be a NO-GO",
        Decision::Hold => "would be a HOLD",
    };
    let stands = match report.decision == Decision::NoGo && report.verdict != Verdict::Fail {
        true => "; the run itself came to NO-GO, and that stands",
        false => "",
    };
    let headline = format!(
        "Do not rely on this: the evidence was changed after the run, and what is left of it {come_to}{stands}."
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

/// The times in which the target was away although nobody planned it, and for no other reason that is known.
fn absences(report: &RunReport) -> impl Iterator<Item = &Absence> {
    let away = report.target.absences.iter().filter(|absence| !absence.planned);
    away.filter(|absence| !happened::is_explained(report, absence))
}

/// Whether the target was away although nobody planned it, and for no other reason that is known.
pub fn was_away(report: &RunReport) -> bool {
    absences(report).next().is_some()
}

fn often(times: u64) -> String {
    if times == 1 { "once".to_owned() } else { counted(times, "time", "times") }
}

/// What fails the run and how often, where there is no room for the headline: the same that the headline tells.
pub fn gist(report: &RunReport) -> Option<String> {
    if report.altered || report.decision != Decision::NoGo {
        return None;
    }
    if let Some(first) = absences(report).next() {
        return Some(stability::what(first));
    }
    let incident = happened::incident(report);
    let rule = condemned(report).find(|it| *it != Rule::NoConvergence || incident.is_none());
    if let Some(rule) = rule {
        let causes = || report.oracle.causes.iter().filter(|it| it.rule == rule);
        let times: u64 = causes().map(|it| it.violations).sum();
        let most = causes().map(|it| it.clients).max().unwrap_or_default();
        let all: u64 = report.fleet.clients.values().sum();
        let whose = match most {
            0 => String::new(),
            most => format!(", {} of {}", count(most), clients(all)),
        };
        return Some(format!("{}, {}{whose}", rule.name(), often(times)));
    }
    if let Some(incident) = incident {
        let lines = report.unplanned_ends.iter().filter(|it| it.kind == incident);
        let times: u64 = lines.map(|it| it.count).sum();
        return Some(format!("{}, {}", incident.name(), often(times)));
    }
    failed(report, Verdict::Fail).next().map(|it| format!("{} failed", reasons::name(it)))
}

fn condemned(report: &RunReport) -> impl Iterator<Item = Rule> {
    let broken = reasons::broken(report).into_iter().map(|(rule, _)| rule);
    broken.filter(|rule| reasons::verdict(report, *rule) == Some(Verdict::Fail))
}

/// Rules whose first client is named in what to do; the rest stands below.
const SHOWN_MAX: usize = 3;

/// The worst thing as the headline; what to do about each: when the service was away, what closed idle connections, the
/// rules that it broke, what befell the run, and the claims that failed.
fn no_go(report: &RunReport, bundle: Option<&str>) -> (String, String) {
    let mut todo = Vec::new();
    let mut worst = None;
    let mut away = absences(report);
    if let Some(first) = away.next() {
        worst = Some(stability::what(first));
        let what = match first.only_sockets {
            true => "nothing came over sockets from",
            false => "the service went away at",
        };
        let more = match away.count() {
            0 => String::new(),
            more => format!(" and {}", counted(more as u64, "time more", "times more")),
        };
        todo.push(format!(
            "find out why {what} {}{more} (its own log tells)",
            moment(first.from_us)
        ));
    }
    let rules: Vec<_> = condemned(report).collect();
    let claims = failed(report, Verdict::Fail).next();
    let incident = happened::incident(report);
    if let Some(&rule) = rules.first() {
        // Who cannot get in, or is thrown out, is not late for another reason.
        let why = incident.filter(|_| rule == Rule::NoConvergence);
        worst.get_or_insert_with(|| match (why, &report.idle_ends) {
            (Some(_), Some(idle)) => happened::of_idle(report, idle),
            (Some(incident), None) => happened::of_incident(report, incident),
            (None, _) => happened::of_rule(report, rule),
        });
        let shown = match shown(report, &rules, bundle) {
            Some(shown) => shown,
            None => "the first example stands below".to_owned(),
        };
        let more = match claims {
            Some(_) => "; what else failed, and by how much, stands below",
            None => "",
        };
        todo.push(format!("give the evidence to those who build the service ({shown}{more})"));
    }
    if let (Some(idle), Some(_)) = (&report.idle_ends, incident) {
        worst.get_or_insert_with(|| happened::of_idle(report, idle));
        todo.push(happened::MEND_IDLE.to_owned());
    } else if let (Some(incident), None) = (incident, &worst) {
        worst = Some(happened::of_incident(report, incident));
        todo.push(
            "give the evidence to those who run the service and what stands before it (what happened, when and to \
             whom, stands below)"
                .to_owned(),
        );
    } else if rules.is_empty() && (claims.is_some() || worst.is_none()) {
        let felt = || claims.map_or_else(|| clause(felt("")), |it| happened::of_claim(report, it));
        worst.get_or_insert_with(felt);
        todo.push(
            "give the evidence to those who build the service (what failed, and by how much, stands below)"
                .to_owned(),
        );
    }
    let next = format!("{}, and run the same again when it is mended.", todo.join("; "));
    (format!("Do not go on: {}.", worst.unwrap_or_default()), users::capital(&next))
}

/// The commands that show the first client of each of these rules, where there are commands.
fn shown(report: &RunReport, rules: &[Rule], bundle: Option<&str>) -> Option<String> {
    let bundle = bundle?;
    let command = |rule: &Rule| {
        let cause = report.oracle.causes.iter().find(|cause| cause.rule == *rule)?;
        reasons::explain(cause, bundle).map(|command| (*rule, command))
    };
    let mut commands: Vec<(Rule, String)> = rules.iter().filter_map(command).collect();
    commands.dedup_by(|one, other| one.1 == other.1);
    let told = match commands.as_slice() {
        [] => return None,
        [(_, only)] => format!("`{only}` shows what the first client concerned got"),
        several => {
            let several = several.iter().take(SHOWN_MAX);
            let each: Vec<_> =
                several.map(|(rule, command)| format!("`{command}` for {rule}")).collect();
            format!("what the first client concerned got shows {}", each.join(", "))
        }
    };
    Some(told)
}

/// Why the machine that ran the test could not measure all that it was to, if it could not: of the run, or of
/// the first objective that is undecided for it.
pub fn starved(report: &RunReport) -> Option<&str> {
    let mut of_the_run = report.of_the_run.iter();
    let of_the_run = of_the_run.find(|reason| reason.against == Against::Generator);
    let mut undecided = failed(report, Verdict::Inconclusive);
    of_the_run.map(|reason| reason.why.as_str()).or_else(|| {
        let starved = undecided.find(|it| it.against == Some(Against::Generator))?;
        Some(starved.beyond.as_deref().unwrap_or(&starved.reason))
    })
}

/// Whether a rule is broken that no slowness of the test can break.
pub fn is_proven(report: &RunReport) -> bool {
    condemned(report).any(|rule| rule.kind() == RuleKind::Proof)
}

/// Whether what was seen may be the test's own doing, in a sentence or two.
fn own_fault(report: &RunReport) -> String {
    let proven = is_proven(report);
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
    let undecided = hold::own_faults(report);
    let own: u64 = report.own_ends.iter().map(|line| line.count).sum();
    let incidents = (own > 0).then(|| {
        let incidents = counted(own, "incident follows", "incidents follow");
        format!("In part: {incidents} from its own pauses, and nobody is blamed for them.")
    });
    let undecided = (!undecided.is_empty())
        .then(|| format!("In what is undecided, yes: {}.", undecided.join("; ")));
    let told: Vec<_> = undecided.into_iter().chain(incidents).collect();
    if !told.is_empty() {
        return format!("{}{stands}", told.join(" "));
    }
    let proven = if proven { ", and no slowness of it could make what is broken" } else { "" };
    format!("No: {}{proven}.", texts::brief_fitness(&report.generator))
}

/// The defects that the target was started with, in a sentence.
pub fn defects(report: &RunReport) -> Option<String> {
    let defects = report.target.defects.join(", ");
    (!defects.is_empty()).then(|| {
        format!(
            "The target was started with a defect, on purpose: {defects}. This is no judgement of a real one."
        )
    })
}

fn cautions(report: &RunReport) -> Vec<String> {
    let mut cautions = Vec::new();
    if report.target.way.as_ref().is_some_and(|way| way.insecure) {
        cautions.push(
            "No certificate was verified, on purpose (target.tls.insecure): nobody knows who was tested."
                .to_owned(),
        );
    }
    cautions.extend(defects(report));
    if report.unvouched {
        cautions.push(
            "The run's own manifest.json was gone when this report was made: nothing says that the sources are \
             those that the run wrote."
                .to_owned(),
        );
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
        let rules = RULES.iter().copied().filter(|rule| is_of_published(rule));
        let rules = rules.collect::<Vec<_>>().join(", ");
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
