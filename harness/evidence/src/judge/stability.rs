//! The gate that is always judged beside the oracle's: what befell the run although nobody planned it.
//!
//! Two tiers. An *absence* (the target restarted, was lost, or answered or took nobody for longer than
//! the bound although it was asked) is FAIL, once. *Single incidents* are FAIL beyond their limit, which
//! the plan has from the scenario, the target, the contract or an assumption. What follows from the
//! harness's own omission is INCONCLUSIVE where nothing else fails, and never FAIL; so are time-outs, beginning
//! again after them, and silences that ended, which are lateness, where the generator was starved all along or while
//! they were waited for. A kind for which the run had no occasion is left out.

use std::time::Duration;

use khala_plan::stability::Incident;

use super::{Case, ObjectiveVerdict, RunReason, Verdict, fitness};
use crate::by_text::ByText;
use crate::record::second_of;
use crate::render::befell::status;
use crate::report::IdleEnds;
use crate::shard::absence::{Absence, Manner};
use crate::shard::stability::{Blame, Seen, Stability, Told};

/// Ends of sockets that must be alike to be called one thing's doing.
const ALIKE: u64 = 3;
/// A silence that is no coincidence: a second, less what an end is heard of earlier than what was last said.
const IDLE_US: u64 = 900_000;
/// How much silences may differ that one time-out ends, beside a fifth: looks are taken now and then.
const JITTER_US: u64 = 500_000;
/// Codes named in a reason; the report has all of them.
const CODES_SHOWN: usize = 4;

/// One verdict for absences, and one for each kind of incident that there was occasion for.
pub fn judge(case: &Case<'_>) -> Vec<ObjectiveVerdict> {
    let kinds = Incident::ALL.iter().filter_map(|&incident| kind(case, incident));
    std::iter::once(absence(case)).chain(kinds).collect()
}

/// Every absence of the run, that of a child that ended among them.
pub fn absences(case: &Case<'_>) -> Vec<Absence> {
    let mut absences = case.settled.absences.clone();
    let Some(why) = &case.facts.target.lost else { return absences };
    // What the sockets showed of it is the same absence.
    let open = absences.iter_mut().find(|absence| absence.until_us.is_none());
    match open {
        Some(absence) => {
            absence.manner = Manner::Lost;
            absence.noticed.insert(0, why.clone());
            absence.only_sockets = false;
            absence.planned = false;
        }
        None => absences.push(Absence {
            manner: Manner::Lost,
            from_us: case.facts.target.lost_at_us.unwrap_or(case.facts.duration_us),
            until_us: None,
            clients: case.schedule.staying(),
            arrived: case.schedule.staying(),
            noticed: vec![why.clone()],
            only_sockets: false,
            planned: false,
        }),
    }
    absences
}

/// Some clients of those that had arrived.
#[must_use]
pub fn of_all(some: u64, arrived: u64) -> String {
    match (some, arrived) {
        (1, 0..=1) => "1 client".to_owned(),
        (some, all) if some < all => format!("{some} of {all} clients"),
        (some, _) => format!("{some} clients"),
    }
}

/// What became of the target, in a sentence.
pub fn what(absence: &Absence) -> String {
    let at = |us| format!("{:.1} s", Duration::from_micros(us).as_secs_f64());
    let from = at(absence.from_us);
    let until = absence.until_us.map(at);
    let clients = of_all(absence.clients, absence.arrived);
    let what = match (absence.manner, &until) {
        (Manner::Restarted, Some(until)) => {
            format!("the target restarted at {from}, {clients}, back by {until}")
        }
        (Manner::Restarted, None) => {
            format!("the target restarted at {from}, {clients}, and nobody was back at the end")
        }
        (Manner::Lost | Manner::Absent, until) if absence.only_sockets => {
            let to = until.as_deref().unwrap_or("the end");
            format!(
                "nothing came over any socket from {from} to {to}, {clients}, while the target answered other \
                 requests"
            )
        }
        (Manner::Lost, _) => format!("the target was lost at {from}, {clients}, to the end"),
        (Manner::Absent, Some(until)) => {
            format!("the target was absent from {from} to {until}, {clients}")
        }
        (Manner::Absent, None) => {
            format!("the target was absent from {from} to the end, {clients}")
        }
        (Manner::CutOff, Some(until)) => {
            format!(
                "everybody who was connected was cut off at {from}, {clients}, the first back at {until}"
            )
        }
        (Manner::CutOff, None) => {
            format!(
                "everybody who was connected was cut off at {from}, {clients}, and nobody was back at the end"
            )
        }
    };
    let planned = if absence.planned { ", as planned" } else { "" };
    format!("{what}{planned}")
}

