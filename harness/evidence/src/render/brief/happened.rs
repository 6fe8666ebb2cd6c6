//! What happened, as a headline names it: the sentence that everybody knows, and behind it what those who have to mend
//! it look for.

use khala_plan::metric::MetricId;
use khala_plan::stability::Incident;

use super::super::befell::{self, status};
use super::super::reasons;
use super::super::units::{clients, count, moment};
use super::clause;
use super::users::{felt, felt_by};
use crate::judge::{ObjectiveVerdict, STABILITY_GATE, Verdict};
use crate::oracle::{Rule, malformed_message};
use crate::report::{IdleEnds, RunReport};
use crate::shard::absence::{Absence, Manner};

/// Codes named of an incident; the rest stands below.
const CODES_SHOWN: usize = 2;

/// A rule that is broken: what users see of it and, where the rule tells kinds apart, what it was that came.
pub fn of_rule(report: &RunReport, rule: Rule) -> String {
    let felt = clause(reasons::felt(report, rule));
    let causes: Vec<_> = report.oracle.causes.iter().filter(|it| it.rule == rule).collect();
    let Some(first) = causes.first().filter(|it| names_what_came(rule, &it.kind)) else {
        return felt;
    };
    let mut kinds: Vec<_> = causes.iter().map(|cause| cause.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let more = match kinds.len() - 1 {
        0 => String::new(),
        1 => ", and another kind".to_owned(),
        more => format!(", and {more} other kinds"),
    };
    format!("{felt}: {} ({}{more})", first.kind, of_all(report, first.clients))
}

/// Whether the kind says more than the sentence that users are told of it.
fn names_what_came(rule: Rule, kind: &str) -> bool {
    let said_by_the_sentence = rule == Rule::DivergentValue || kind == malformed_message::NOT_SO;
    !kind.is_empty() && !said_by_the_sentence
}

/// So many clients of all.
fn of_all(report: &RunReport, some: u64) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    format!("{} of {}", count(some), clients(all))
}

/// Whether an absence is only what a breach of the protocol below the messages looks like: the clients themselves gave
/// up their sockets for it, or could make none.
fn is_of_a_breach(report: &RunReport, absence: &Absence) -> bool {
    /// Ends and refusals are told by tenths of a second.
    const ROUNDED_US: u64 = 1_000_000;
    let mut causes = report.oracle.causes.iter().filter(|it| it.rule == Rule::WsProtocol);
    matches!(absence.manner, Manner::CutOff | Manner::Absent | Manner::Lost)
        && !absence.only_sockets
        && causes.any(|cause| {
            cause.clients >= absence.clients
                && cause.first.at_us <= absence.from_us.saturating_add(ROUNDED_US)
        })
}

/// Whether another thing that is known is why an absence came: it is told in its stead.
pub fn is_explained(report: &RunReport, absence: &Absence) -> bool {
    let cut_off = absence.manner == Manner::CutOff;
    // Heartbeats without an answer: the clients hung up, and nothing else ended a socket.
    let of_kind = |kind| report.unplanned_ends.iter().any(|line| line.kind == kind);
    let silent = of_kind(Incident::HeartbeatTimeouts) && !of_kind(Incident::SocketEnds);
    let befell = cut_off && (report.idle_ends.is_some() || silent) && incident(report).is_some();
    befell || is_of_a_breach(report, absence) && condemned(report, Rule::WsProtocol)
}

fn condemned(report: &RunReport, rule: Rule) -> bool {
    reasons::verdict(report, rule) == Some(Verdict::Fail)
}

/// Connections that something closed because nothing came over them.
pub fn of_idle(report: &RunReport, idle: &IdleEnds) -> String {
    let (least, most) = (moment(idle.least_us), moment(idle.most_us));
    let silent = if least == most { most } else { format!("{least} to {most}") };
    format!(
        "connections over which nothing comes for {silent} are closed, by the service or by something before it ({}): \
         an idle time-out that is shorter than the heartbeat",
        of_all(report, idle.clients)
    )
}

/// What to do about it.
pub const MEND_IDLE: &str = "raise the idle time-out of the service, or of the proxy or load balancer before it, above \
                             the time between two heartbeats";

/// The kind of incident by which the run fails, the first of them in the order in which they are told.
pub fn incident(report: &RunReport) -> Option<Incident> {
    let gate = report.gates.iter().find(|gate| gate.name == STABILITY_GATE && !gate.advisory)?;
    let failed = gate.objectives.iter().filter(|it| it.verdict == Verdict::Fail);
    let kinds = failed.filter_map(|it| Incident::of(it.selected("kind")?));
    kinds.min()
}

/// What befell the run beyond its limit: what users see of it, and how it showed.
pub fn of_incident(report: &RunReport, incident: Incident) -> String {
    let felt = clause(felt_by(incident));
    let mut lines: Vec<_> =
        report.unplanned_ends.iter().filter(|line| line.kind == incident).collect();
    lines.sort_by_key(|line| (std::cmp::Reverse(line.count), line.code.as_str()));
    let Some(first) = lines.first() else { return felt };
    let codes = lines.iter().take(CODES_SHOWN);
    let codes: Vec<_> =
        codes.map(|line| format!("{} ×{}", status(&line.code), count(line.count))).collect();
    let more = match lines.len().saturating_sub(CODES_SHOWN) {
        0 => "",
        _ => ", …",
    };
    let whose = match first.clients {
        0 => String::new(),
        some => format!("; {}", of_all(report, some)),
    };
    format!("{felt} ({} {}{more}{whose})", name(incident), codes.join(", "))
}

/// What there was of it, in words.
fn name(incident: Incident) -> String {
    format!("{}:", incident.name().replace('_', " "))
}

/// A claim that failed: what users see of it and, where something was refused or not answered, what came instead.
pub fn of_claim(report: &RunReport, objective: &ObjectiveVerdict) -> String {
    let felt = clause(felt(&objective.metric));
    let metric = MetricId::of(&objective.metric);
    let instead = match metric {
        // What those who come back meet is why they are late.
        Some(MetricId::TimeToRecovered | MetricId::Unrecovered | MetricId::ReconnectAttempts) => {
            befell::kept_away(report)
                .map(|met| format!("what failed most often on the way in: {met}"))
        }
        Some(metric) => befell::instead(&report.requests, metric),
        None => None,
    };
    match instead {
        Some(instead) => format!("{felt} ({instead})"),
        None => felt,
    }
}
