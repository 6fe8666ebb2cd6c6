//! What befell the run: every request by kind and status, single incidents by kind and code, and what
//! shows that the target was away. Only added to; who is to blame is said by whoever enters it.

use std::collections::{BTreeMap, BTreeSet};

use khala_plan::stability::Incident;
use serde::{Deserialize, Deserializer, Serialize};

use super::incidents::REJOIN_OF_THE_LATE;
use crate::by_text::{ByText, Sum};
use crate::pairs;
use crate::record::{Answered, Heard, Micros, Outcome, RenewalSign, Request, TIMED_OUT, second_of};

/// How finely it is told when sockets began and ended.
pub const TICK_US: Micros = 100_000;
/// Renewals kept, the earliest.
const RENEWALS_MAX: usize = 1_000;
/// Silences kept, the earliest.
const SILENCES_MAX: usize = 10_000;

/// Whose doing an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The target's, or what lies between.
    Target,
    /// The harness's own: it stood still, or lacked something.
    Ours,
    /// A planned fault's.
    Plan,
}

/// Requests of one kind that ended in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How many.
    pub count: u64,
    /// Of them, those that got what they asked for.
    pub ok: u64,
    /// Of them, those that were refused for who asked: the token, the session, the operators' token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denied: u64,
    /// Of them, those that the harness itself ended or had no means for.
    pub ours: u64,
    /// Of them, those that the plan itself makes fail: bad tokens that a fault tries, and what befalls the
    /// clients and the target that a fault hit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub planned: u64,
    /// When the first one ended.
    pub first: Micros,
    /// When the last one ended.
    pub last: Micros,
    /// What stood in the first refusal that said something.
    pub example: Option<(Micros, Box<str>)>,
    /// The first `Retry-After`.
    pub retry_after: Option<(Micros, Box<str>)>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn earlier(mine: &mut Option<(Micros, Box<str>)>, other: Option<&(Micros, Box<str>)>) {
    if let Some(other) = other
        && mine.as_ref().is_none_or(|mine| other < mine)
    {
        *mine = Some(other.clone());
    }
}

impl Sum for Status {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.ok += other.ok;
        self.denied += other.denied;
        self.ours += other.ours;
        self.planned += other.planned;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        earlier(&mut self.example, other.example.as_ref());
        earlier(&mut self.retry_after, other.retry_after.as_ref());
    }
}

/// Incidents of one kind and code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How many.
    pub count: u64,
    /// When the first one was seen.
    pub first: Micros,
    /// When the last one was seen.
    pub last: Micros,
    /// Of them, those that are lateness alone.
    pub late: u64,
}

impl Sum for Seen {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.late += other.late;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// How long sockets had been silent when they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// Of how many that is known.
    pub count: u64,
    /// The shortest.
    pub least: Micros,
    /// The longest.
    pub most: Micros,
}

impl Silent {
    fn and(self, other: Self) -> Self {
        let (least, most) = (self.least.min(other.least), self.most.max(other.most));
        Self { count: self.count + other.count, least, most }
    }
}

/// Incidents of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// By code.
    #[serde(deserialize_with = "read_codes")]
    pub codes: ByText<Seen>,
    /// The clients that they befell, where they befell clients.
    pub clients: BTreeSet<u32>,
    /// Of ends of sockets, for how long nothing had come over them.
    #[serde(default)]
    pub silent: Option<Silent>,
    /// Of those that are lateness alone, how many were waited for from one second of the run to another.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub waits: BTreeMap<(u32, u32), u64>,
}

/// The codes of lateness alone, in journals that have no figure of it.
const LATE_BY_CODE: [&str; 3] = [TIMED_OUT, "unsubscribe: timeout", REJOIN_OF_THE_LATE];

/// [`Seen`] as journals have it.
#[derive(Deserialize)]
struct Written {
    count: u64,
    first: Micros,
    last: Micros,
    late: Option<u64>,
}

/// Serde: incidents by code, also those of a journal that does not say how many are late.
fn read_codes<'de, D: Deserializer<'de>>(from: D) -> Result<ByText<Seen>, D::Error> {
    let codes = ByText::<Written>::deserialize(from)?;
    Ok(codes.map(|code, Written { count, first, last, late }| {
        let by_code = if LATE_BY_CODE.contains(&code) { count } else { 0 };
        Seen { count, first, last, late: late.unwrap_or(by_code) }
    }))
}

