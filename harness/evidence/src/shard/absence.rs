//! When the target was away: restarted, lost, silent, or away for everybody at once.
//!
//! Made of signs, each a fact: nothing was heard although it was asked; all sockets ended within a
//! second; every connect failed for longer than the bound while nobody had a socket; another process or
//! log answers. Signs that hang together in time are one absence, which says by what it was noticed.
//! Nothing of the harness's own is among them: what its stalls and its faults do is entered apart.

use khala_plan::stability::{Consequence, Incident};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stability::{Silence, Stability, TICK_US, Tick};
use super::stalls::Stalls;
use crate::by_text::ByText;
use crate::context::Context;
use crate::record::{Heard, Micros, RenewalSign};

/// Sockets that end within so many ticks ended at once.
const AT_ONCE: u64 = 1_000_000 / TICK_US;
/// One socket that ends is not everybody's.
const EVERYBODY_MIN: u64 = 2;
/// Signs that are further apart belong to different absences.
const APART_US: Micros = 2_000_000;
/// One in so many clients must have asked over its socket before their silence says that the target was
/// away: who did not ask is owed nothing in a phase without load.
const ASKED_SHARE: u64 = 4;
/// Sockets end, in any way.
const ENDS: Consequence = Consequence::Incident(Incident::SocketEnds);
/// Close code of a target that stops in order (contract, section 3).
const STOPPED: &str = "close 1012";

/// What kind of absence it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// It was there again as another than before, or had told everybody that it stops.
    Restarted,
    /// It was not there again by the end of the run.
    Lost,
    /// It answered nobody, or refused everybody, for a while.
    Absent,
    /// All sockets ended at once, and nothing more is known.
    CutOff,
}

/// A time in which the target was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Absence {
    /// What kind it was.
    pub manner: Manner,
    /// Since when, as far as it was noticed.
    pub from_us: Micros,
    /// Until when; `None` if it was not there again by the end of the run.
    pub until_us: Option<Micros>,
    /// Clients that it befell.
    pub clients: u64,
    /// Clients that had arrived by then.
    #[serde(default)]
    pub arrived: u64,
    /// By what it was noticed, in clauses.
    pub noticed: Vec<String>,
    /// Whether only sockets were silent: the target answered other requests meanwhile, so that it was there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_sockets: bool,
    /// Whether a planned fault did it.
    pub planned: bool,
}

enum Kind {
    /// `sockets`: whether nothing came over sockets alone.
    Silence {
        sockets: bool,
    },
    CutOff {
        stopped: bool,
    },
    Refused,
    /// `alone`: whether it says enough by itself.
    Renewed {
        alone: bool,
    },
}

struct Sign {
    kind: Kind,
    from: Micros,
    until: Option<Micros>,
    clients: u64,
    noticed: String,
}

/// The absences of a run, in order of time.
#[must_use]
pub fn absences(stability: &Stability, stalls: &Stalls, context: &Context) -> Vec<Absence> {
    let ticks: Vec<(u64, &Tick)> = stability.ticks().collect();
    let mut signs = silences(stability, stalls, context);
    signs.extend(cut_offs(&ticks));
    signs.extend(refusals(&ticks, context));
    signs.extend(renewals(stability, context));
    signs.sort_by_key(|sign| sign.from);
    let mut groups: Vec<Vec<Sign>> = Vec::new();
    for sign in signs {
        match groups.last_mut() {
            Some(group) if hangs_together(group, &sign) => group.push(sign),
            _ => groups.push(vec![sign]),
        }
    }
    let enough = |sign: &Sign| !matches!(sign.kind, Kind::Renewed { alone: false });
    let groups = groups.iter().filter(|group| group.iter().any(enough));
    groups.map(|group| absence(group, &ticks, context)).collect()
}

fn hangs_together(group: &[Sign], next: &Sign) -> bool {
    let until = group.iter().map(|sign| sign.until.unwrap_or(Micros::MAX)).max().unwrap_or(0);
    next.from <= until.saturating_add(APART_US)
}