/// The same, and by what it was noticed.
#[must_use]
pub fn sentence(absence: &Absence) -> String {
    format!("{} ({})", what(absence), absence.noticed.join("; "))
}

fn absence(case: &Case<'_>) -> ObjectiveVerdict {
    let absences = absences(case);
    let unplanned: Vec<_> = absences.iter().filter(|absence| !absence.planned).collect();
    let asked = !case.settled.stability.is_empty() || case.settled.totals.deliveries > 0;
    // Each second in which it could have been missed.
    let seconds = Duration::from_micros(case.facts.duration_us).as_secs();
    let starved = starved_in_all(case, &unplanned);
    let mut against = None;
    let (verdict, reason) = if let Some(first) = unplanned.first() {
        let more = match unplanned.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let what = format!("{}{more}", sentence(first));
        match starved {
            Some(starved) => {
                against = Some(starved.against);
                (Verdict::Inconclusive, late_with_it(&what, &starved.why))
            }
            None => (Verdict::Fail, what),
        }
    } else if !asked {
        (Verdict::Inconclusive, "the target was never asked for anything".to_owned())
    } else if case.facts.unfinished.is_some() {
        (Verdict::Inconclusive, "none until then; the run did not finish".to_owned())
    } else {
        let bound = khala_plan::units::format_duration(case.plan.stability.absence);
        let from = case.plan.stability.absence_from;
        (Verdict::Pass, format!("it was never away for longer than {bound} ({from})"))
    };
    let never = (!asked).then(|| "clients that come so far as to ask the target".to_owned());
    ObjectiveVerdict {
        verdict,
        it_takes: never.filter(|_| verdict == Verdict::Inconclusive),
        n: if asked { seconds } else { 0 },
        bad: unplanned.len() as u64,
        estimate: Some(amount(unplanned.len() as u64)),
        reason,
        against,
        ..ObjectiveVerdict::blank("absence", "count == 0")
    }
}

/// Why these absences say nothing of the target, if each is lateness alone: the generator was starved all along, or
/// in each of them.
fn starved_in_all(case: &Case<'_>, absences: &[&Absence]) -> Option<RunReason> {
    if !absences.iter().all(|absence| is_late(absence)) {
        return None;
    }
    fitness::unfit_over_all(case).or_else(|| {
        let while_away = absences.iter().filter_map(|absence| {
            Some(((second_of(absence.from_us), second_of(absence.until_us?)), 1))
        });
        let (late, why) = fitness::late_while_starved(case, while_away)?;
        (late == absences.len() as u64).then_some(why)
    })
}

/// Whether an absence is lateness and nothing else: the target said nothing for a while, and then went on.
fn is_late(absence: &Absence) -> bool {
    absence.manner == Manner::Absent && absence.until_us.is_some()
}

