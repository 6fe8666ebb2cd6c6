//! Why a run is a HOLD, each distinct reason once and worst first, and what to do about it.

use std::fmt::Display;

use khala_plan::metric::MetricId;

use super::super::units::{clients, count, counted};
use super::super::{befell, beside, reasons};
use super::{clause, failed, felt};
use crate::facts::{FaultOutcome, RestsOn};
use crate::judge::{Against, GateVerdict, ObjectiveVerdict, STABILITY_GATE, Verdict, open};
use crate::oracle::Rule;
use crate::record::Request;
use crate::report::RunReport;

/// Reasons told with what to do; the rest stands below.
const TOLD_MAX: usize = 4;
/// Requests for which a target wants the operators' token.
const OF_OPERATORS: [Request; 3] = [Request::Metrics, Request::Trim, Request::Revoke];
/// That the oracle left too much open, in short.
const OPEN: &str = "the oracle left too much undecided";

/// A reason, and what to do about it, in a sentence.
struct Held {
    /// The reason in a clause, with its figures: the headline has it of the first.
    why: String,
    /// The same without figures, which stand under what befell the run.
    short: String,
    next: String,
}

impl Held {
    fn new(why: impl Into<String>, next: impl Into<String>) -> Self {
        let why = why.into();
        Self { short: why.clone(), why, next: next.into() }
    }

    /// The same, with what the reason comes to: figures, after a colon.
    fn coming_to(self, figures: impl Display) -> Self {
        Self { why: format!("{}: {figures}", self.why), ..self }
    }

    /// The same, with figures in brackets.
    fn beside(self, figures: impl Display) -> Self {
        Self { why: format!("{} ({figures})", self.why), ..self }
    }

    /// The same, in other words where there is little room.
    fn in_short(self, short: &str) -> Self {
        Self { short: short.to_owned(), ..self }
    }
}

/// The headline and what to do next.
pub fn hold(report: &RunReport) -> (String, String) {
    let held = held(report);
    let Some(first) = held.first() else { return (String::new(), String::new()) };
    let more = match held.len() - 1 {
        0 => String::new(),
        1 => ", and for another reason".to_owned(),
        more => format!(", and for {more} other reasons"),
    };
    (format!("Do not decide by this run: {}{more}.", first.why), next(&held))
}

/// What to do about each reason; about several that want the same, once.
fn next(held: &[Held]) -> String {
    let mut todo: Vec<(&str, Vec<&str>)> = Vec::new();
    for Held { short, next, .. } in held {
        match todo.iter_mut().find(|(known, _)| *known == next.as_str()) {
            Some((_, whys)) => whys.push(short),
            None => todo.push((next, vec![short.as_str()])),
        }
    }
    if let [(next, _)] = todo.as_slice() {
        return (*next).to_owned();
    }
    let more = match todo.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!(" {more} more stand below."),
    };
    let each = todo.iter().take(TOLD_MAX).enumerate();
    let each =
        each.map(|(n, (next, whys))| format!("({}) As {}: {next}", n + 1, whys.join(", and ")));
    format!("{}{more}", each.collect::<Vec<_>>().join(" "))
}

/// The reasons, worst first: what leaves nothing to be said, what was not measured, what did not happen, what was
/// left open.
fn held(report: &RunReport) -> Vec<Held> {
    if let Some(whole) = nothing_to_say(report) {
        return vec![whole];
    }
    let mut held = Vec::new();
    if super::starved(report).is_some() {
        held.push(Held::new(
            "the machine that ran the test was too busy to measure anything but itself",
            "Run it again on a machine that does nothing else, or with fewer clients.",
        ));
    }
    held.extend(disturbances(report));
    held.extend(unkept(report).map(|(objective, mend)| out_of_reach(report, objective, mend)));
    held.extend(of_the_run(report));
    held.extend(too_little(report));
    held.extend(rules(report));
    held.extend(incidents(report));
    if held.is_empty() {
        held.push(last(report));
    }
    let mut told: Vec<Held> = Vec::new();
    for one in held {
        if !told.iter().any(|known| known.why == one.why) {
            told.push(one);
        }
    }
    told
}

/// What leaves all that follows unsaid.
fn nothing_to_say(report: &RunReport) -> Option<Held> {
    if !report.finished {
        return Some(Held::new(
            "the record of the test breaks off before its end",
            "Run it again, to its end, or judge the evidence as the run wrote it.",
        ));
    }
    if report.interrupted {
        let why = "the test was stopped before its end";
        return Some(Held::new(why, "Run it again, to its end."));
    }
    (report.oracle.deliveries == 0 && super::starved(report).is_none())
        .then(|| nothing_came(report))
}