impl Told {
    fn merge(&mut self, other: Self) {
        self.silent = both(self.silent, other.silent);
        self.codes.merge(other.codes);
        self.clients.extend(other.clients);
        for (wait, count) in other.waits {
            *self.waits.entry(wait).or_default() += count;
        }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.codes.iter().map(|(_, seen)| seen.count).sum()
    }

    /// How many of them are lateness alone.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.codes.iter().map(|(_, seen)| seen.late).sum()
    }

    /// When the first one was seen.
    #[must_use]
    pub fn first(&self) -> Option<Micros> {
        self.codes.iter().map(|(_, seen)| seen.first).min()
    }
}

fn both(one: Option<Silent>, other: Option<Silent>) -> Option<Silent> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

/// What became of the clients' sockets in one tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Sockets opened.
    pub opened: u64,
    /// Sockets that had been open for a while and that the target ended unplanned, by code.
    pub ended: ByText<u64>,
    /// Sockets that ended otherwise.
    pub left: u64,
    /// Connects that failed by the target's doing.
    pub refused: ByText<u64>,
}

impl Tick {
    fn merge(&mut self, other: Self) {
        self.opened += other.opened;
        self.ended.merge(other.ended);
        self.left += other.left;
        self.refused.merge(other.refused);
    }
}

/// A time in which nothing was heard from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// By when it was over, or had lasted so far.
    pub to: Micros,
    /// Whether it was over.
    pub over: bool,
    /// Requests that waited or failed meanwhile.
    pub asked: u64,
    /// Clients that were in the run.
    pub clients: u64,
}

/// What befell the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    #[serde(with = "pairs")]
    requests: BTreeMap<Request, ByText<Status>>,
    #[serde(with = "pairs")]
    incidents: BTreeMap<(Incident, Blame), Told>,
    #[serde(with = "pairs")]
    occasions: BTreeMap<Incident, u64>,
    #[serde(with = "pairs")]
    ticks: BTreeMap<u64, Tick>,
    #[serde(with = "pairs")]
    silences: BTreeMap<(Micros, Heard), Silence>,
    renewals: BTreeSet<(Micros, Micros, RenewalSign)>,
}

impl Stability {
    /// A request ended. `planned`: it failed because the plan wants it to.
    pub fn answered(&mut self, answered: &Answered, planned: bool) {
        let at = answered.at;
        let text = |text: &Option<Box<str>>| text.clone().map(|text| (at, text));
        let status = Status {
            count: 1,
            ok: u64::from(answered.outcome == Outcome::Ok),
            denied: u64::from(answered.outcome == Outcome::RefusedAuth),
            ours: u64::from(answered.outcome.is_our_own_doing()),
            planned: u64::from(planned),
            first: at,
            last: at,
            example: text(&answered.example),
            retry_after: text(&answered.retry_after),
        };
        self.requests.entry(answered.request).or_default().add(&answered.status, status);
    }

    /// There was an occasion for an incident.
    pub fn occasion(&mut self, incident: Incident) {
        *self.occasions.entry(incident).or_default() += 1;
    }

    /// Something happened that nobody wanted; `waited`: it is lateness alone, of what was waited for from then to
    /// then.
    pub fn incident(
        &mut self,
        incident: Incident,
        blame: Blame,
        (code, waited): (&str, Option<(Micros, Micros)>),
        at: Micros,
        client: Option<u32>,
    ) {
        let told = self.incidents.entry((incident, blame)).or_default();
        let late = waited.is_some().into();
        told.codes.add(code, Seen { count: 1, first: at, last: at, late });
        if let Some((from, to)) = waited {
            *told.waits.entry((second_of(from), second_of(to))).or_default() += 1;
        }
        told.clients.extend(client);
    }

    /// For how long nothing had come over a socket whose end was such an incident.
    pub fn was_silent(&mut self, incident: Incident, blame: Blame, silent: Micros) {
        let told = self.incidents.entry((incident, blame)).or_default();
        let one = Silent { count: 1, least: silent, most: silent };
        told.silent = both(told.silent, Some(one));
    }

    fn tick(&mut self, at: Micros) -> &mut Tick {
        self.ticks.entry(at / TICK_US).or_default()
    }

    /// A client's socket was opened.
    pub fn opened(&mut self, at: Micros) {
        self.tick(at).opened += 1;
    }

    /// The target ended a socket that had been open for a while, unplanned.
    pub fn ended(&mut self, at: Micros, code: &str) {
        self.tick(at).ended.add(code, 1);
    }