/// What is late on a machine that starved its generator, in a sentence.
fn late_with_it(what: &str, why: &str) -> String {
    format!("{what}; {why}, and what shares its machine is late with it")
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn amount(count: u64) -> f64 {
    count as f64
}

fn kind(case: &Case<'_>, incident: Incident) -> Option<ObjectiveVerdict> {
    let stability = &case.settled.stability;
    let told = |blame| stability.told(incident, blame);
    let (theirs, ours) = (told(Blame::Target), told(Blame::Ours));
    let occasions = stability.occasions(incident);
    if occasions == 0 && theirs.is_none() && ours.is_none() {
        return None;
    }
    let limit = case.plan.stability.limits.get(&incident)?;
    let clients = case.schedule.clients_peak();
    let over = Duration::from_micros(case.facts.duration_us);
    let allowed = limit.count(occasions, clients, over);
    let bad = theirs.map_or(0, |told| told.count());
    let allowed_by = limit.told(incident.occasions());
    let late = theirs.map_or(0, |told| late(incident, told));
    let starved = fitness::unfit_over_all(case).filter(|_| bad > allowed && bad - late <= allowed);
    let starved = starved.or_else(|| {
        let waits = theirs.filter(|_| bad > allowed)?.waits.iter();
        let (late, why) =
            fitness::late_while_starved(case, waits.map(|(&wait, &count)| (wait, count)))?;
        (bad - late <= allowed).then_some(why)
    });
    let (mut beyond, mut against) = (None, None);
    let (verdict, reason) = if let (Some(told), Some(starved)) = (theirs, starved) {
        let what = describe(&told.codes, told.clients.len());
        against = Some(starved.against);
        (Verdict::Inconclusive, late_with_it(&what, &starved.why))
    } else if let Some(told) = theirs.filter(|_| bad > allowed) {
        let what = describe(&told.codes, told.clients.len());
        let is = if allowed == 1 { "is" } else { "are" };
        let limit = format!("{allowed} {is} allowed ({allowed_by})");
        let (reason, rest) = match idle_time_out(told) {
            Some(idle) => (format!("{what}, {idle}; {limit}"), format!("{idle}; {limit}")),
            None => (format!("{what}; {limit}"), limit),
        };
        beyond = Some(rest);
        (Verdict::Fail, reason)
    } else if let Some(ours) = ours {
        let what = describe(&ours.codes, ours.clients.len());
        (
            Verdict::Inconclusive,
            format!("what follows from the harness's own stalls, wants or heartbeats: {what}"),
        )
    } else if case.facts.unfinished.is_some() {
        (Verdict::Inconclusive, format!("{bad} until then; the run did not finish"))
    } else if let Some(told) = theirs {
        let what = describe(&told.codes, told.clients.len());
        (Verdict::Pass, format!("{what}; {allowed} allowed ({allowed_by})"))
    } else {
        (Verdict::Pass, format!("none of {occasions} {}", incident.occasions()))
    };
    let require =
        if allowed == 0 { "count == 0".to_owned() } else { format!("count <= {allowed}") };
    Some(ObjectiveVerdict {
        selector: format!("kind={}", incident.name()),
        verdict,
        n: occasions,
        bad,
        estimate: Some(amount(bad)),
        reason,
        beyond,
        against,
        ..ObjectiveVerdict::blank("unplanned_ends", &require)
    })
}

/// Sockets that all ended after the same silence were ended by an idle time-out, mostly of something between
/// client and runtime.
pub fn idle(stability: &Stability) -> Option<IdleEnds> {
    idle_ends(stability.told(Incident::SocketEnds, Blame::Target)?)
}

fn idle_ends(told: &Told) -> Option<IdleEnds> {
    let silent =
        told.silent.filter(|silent| silent.count >= ALIKE && silent.count == told.count())?;
    let alike = silent.most <= silent.least + silent.least / 5 + JITTER_US;
    let (count, clients) = (silent.count, told.clients.len() as u64);
    (alike && silent.least >= IDLE_US).then_some(IdleEnds {
        count,
        clients,
        least_us: silent.least,
        most_us: silent.most,
    })
}

/// The same in a clause.
fn idle_time_out(told: &Told) -> Option<String> {
    idle_ends(told).map(|idle| {
        let seconds = |at| Duration::from_micros(at).as_secs_f64();
        format!(
            "each when nothing had come over it for {:.1} to {:.1} s: an idle time-out, of the target or of a proxy before it, that is \
             shorter than the heartbeat",
            seconds(idle.least_us),
            seconds(idle.most_us)
        )
    })
}

/// How many of these are lateness alone; heartbeats that were not answered in time are nothing else.
fn late(incident: Incident, told: &Told) -> u64 {
    match incident {
        Incident::HeartbeatTimeouts => told.count(),
        _ => told.late(),
    }
}

/// Incidents in a clause: how many, what, to how many clients, since when.
pub fn describe(codes: &ByText<Seen>, clients: usize) -> String {
    let mut by_count: Vec<_> = codes.iter().collect();
    by_count.sort_by_key(|(code, seen)| (std::cmp::Reverse(seen.count), *code));
    let total: u64 = by_count.iter().map(|(_, seen)| seen.count).sum();
    let first = by_count.iter().map(|(_, seen)| seen.first).min().unwrap_or_default();
    let shown = by_count.iter().take(CODES_SHOWN);
    let shown: Vec<_> =
        shown.map(|(code, seen)| format!("{} ×{}", status(code), seen.count)).collect();
    let more = match by_count.len().saturating_sub(CODES_SHOWN) {
        0 => String::new(),
        more => format!(", {more} other codes"),
    };
    let whose = match clients {
        0 => String::new(),
        1 => ", 1 client".to_owned(),
        clients => format!(", {clients} clients"),
    };
    let first = Duration::from_micros(first).as_secs_f64();
    format!("{total} ({}{more}){whose}, first at {first:.2} s", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::of_all;

    #[test]
    fn some_are_told_of_how_many() {
        assert_eq!(of_all(1, 1), "1 client");
        assert_eq!(of_all(1, 60), "1 of 60 clients");
        assert_eq!(of_all(29, 60), "29 of 60 clients");
        assert_eq!(of_all(60, 60), "60 clients");
    }
}