fn absence(group: &[Sign], ticks: &[(u64, &Tick)], context: &Context) -> Absence {
    let from_us = group.iter().map(|sign| sign.from).min().unwrap_or_default();
    let over = group.iter().all(|sign| sign.until.is_some());
    let until_us = group.iter().filter_map(|sign| sign.until).max().filter(|_| over);
    let refused = refused_between(ticks, from_us, until_us.unwrap_or(Micros::MAX));
    let any = |is: fn(&Kind) -> bool| group.iter().any(|sign| is(&sign.kind));
    let gone = any(|kind| matches!(kind, Kind::Silence { .. } | Kind::Refused)) || refused > 0;
    let cut_off = any(|kind| matches!(kind, Kind::CutOff { .. }));
    let stopped = any(|kind| matches!(kind, Kind::CutOff { stopped: true }));
    let is_of_sockets =
        |kind: &Kind| matches!(kind, Kind::Silence { sockets: true } | Kind::CutOff { .. });
    let manner = match until_us {
        None if gone => Manner::Lost,
        _ if any(|kind| matches!(kind, Kind::Renewed { .. })) || stopped => Manner::Restarted,
        _ if cut_off && refused > 0 => Manner::Restarted,
        _ if gone => Manner::Absent,
        _ => Manner::CutOff,
    };
    let only_sockets = matches!(manner, Manner::Lost | Manner::Absent)
        && refused == 0
        && group.iter().all(|sign| is_of_sockets(&sign.kind));
    let mut noticed: Vec<_> = group.iter().map(|sign| sign.noticed.clone()).collect();
    if refused > 0 && !any(|kind| matches!(kind, Kind::Refused)) {
        noticed.push(format!("{refused} connects failed meanwhile"));
    }
    // A target that is another one afterwards, or has cut off everybody, was more than away. Ends that are
    // among the signs are none that a fault answers for which has sockets closed in order.
    let ends: &[_] = match manner {
        Manner::Restarted | Manner::CutOff if cut_off => &[ENDS],
        Manner::Restarted | Manner::CutOff => &[ENDS, Consequence::SocketCloses],
        Manner::Lost | Manner::Absent => &[],
    };
    let befalls = |at| {
        let may = |cause| context.is_befalling(cause, at, at);
        may(Consequence::Absence) && (ends.is_empty() || ends.iter().copied().any(may))
    };
    let planned = befalls(from_us) && until_us.is_some_and(befalls);
    let clients = group.iter().map(|sign| sign.clients).max().unwrap_or_default();
    let arrived = context.arrived(from_us);
    Absence { manner, from_us, until_us, clients, arrived, noticed, only_sockets, planned }
}

fn refused_between(ticks: &[(u64, &Tick)], from: Micros, until: Micros) -> u64 {
    let within = ticks.iter().filter(|(tick, _)| {
        let at = tick * TICK_US;
        at.saturating_add(TICK_US) > from && at < until
    });
    within.map(|(_, tick)| sum(&tick.refused)).sum()
}

fn sum(counts: &ByText<u64>) -> u64 {
    counts.iter().map(|(_, count)| count).sum()
}

fn seconds(us: Micros) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

fn silences(stability: &Stability, stalls: &Stalls, context: &Context) -> Vec<Sign> {
    // Whoever of the harness stood still neither read an answer nor noticed that it came.
    let lasts = |(from, _, silence): &(Micros, Heard, Silence)| {
        let for_us = silence.to.saturating_sub(*from);
        for_us.saturating_sub(stalls.of_any_within(*from, silence.to)) > context.absence()
    };
    // A few answers that do not come while nothing else is due are no absence.
    let is_fair = |(_, heard, silence): &(Micros, Heard, Silence)| {
        *heard == Heard::Nothing || silence.asked.saturating_mul(ASKED_SHARE) >= silence.clients
    };
    let silences: Vec<_> = stability.silences().filter(lasts).filter(is_fair).collect();
    let whole: Vec<_> =
        silences.iter().filter(|(_, heard, _)| *heard == Heard::Nothing).copied().collect();
    // Where nothing at all was heard, that nothing came over sockets goes without saying.
    let is_told = |from: Micros, silence: &Silence| {
        whole.iter().any(|(began, _, longer)| *began <= silence.to && longer.to >= from)
    };
    let sign = |(from, heard, silence): (Micros, Heard, Silence)| Sign {
        kind: Kind::Silence { sockets: heard == Heard::NoSession },
        from,
        until: silence.over.then_some(silence.to),
        clients: silence.clients,
        noticed: {
            let (whose, asked) = match heard {
                Heard::Nothing => ("", format!("{} requests", silence.asked)),
                Heard::NoSession => (
                    "over any client's socket ",
                    format!("{} requests of {} clients", silence.asked, silence.clients),
                ),
            };
            format!(
                "nothing was heard {whose}for {:.1} s although {asked} were waiting or failed",
                seconds(silence.to.saturating_sub(from))
            )
        },
    };
    let worth = silences
        .into_iter()
        .filter(|(from, heard, silence)| *heard == Heard::Nothing || !is_told(*from, silence));
    worth.map(sign).collect()
}