/// That not one update arrived: how far it came, and where to look.
fn nothing_came(report: &RunReport) -> Held {
    let (connects, load) = (report.fleet.connects, &report.load);
    let figures = format!(
        "{}, {} of {} accepted",
        counted(connects, "connect was taken", "connects were taken"),
        count(load.acknowledged),
        counted(load.planned, "change", "changes"),
    );
    let instead = befell::instead(&report.requests, MetricId::PublishErrors);
    let next = match (befell::kept_away(report), instead) {
        (Some(met), _) if connects == 0 || report.fleet.clients_live_at_end == 0 => format!(
            "Find out why clients cannot come in (most often they met {met}; the rest stands under Requests), and \
             run it again."
        ),
        (_, Some(instead)) if load.acknowledged == 0 => format!(
            "Find out why nothing that is published is accepted ({instead}), and run it again."
        ),
        _ if report.target.passive => {
            "Run it again while somebody publishes on the topics that the clients subscribe to.".to_owned()
        }
        _ => "See that what is published comes out on topics that the clients subscribe to (`topics` of \
              [[fleet.surface]]), and run it again."
            .to_owned(),
    };
    Held::new("not one update arrived, so that nothing was tested", next).coming_to(figures)
}

/// The faults that fell short, those that want the same remedy together: the first of them by how much.
fn disturbances(report: &RunReport) -> Vec<Held> {
    let short: Vec<_> =
        report.faults.iter().filter_map(|it| Some((it, it.why_it_did_not_bite()?))).collect();
    let mut remedies: Vec<String> = short.iter().map(|(fault, _)| remedy(report, fault)).collect();
    let mut seen = Vec::new();
    remedies.retain(|remedy| {
        let is_new = !seen.contains(remedy);
        seen.push(remedy.clone());
        is_new
    });
    // Without the token nobody knows where the target's cursors stand: the rest may follow from it.
    remedies.sort_by_key(|remedy| *remedy != give_token());
    let Some((_, first)) = short.first() else { return Vec::new() };
    // How many comes first: what follows is cut where there is no room.
    let why = match short.len() {
        1 => "a disturbance that belongs to the test did not happen as planned".to_owned(),
        several => format!(
            "{} of the test's {} disturbances did not happen as planned",
            count(several as u64),
            count(report.faults.len() as u64)
        ),
    };
    let told = remedies.iter().take(TOLD_MAX).map(String::as_str).collect::<Vec<_>>();
    vec![Held::new(why, format!("{} Then run it again.", told.join(" "))).coming_to(first)]
}

fn give_token() -> String {
    "Give the run the operators' token, which the target asked for (environment variable KHALA_TARGET_ADMIN_TOKEN, \
     or target.admin_token)."
        .to_owned()
}

/// Whether the target refused what operators may for want of their token. A trim is none of the contract: where the
/// metrics were answered, it is not the token that it was refused for.
fn lacks_token(report: &RunReport) -> bool {
    let of = |request: Request| {
        report.requests.iter().filter(move |line| line.request == request.name())
    };
    let answered = of(Request::Metrics).any(|line| line.ok > 0);
    let asked = OF_OPERATORS.into_iter().filter(|it| !(answered && *it == Request::Trim));
    asked.flat_map(of).any(|line| line.denied > line.planned)
}

/// What mends a fault that fell short.
fn remedy(report: &RunReport, fault: &FaultOutcome) -> String {
    if !fault.applied {
        return "Let the run go on until all that it plans was due.".to_owned();
    }
    if fault.was_not_switched_on() {
        return "Run it with `--dashboard` and switch it on at the page that this prints, a second before its time at \
                the latest; or take `by_hand` out of the scenario."
            .to_owned();
    }
    if beside::stood_still(report, fault).is_some() {
        return "Take a machine that does nothing else: the harness itself stood still just then."
            .to_owned();
    }
    if lacks_token(report) && fault.rests_on.is_some() {
        return give_token();
    }
    if beside::elsewhere(report, fault).is_some() {
        return "Give the disturbances more time between them, or aim them at clients that are connected by then \
                (under Faults it says where the others were)."
            .to_owned();
    }
    if fault.rests_on == Some(RestsOn::Windows) && report.target.kind == "url" {
        return "Have the target retain and replay less (of the reference runtime `--retain TOPIC=EVENTS` and \
                `--replay-budget TOPIC=EVENTS`, as `[target.topics]` of the scenario has them), or publish more \
                before (longer phases, a higher `rate`): by its own window no cursor had a place there. Where it \
                prunes nothing, scenarios/cursor-bounds.toml with `--profile budget` tries the budget alone."
            .to_owned();
    }
    let kind = khala_plan::fault::of(&fault.kind);
    kind.map_or("See under Faults what became of it.", |kind| kind.mend).to_owned()
}