    /// A socket ended otherwise.
    pub fn left(&mut self, at: Micros) {
        self.tick(at).left += 1;
    }

    /// A connect failed by the target's doing.
    pub fn refused(&mut self, at: Micros, code: &str) {
        self.tick(at).refused.add(code, 1);
    }

    /// Nothing was heard for a while.
    pub fn silent(&mut self, heard: Heard, from: Micros, silence: Silence) {
        let mine = self.silences.entry((from, heard)).or_insert(silence);
        mine.to = mine.to.max(silence.to);
        mine.over |= silence.over;
        mine.asked = mine.asked.max(silence.asked);
        mine.clients = mine.clients.max(silence.clients);
        while self.silences.len() > SILENCES_MAX {
            self.silences.pop_last();
        }
    }

    /// Somebody else than before answers.
    pub fn renewed(&mut self, before: Micros, at: Micros, sign: RenewalSign) {
        self.renewals.insert((before, at, sign));
        while self.renewals.len() > RENEWALS_MAX {
            self.renewals.pop_last();
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (request, statuses) in other.requests {
            self.requests.entry(request).or_default().merge(statuses);
        }
        for (kind, told) in other.incidents {
            self.incidents.entry(kind).or_default().merge(told);
        }
        for (incident, occasions) in other.occasions {
            *self.occasions.entry(incident).or_default() += occasions;
        }
        for (tick, theirs) in other.ticks {
            self.ticks.entry(tick).or_default().merge(theirs);
        }
        for ((from, heard), silence) in other.silences {
            self.silent(heard, from, silence);
        }
        for (before, at, sign) in other.renewals {
            self.renewed(before, at, sign);
        }
    }

    /// Every request, by kind and status.
    #[must_use]
    pub fn requests(&self) -> &BTreeMap<Request, ByText<Status>> {
        &self.requests
    }

    /// The incidents of a kind for which somebody is to blame.
    #[must_use]
    pub fn told(&self, incident: Incident, blame: Blame) -> Option<&Told> {
        self.incidents.get(&(incident, blame))
    }

    /// What there was for an incident of a kind to happen to.
    #[must_use]
    pub fn occasions(&self, incident: Incident) -> u64 {
        self.occasions.get(&incident).copied().unwrap_or_default()
    }

    /// What became of the clients' sockets, in order of time: (tick, what happened in it).
    pub fn ticks(&self) -> impl Iterator<Item = (u64, &Tick)> {
        self.ticks.iter().map(|(&tick, what)| (tick, what))
    }

    /// When nothing was heard, or nothing over sockets, in order of time: (from when on, what, how long).
    pub fn silences(&self) -> impl Iterator<Item = (Micros, Heard, Silence)> + '_ {
        self.silences.iter().map(|(&(from, heard), &silence)| (from, heard, silence))
    }

    /// When somebody else than before answered: (old one last seen, new one seen, by what).
    pub fn renewals(&self) -> impl Iterator<Item = &(Micros, Micros, RenewalSign)> {
        self.renewals.iter()
    }

    /// Whether the target was asked for anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.occasions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Told {
        serde_json::from_str(json).expect("is read")
    }

    #[test]
    fn lateness_is_a_figure_of_its_own_and_in_older_journals_what_the_codes_say() {
        let mut stability = Stability::default();
        let waited = Some((1_000_000, 5_000_000));
        for (code, waited) in [("timeout", waited), ("timeout", None), ("503", None)] {
            stability.incident(Incident::JoinErrors, Blame::Target, (code, waited), 5, None);
        }
        let one = stability.told(Incident::JoinErrors, Blame::Target).expect("is told");
        assert_eq!((one.count(), one.late()), (3, 1));
        assert_eq!(one.waits, BTreeMap::from([((1, 5), 1)]));
        let again = told(&serde_json::to_string(one).expect("is written"));
        assert_eq!(&again, one, "the figure holds, whatever the code");
        let seen = r#"{"count":2,"first":1,"last":9}"#;
        for (code, late) in [
            ("timeout", 2),
            ("unsubscribe: timeout", 2),
            ("rejoin after a time-out", 2),
            ("rejoin", 0),
            ("503", 0),
        ] {
            let old = told(&format!(r#"{{"codes":{{"{code}":{seen}}},"clients":[]}}"#));
            assert_eq!((old.count(), old.late()), (2, late), "{code}");
        }
    }
}
