//! What users would have seen, in sentences without a word of the trade.

use khala_plan::metric::MetricId;
use khala_plan::stability::Incident;

use super::super::units::{clients, count, counted, duration, moment, utc};
use super::super::{reasons, texts};
use super::{absences, clause, failed, happened};
use crate::judge::{Verdict, stability};
use crate::report::{Cause, RunReport};
use crate::shard::absence::{Absence, Manner};

/// Sentences of a kind that are told; the rest is below.
const TOLD_MAX: usize = 3;

fn absence(report: &RunReport, absence: &Absence) -> String {
    let what = match absence.manner {
        Manner::Restarted => "The service restarted",
        Manner::Lost | Manner::Absent => "The service was away",
        Manner::CutOff => "Everybody who was connected was cut off",
    };
    let until = match absence.until_us {
        Some(until) if absence.only_sockets => format!(" to {}", moment(until)),
        Some(until) => format!(", and back at {}", moment(until)),
        None => ", to the end".to_owned(),
    };
    let whose = stability::of_all(absence.clients, absence.arrived);
    let clock = utc(&report.started_at, absence.from_us).map(|utc| format!(", {utc} UTC"));
    let clock = clock.unwrap_or_default();
    if absence.only_sockets {
        return format!(
            "Open connections were silent from {}{clock}{until}, for {whose}, although the service was there.",
            moment(absence.from_us)
        );
    }
    format!("{what} at {}{clock}{until}, for {whose}.", moment(absence.from_us))
}

/// What those who use the product notice when a claim on a metric fails, in a sentence.
pub fn felt(metric: &str) -> &'static str {
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
        Some(MetricId::DeliverySpread) => "Some see an update much later than others.",
        Some(MetricId::BystanderRatio) => "A few slow users make it slower for all others.",
        Some(MetricId::UnplannedStale) => "Apps are made to load everything again for nothing.",
        Some(MetricId::HeartbeatRtt | MetricId::HeartbeatTimeouts) => {
            "Open connections are not answered in time."
        }
        Some(MetricId::Publish) => "Changes take too long to be accepted.",
        Some(MetricId::PublishErrors) => "Too many changes are not accepted.",
        Some(MetricId::ReconnectAttempts) => "Apps have to try too often to come back.",
        Some(MetricId::AuthErrors) => "Too many sign-ins are refused.",
        Some(MetricId::MintErrors) => "Too many sign-ins are refused or not answered.",
        Some(MetricId::ConnectErrors | MetricId::TopicErrors) => "Too many connects fail.",
        Some(MetricId::Reconnects) => "Connections break too often.",
        Some(MetricId::Unrecovered) => "Some apps are not back in time after an interruption.",
        Some(MetricId::PeakConnects) => "Too many apps come back in the same second.",
        Some(MetricId::Violations) => "What users see may be wrong.",
        None => "Connections break, or requests fail, although nobody meant them to.",
    }
}

/// What those who use the product notice of incidents beyond their limit, in a sentence.
pub fn felt_by(incident: Incident) -> &'static str {
    match incident {
        Incident::SocketEnds => "Connections break although nobody meant them to.",
        Incident::ChannelEnds => {
            "Open connections stop carrying updates, because the service ends what it sent over them."
        }
        Incident::HeartbeatTimeouts => "Open connections are not answered in time.",
        Incident::Rejoins => "Apps have to begin again too often.",
        Incident::ConnectErrors => "Apps cannot connect.",
        Incident::AuthErrors => {
            "Apps are turned away, although nothing is wrong with their sign-in."
        }
        Incident::MintErrors => "Sign-ins are refused or not answered.",
        Incident::JoinErrors | Incident::SubscribeErrors => {
            "Apps connect, and what they ask for then is refused or not answered."
        }
        Incident::SnapshotErrors => "Apps that have to load everything again cannot.",
        Incident::PublishErrors => "Changes are not accepted.",
    }
}