/// The objectives that decide and that no target can keep, each with what mends it.
fn unkept(report: &RunReport) -> impl Iterator<Item = (&ObjectiveVerdict, &str)> {
    failed(report, Verdict::Inconclusive)
        .filter(|one| one.never_kept.is_some())
        .map(|one| (one, one.it_takes.as_deref().unwrap_or("ask for what can be kept")))
}

fn out_of_reach(report: &RunReport, unkept: &ObjectiveVerdict, mend: &str) -> Held {
    let why = format!("{} this bound", unkept.who_keeps());
    let bound = format!("{} {}", reasons::name(unkept), unkept.require);
    let next = match &report.judged_by {
        Some(gates) => format!(
            "Mend {gates} and judge by it again, no run is needed: {mend}. `khala-harness check` with `--gates` \
             tells all such bounds."
        ),
        None => format!(
            "Mend the scenario and run it again: {mend}. `khala-harness check` tells all such bounds before a \
             run."
        ),
    };
    Held::new(why, next).coming_to(bound)
}

/// What the run as a whole is held against, but for what is told by faults and by the machine.
fn of_the_run(report: &RunReport) -> Vec<Held> {
    let all: u64 = report.fleet.clients.values().sum();
    let away = report.fleet.away_at_end();
    let mut held = Vec::new();
    if away > 0 && !report.of_the_run.is_empty() {
        let met = befell::kept_away(report);
        let why = format!("{} of {} were not connected at the end", count(away), clients(all));
        held.push(match met {
            Some(met) => Held::new(
                why,
                "Find out why (under Requests it says what they were answered, and how often), and run it again.",
            )
            .beside(format_args!("most often they met {met}")),
            None => Held::new(
                why,
                "Give them the time to come back (a longer last phase, a longer `drain_within`), and run it again.",
            ),
        });
    }
    for reason in &report.of_the_run {
        held.push(match reason.against {
            // Told with the faults, the machine, the clients that were away.
            Against::Fault | Against::Generator => continue,
            Against::Away if away > 0 => continue,
            Against::Open => {
                let remedy = foremost(report).map_or("Run it again.", open::remedy);
                Held::new(&*reason.why, remedy).in_short(OPEN)
            }
            against => match (&report.judged_by, &reason.it_takes) {
                (Some(gates), _) if against == Against::NothingAsked => Held::new(
                    &*reason.why,
                    format!("Mend {gates} and judge by it again, no run is needed."),
                ),
                (_, Some(takes)) => Held::new(&*reason.why, taking(takes)),
                (_, None) => {
                    Held::new(&*reason.why, "Mend what the reason names, and run it again.")
                }
            },
        });
    }
    held
}

/// The claims that so little was seen of, those that users notice alike together; what the run as a whole or a fault
/// leaves undecided is told with these.
fn too_little(report: &RunReport) -> Vec<Held> {
    let told_before = |one: &&ObjectiveVerdict| {
        one.never_kept.is_some() || matches!(one.against, Some(Against::Generator | Against::Fault))
    };
    let open = failed(report, Verdict::Inconclusive).filter(|one| !told_before(one));
    let mut held: Vec<Held> = Vec::new();
    let mut known = Vec::new();
    for open in open {
        let felt = felt(&open.metric);
        if known.contains(&felt) {
            continue;
        }
        known.push(felt);
        let why = format!("too little was seen to rule out that {}", clause(felt));
        let bound = format!(
            "{} {}: {}",
            reasons::name(open),
            open.require,
            open.beyond.as_deref().unwrap_or(&open.reason)
        );
        let next = match (&open.it_takes, &report.judged_by) {
            (Some(takes), None) => taking(takes),
            (takes, Some(gates)) => format!(
                "Ask in {gates} for what a run like this can decide, which needs no other run, or run it again \
                 {}: `khala-harness check` with `--gates` says how many it takes.",
                takes.as_ref().map_or_else(
                    || "for longer or with more clients".to_owned(),
                    |takes| format!("with what it takes ({takes})")
                )
            ),
            (None, None) => "Run it again for longer or with more clients: `khala-harness check` says how many it \
                             takes."
                .to_owned(),
        };
        held.push(Held::new(why, next).beside(bound));
    }
    held
}

/// To run it again with what it takes.
fn taking(takes: &str) -> String {
    format!("Run it again with what it takes: {takes}.")
}