fn renewals(stability: &Stability, context: &Context) -> Vec<Sign> {
    let sign = |(before, at, sign): &(Micros, Micros, RenewalSign)| Sign {
        // A log may be cut down, or its reader may lag; another process is another process.
        kind: Kind::Renewed { alone: matches!(sign, RenewalSign::Process) },
        from: *before,
        until: Some(*at),
        clients: context.arrived(*at),
        noticed: match sign {
            RenewalSign::Process => {
                format!("another process answers for its metrics since {:.1} s", seconds(*at))
            }
            RenewalSign::Head { topic, was, is } => {
                format!("the head of {} went back from {was} to {is}", topic.name())
            }
        },
    };
    stability.renewals().map(sign).collect()
}

/// Sockets open before each tick.
fn open_before(ticks: &[(u64, &Tick)]) -> Vec<u64> {
    let mut open = 0_u64;
    let before = ticks.iter().map(|(_, tick)| {
        let before = open;
        open = (open + tick.opened).saturating_sub(sum(&tick.ended) + tick.left);
        before
    });
    before.collect()
}

/// When all sockets that were open ended within a second, by the target's doing.
fn cut_offs(ticks: &[(u64, &Tick)]) -> Vec<Sign> {
    let before = open_before(ticks);
    let mut signs = Vec::new();
    let mut index = 0;
    while index < ticks.len() {
        let (first, _) = ticks[index];
        let (mut left, mut codes, mut reached) = (0, ByText::<u64>::default(), None);
        if !ticks[index].1.ended.is_empty() {
            let window = ticks[index..].iter().take_while(|(tick, _)| *tick < first + AT_ONCE);
            for (offset, (tick, what)) in window.enumerate() {
                what.ended.iter().for_each(|(code, count)| codes.add(code, *count));
                left += what.left;
                let ended = sum(&codes);
                if ended >= EVERYBODY_MIN && ended > left && ended + left >= before[index] {
                    reached = Some((index + offset, *tick));
                    break;
                }
            }
        }
        let Some((last, last_tick)) = reached else {
            index += 1;
            continue;
        };
        let back = ticks[last..].iter().skip(1).find(|(_, what)| what.opened > 0);
        let ended = sum(&codes);
        let by: Vec<_> = codes.iter().map(|(code, count)| format!("{code} ×{count}")).collect();
        signs.push(Sign {
            kind: Kind::CutOff { stopped: codes.iter().any(|(code, _)| code == STOPPED) },
            from: first * TICK_US,
            until: back.map(|(tick, _)| tick * TICK_US),
            clients: ended,
            noticed: format!(
                "every socket ended within {:.1} s: {ended} of {} ({})",
                seconds((last_tick + 1 - first) * TICK_US),
                before[index].saturating_sub(left).max(ended),
                by.join(", ")
            ),
        });
        index = last + 1;
    }
    signs
}

/// When every connect failed for longer than the bound while nobody had a socket.
fn refusals(ticks: &[(u64, &Tick)], context: &Context) -> Vec<Sign> {
    let before = open_before(ticks);
    let mut signs = Vec::new();
    // First and last tick in which connects failed, and how.
    let mut failing: Option<(u64, u64, ByText<u64>)> = None;
    let mut close = |failing: Option<(u64, u64, ByText<u64>)>, until: Option<Micros>| {
        let Some((first, last, codes)) = failing else { return };
        let (from, to) = (first * TICK_US, (last + 1) * TICK_US);
        if to - from <= context.absence() {
            return;
        }
        let by: Vec<_> = codes.iter().map(|(code, count)| format!("{code} ×{count}")).collect();
        signs.push(Sign {
            kind: Kind::Refused,
            from,
            until,
            clients: context.arrived(to),
            noticed: format!(
                "every connect failed for {:.1} s: {}",
                seconds(to - from),
                by.join(", ")
            ),
        });
    };
    for (&(tick, what), &open) in ticks.iter().zip(&before) {
        if what.opened > 0 {
            close(failing.take(), Some(tick * TICK_US));
        }
        if open == 0 && what.opened == 0 && !what.refused.is_empty() {
            let (_, last, codes) = failing.get_or_insert_with(|| (tick, tick, ByText::default()));
            *last = tick;
            what.refused.iter().for_each(|(code, count)| codes.add(code, *count));
        }
    }
    close(failing, None);
    signs
}