/// What users would have seen.
pub fn users(report: &RunReport) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    let mut told: Vec<String> = absences(report).map(|it| absence(report, it)).collect();
    if let (Some(idle), Some(_)) = (&report.idle_ends, happened::incident(report)) {
        told.push(format!("{}.", happened::of_idle(report, idle)));
    }
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
        let clock = utc(&report.started_at, first).map(|utc| format!(", {utc} UTC"));
        let first = format!("first at {}{}", moment(first), clock.unwrap_or_default());
        told.push(format!("{open}{sentence} ({whose}{first}{}).", missing(&causes)));
    }
    let mut felt: Vec<_> =
        failed(report, Verdict::Fail).map(|objective| felt(&objective.metric)).collect();
    // What broke their connections stands for itself where nothing else is said.
    if told.is_empty()
        && let Some(incident) = happened::incident(report)
    {
        felt.insert(0, felt_by(incident));
    }
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
    if report.altered {
        return "Not known: the evidence was changed after the run.".to_owned();
    }
    if report.oracle.deliveries == 0 {
        return "Nothing at all: not one update arrived.".to_owned();
    }
    let (own, foreign) = match (texts::deliveries(report), report.target.passive) {
        ((own, foreign), false) => (own, foreign),
        // They are all that there is to check: against one another.
        ((own, foreign), true) => (own + foreign, 0),
    };
    let checked = counted(own, "update was checked as it", "updates were checked as they");
    let foreign = match foreign {
        0 => String::new(),
        some => format!(
            " {} of {}, and held against nothing that was sent.",
            counted(some, "more was", "more were"),
            match texts::is_past(report) {
                true => "the service's past, from before the test",
                false => "somebody else",
            }
        ),
    };
    let until = if report.interrupted || !report.finished { " until then" } else { "" };
    let by = if report.target.passive { ", one client's against another's" } else { "" };
    format!("Nothing wrong{until}: {checked} arrived{by}.{foreign}{}", recovered(report))
}

/// How much never came by all causes of a rule, in a clause.
fn missing(causes: &[&Cause]) -> String {
    let updates: u64 = causes.iter().map(|cause| cause.missing_updates).sum();
    let events: u64 = causes.iter().map(|cause| cause.missing_events).sum();
    match (updates, events) {
        (0, 0) => String::new(),
        (0, events) => format!("; missing: {}", counted(events, "event", "events")),
        (updates, 0) => format!("; missing: {}", counted(updates, "update", "updates")),
        (updates, events) => format!(
            "; missing: {} of {}",
            counted(updates, "update", "updates"),
            counted(events, "event", "events")
        ),
    }
}

pub(super) fn capital(sentence: &str) -> String {
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
        // Where the record stops, nothing was made of those who were still out.
        (_, 0) if (report.interrupted || !report.finished) && report.fleet.away_at_end() > 0 => {
            let all: u64 = report.fleet.clients.values().sum();
            format!(
                " After being cut off, the slowest client that came back was up to date in {}; {} of {} were not \
                 connected, or not up to date, when the run ended.",
                duration(longest),
                count(report.fleet.away_at_end()),
                clients(all)
            )
        }
        (_, 0) => {
            format!(
                " After being cut off, the slowest client was up to date in {}.",
                duration(longest)
            )
        }
        // All were back at the end, so that these took longer than the phase in which they were cut off.
        (n, late) if report.fleet.away_at_end() == 0 => {
            format!(
                " Of {} times that a client was cut off, it was up to date again {} times only after the \
                 phase of that disturbance had ended.",
                count(n),
                count(late)
            )
        }
        (n, away) if report.interrupted || !report.finished => format!(
            " Of {} times that a client was cut off, it had not come back {} times when the run ended.",
            count(n),
            count(away)
        ),
        (n, late) => {
            let all: u64 = report.fleet.clients.values().sum();
            let away = report.fleet.away_at_end();
            format!(
                " Of {} times that a client was cut off, it was not up to date again {} times when the phase of \
                 that disturbance ended; {} of {} were not when the run ended.",
                count(n),
                count(late),
                count(away),
                clients(all)
            )
        }
    }
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
    fn every_kind_of_incident_has_a_sentence_that_everybody_knows() {
        for &incident in Incident::ALL {
            let sentence = felt_by(incident);
            let words = ["socket", "channel", "join", "publish", "mint", "`", "_"];
            assert!(sentence.ends_with('.'), "{sentence}");
            assert!(!words.iter().any(|word| sentence.contains(word)), "{sentence}");
        }
    }

    #[test]
    fn a_clause_becomes_a_sentence() {
        assert_eq!(capital("users miss events."), "Users miss events.");
    }
}