/// The undecided objectives of gates that decide, but for those that the run as a whole, the machine or a fault leaves
/// so.
fn undecided(report: &RunReport) -> impl Iterator<Item = (&GateVerdict, &ObjectiveVerdict)> {
    let gates = report.gates.iter().filter(|gate| gate.judged && !gate.advisory);
    let all = gates.flat_map(|gate| gate.objectives.iter().map(move |one| (gate, one)));
    all.filter(|(_, one)| {
        let told = matches!(one.against, Some(Against::Generator | Against::Fault));
        one.verdict == Verdict::Inconclusive && !told
    })
}

/// The rule that left the most open.
fn foremost(report: &RunReport) -> Option<Rule> {
    let undecided = report.oracle.undecided.iter();
    open::foremost(undecided.filter_map(|(rule, open)| Some((Rule::of(rule)?, *open))))
}

/// The rules that are undecided, each once, with how much is open; the one that left most open is told with the run,
/// where that has left too much so.
fn rules(report: &RunReport) -> Vec<Held> {
    let open = report.of_the_run.iter().any(|reason| reason.against == Against::Open);
    let foremost = foremost(report).filter(|_| open).map(Rule::name);
    let of_rules = undecided(report).filter(|(_, one)| {
        let rule = one.selected("rule");
        one.metric == reasons::VIOLATIONS && (rule.is_none() || rule != foremost)
    });
    let told = of_rules.map(|(_, one)| {
        let rule = one.selected("rule").unwrap_or_default();
        let next = match (&one.it_takes, Rule::of(rule)) {
            (Some(takes), _) => taking(takes),
            (None, Some(rule)) => open::remedy(rule).to_owned(),
            (None, None) => taking("what its reason names"),
        };
        Held::new(format!("the rule {rule} is undecided"), next).beside(&one.reason)
    });
    told.collect()
}

/// What befell the run, and nobody knows by whose doing.
fn incidents(report: &RunReport) -> Vec<Held> {
    let of_stability = undecided(report).filter(|(gate, _)| gate.name == STABILITY_GATE);
    let told = of_stability.map(|(_, one)| {
        let kind = one.selected("kind").unwrap_or(&one.metric).replace('_', " ");
        let next = match one.it_takes.as_deref() {
            Some(takes) => taking(takes),
            None => "Run it again on a machine that does nothing else, or with fewer clients."
                .to_owned(),
        };
        Held::new(format!("{kind} are undecided"), next).beside(&one.reason)
    });
    told.collect()
}

/// What is left where nothing else is said.
fn last(report: &RunReport) -> Held {
    if report.verdict == Verdict::Warn {
        return Held::new(
            "all holds, with less to spare than was asked for",
            "Decide whether the smaller margin will do: what warns stands below, with what would have to come.",
        );
    }
    let why = "too little was seen to be sure that nothing was broken";
    let objectives =
        report.gates.iter().filter(|gate| gate.judged).flat_map(|gate| &gate.objectives);
    let mut open = objectives.filter(|objective| objective.verdict == Verdict::Inconclusive);
    match open.find_map(|objective| objective.it_takes.as_deref()) {
        Some(how) => Held::new(why, taking(how)),
        None => Held::new(why, "See the reasons below, and run it again."),
    }
}

/// What in the test itself leaves something undecided: each reason once.
pub(super) fn own_faults(report: &RunReport) -> Vec<String> {
    let mut told: Vec<String> = super::starved(report).map(str::to_owned).into_iter().collect();
    for one in failed(report, Verdict::Inconclusive) {
        let Some(why) = one.never_kept.as_deref() else { continue };
        let why = format!("it asks for what {}, for {why}", one.who_keeps());
        if !told.contains(&why) {
            told.push(why);
        }
    }
    let short = report.faults.iter().any(|fault| fault.why_it_did_not_bite().is_some());
    if short && lacks_token(report) {
        told.push("it was not given the operators' token, which the target asked for".to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_names_each_reason_in_short_whatever_stands_in_its_words() {
        let held = [
            Held::new("a: b (c) is open", "Do this.").coming_to("7 of 9"),
            Held::new("some are undecided", "Do that.").beside("too few: 3"),
            Held::new("the oracle left 9 cases (of 10) undecided", "Do that.").in_short(OPEN),
        ];
        assert_eq!(held[0].why, "a: b (c) is open: 7 of 9");
        assert_eq!(held[1].why, "some are undecided (too few: 3)");
        assert_eq!(
            next(&held),
            "(1) As a: b (c) is open: Do this. (2) As some are undecided, and the oracle left too much undecided: Do \
             that."
        );
    }
}
