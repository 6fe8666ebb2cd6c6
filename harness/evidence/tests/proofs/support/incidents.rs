//! Runs of ten minutes in which nothing happens but what a test puts into them: clients that are live, what befalls
//! them, and what is made of it.

use khala_evidence::Settled;
use khala_evidence::judge::{GateVerdict, RunVerdict, STABILITY_GATE, Verdict};
use khala_evidence::record::{Micros, OfflineCause, OpKind, Outcome, Record, Request};
use khala_evidence::shard::absence::Absence;
use khala_evidence::shard::stability::Blame;
use khala_plan::stability::Incident;

use super::plans::edited;
use super::records::{self, stream};
use super::trial::Trial;

pub const S: Micros = 1_000_000;

/// A thousand clients elsewhere, on two threads; the target is stopped for nobody.
pub const ELSEWHERE: &str = r#"
version = 1
name = "elsewhere"
seed = 3

[target]
kind = "url"
url = "http://127.0.0.1:4000"
exclusive = true

[auth]
mint = "control"

[fleet]
clients = 1000
ramp = "10s"

[[fleet.surface]]
name = "desktop"
share = 1.0
topics = ["runtime.codex_worker_events"]

[[load]]
command = "codex-worker-events"
rate = "2/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "600s"

[[gate]]
name = "ux"

[[gate.objective]]
metric = "violations"
where = { rule = "gap" }
require = "count == 0"

[oracle]
converge_within = "30s"
settle_within = "1s"
"#;

/// Twelve clients of the embedded runtime, and whatever faults.
pub fn at_home(faults: &str) -> String {
    let kind = "kind = \"url\"\nurl = \"http://127.0.0.1:4000\"\nexclusive = true";
    edited(
        ELSEWHERE,
        &[
            (kind, "kind = \"reference\""),
            ("clients = 1000", "clients = 12"),
            ("duration = \"600s\"\n", &format!("duration = \"600s\"\n{faults}\n")),
        ],
    )
}

/// A fault that is due at 90 s.
pub fn fault(kind: &str, more: &str) -> String {
    // The phase begins when all have arrived, at 10 s.
    format!("[[phase.fault]]\ntype = \"{kind}\"\nat = \"80s\"\n{more}")
}

/// A client that is live on one socket from `at` on.
pub fn live(client: u32, at: Micros) -> Vec<Record> {
    vec![
        records::connect_begun(client, at, 1),
        records::connected(client, at + 1),
        records::op(client, OpKind::Join, at + 1, at + 2, Outcome::Ok),
        records::subscribe_sent(client, 1, at + 2, &[(stream(), None, 0)]),
        records::subscribe_ok(client, 1, at + 3, &[(stream(), 0)]),
    ]
}

/// A heartbeat that is answered: the client keeps its channel alive.
pub fn beat(client: u32, at: Micros) -> Record {
    records::op(client, OpKind::Heartbeat, at, at + 1_000, Outcome::Ok)
}

/// Clients that are live from 20 s on.
pub fn fleet(clients: u32) -> Vec<Record> {
    (0..clients).flat_map(|client| live(client, 20 * S)).collect()
}

/// A request that ended after a millisecond.
pub fn answered(request: Request, client: Option<u32>, at: Micros, how: (Outcome, &str)) -> Record {
    records::answered(request, client, [at.saturating_sub(1_000), at], how)
}

pub fn upgrade(client: u32, at: Micros, how: (Outcome, &str)) -> Record {
    answered(Request::Connect, Some(client), at, how)
}

pub const REFUSED: (Outcome, &str) = (Outcome::ConnectionFailed, "connection refused");
pub const RESET: (Outcome, &str) = (Outcome::ConnectionFailed, "connection reset");
pub const UNAVAILABLE: (Outcome, &str) = (Outcome::ProtocolError, "503");
pub const TAKEN: (Outcome, &str) = (Outcome::Ok, "101");

pub fn closed(code: u16) -> OfflineCause {
    OfflineCause::ClosedByTarget { code: Some(code) }
}

/// The ends of some clients' sockets, a few milliseconds apart; their heartbeats had been answered.
pub fn ends(clients: std::ops::Range<u32>, at: Micros, cause: OfflineCause) -> Vec<Record> {
    let beats = clients.clone().map(|client| beat(client, at - 10 * S));
    let offline = |client| records::offline(client, at + u64::from(client) * 5_000, cause);
    beats.chain(clients.map(offline)).collect()
}

/// The codes under which incidents of a kind are told, with how often.
pub fn told(settled: &Settled, incident: Incident, blame: Blame) -> Vec<(String, u64)> {
    let told = settled.stability.told(incident, blame);
    let codes = told.into_iter().flat_map(|told| told.codes.iter());
    codes.map(|(code, seen)| (code.to_owned(), seen.count)).collect()
}

/// Whose doing an incident was that happened once.
pub fn blamed(settled: &Settled, incident: Incident) -> Blame {
    let blames = [Blame::Target, Blame::Ours, Blame::Plan];
    let found: Vec<_> =
        blames.into_iter().filter(|&blame| !told(settled, incident, blame).is_empty()).collect();
    assert_eq!(found.len(), 1, "{incident:?}: {found:?}");
    found[0]
}

pub fn gate(verdict: &RunVerdict) -> &GateVerdict {
    verdict.gates.iter().find(|gate| gate.name == STABILITY_GATE).expect("it is always judged")
}

/// Verdict and reason of a kind, if it was judged.
pub fn kind(verdict: &RunVerdict, incident: Incident) -> Option<(Verdict, String)> {
    let selector = format!("kind={}", incident.name());
    let objective = gate(verdict).objectives.iter().find(|one| one.selector == selector)?;
    Some((objective.verdict, objective.reason.clone()))
}

/// Verdict and reason of the claim that the target was never away.
pub fn absence(verdict: &RunVerdict) -> (Verdict, String) {
    let objective = gate(verdict).objectives.iter().find(|one| one.metric == "absence");
    let objective = objective.expect("it is always judged");
    (objective.verdict, objective.reason.clone())
}

/// A hook that is due at 90 s and lasts for `duration`.
pub fn hooked(duration: &str, causes: &str) -> String {
    let undo = if duration.is_empty() { "" } else { ", undo = [\"true\"]" };
    let attributes = format!("attributes = {{ command = [\"true\"]{undo}{causes} }}");
    at_home(&fault("hook", &format!("{duration}\n{attributes}")))
}

pub fn absences(text: &str, list: Vec<Record>) -> Vec<Absence> {
    Trial::of(text, list).settle().absences
}

#[track_caller]
pub fn one(absences: &[Absence]) -> &Absence {
    assert_eq!(absences.len(), 1, "{absences:#?}");
    &absences[0]
}
