//! What a target does beside what the contract says: facts for the profile, and nothing that ends a run.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use khala_plan::Plan;
use khala_plan::model::TopicSettings;
use khala_wire::CHANNEL;
use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::metrics::{FanoutMetrics, TopicWindow};
use khala_wire::topic::{KNOWN, TopicId};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::lines::Line;
use super::profile::Fact;
use super::{Options, user_agent};
use crate::clock;
use crate::preflight;
use crate::target::window::{Window, fleet_topics, windows};
use crate::target::{Target, asked, scopes};
use crate::transport::Socket;

/// What lines on limits are about.
const WHAT: &str = "limits";
/// What to do where a first socket came in and a further one does not.
const NO_SOCKET: &str = "the first one was let in: see how many the target, or what is before it, lets in for one user or address";

/// The contract's times: between two heartbeats of the server, and after which a channel or a socket is idle,
/// seen at the next heartbeat.
const BEAT: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_secs(60);
/// Longer than either takes, by the contract.
const WAITS: Duration = Duration::from_secs(90);
/// Codes with which the contract's sockets are closed.
const CONTRACTS_CODES: [u16; 4] = [1000, 1002, 1011, 1012];
/// Two times that differ by no more are alike: what a timer and a busy machine take.
const ALIKE: Duration = Duration::from_secs(2);

/// Tells how it speaks, and with `options.waits` after which times it acts by itself.
pub(super) async fn examine(
    plan: &Plan,
    target: &Target,
    options: &Options,
    told: &mut dyn FnMut(Line),
) {
    if plan.is_passive() {
        let why = "the target is only listened to (target.commands = \"none\")";
        told(Line::skipped("facts", why, "a profile that may be written to has them tried"));
        return;
    }
    told(versions(plan, target, options).await);
    told(close_code(plan, target, options).await);
    if !options.waits {
        let why = "it waits for a minute and a half: heartbeats, and when a channel and a socket are idle";
        told(Line::skipped("time-outs", why, "--time-outs has them tried"));
        return;
    }
    let (beat, channel, socket) = tokio::join!(
        beats(plan, target, options),
        SILENT_CHANNEL.line(plan, target, options),
        SILENT_SOCKET.line(plan, target, options)
    );
    [beat, channel, socket].into_iter().for_each(told);
}

/// Limits and the size of the past, by its metrics, beside the contract's.
pub(super) fn limits(plan: &Plan, metrics: &FanoutMetrics, told: &mut dyn FnMut(Line)) {
    let tried = "what its fan-out metrics say of its topics";
    let rows: Vec<_> = metrics.topic_windows.iter().filter_map(limit).collect();
    let differ: Vec<_> = rows.iter().filter_map(|(_, other)| other.clone()).collect();
    let contradicted = contradicted(&plan.target.retains, &windows(metrics));
    if !contradicted.is_empty() {
        let advice = "target.retains is wrong there: correct it, or leave it out, for what the target shows goes before it";
        told(Line::less(
            WHAT,
            "target.retains beside its fan-out metrics",
            contradicted.join("; "),
            advice,
        ));
    }
    let seen = rows.into_iter().map(|(seen, _)| seen).collect::<Vec<_>>().join("; ");
    let line = match differ.is_empty() {
        true => Line::good(WHAT, tried, seen),
        false => Line::less(
            WHAT,
            tried,
            seen,
            format!(
                "beside the contract: {}; scenarios for its bounds go by its own",
                differ.join(", ")
            ),
        ),
    };
    told(line.of_the_profile(shown_facts(&windows(metrics))));
}

/// What windows that the target shows itself have for its profile.
fn shown_facts(windows: &[(TopicId, Window)]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (topic, window) in windows {
        let (floor, head) = (window.floor(), window.head);
        match window.budget {
            asked::UNKNOWN => {}
            budget @ 1..=TopicSettings::EVENTS_MAX => facts.push(Fact::Budget(*topic, budget)),
            budget => facts.push(Fact::Open(
                format!("target.retains.\"{}\".replay_budget_events = {budget}", topic.name()),
                format!("the key takes 1 to {}", TopicSettings::EVENTS_MAX),
            )),
        }
        if floor > 0 && floor < head {
            facts.push(Fact::Open(
                format!("target.retains.\"{}\".retain_events = {}", topic.name(), head - floor),
                format!(
                    "as many were there, floor {floor}, head {head}; whether it retains by number or by age one look does not \
                     tell"
                ),
            ));
        }
    }
    facts
}

/// What is known of limits where there are no metrics: what the profile says of them, beside what a cursor of 0 was
/// answered with.
pub(super) async fn untold_limits(
    plan: &Plan,
    target: &Target,
    options: &Options,
    told: &mut dyn FnMut(Line),
) {
    let tried = "a subscribe with cursor 0 to each topic of the fleet, for it shows no metrics";
    let windows = asked::windows(plan, target, &user_agent(options), &fleet_topics(plan)).await;
    let contradicted = contradicted(&plan.target.retains, &windows);
    if !contradicted.is_empty() {
        let advice = "target.retains is wrong there: correct it, or leave it out";
        let line = Line::less(WHAT, tried, contradicted.join("; "), advice);
        return told(line.of_the_profile(shown_facts(&windows)));
    }
    let facts = shown_facts(&windows);
    let line = |(topic, window): &(TopicId, Window)| shown(plan, *topic, *window);
    let (seen, open): (Vec<_>, Vec<_>) = windows.iter().map(line).unzip();
    let seen = match seen.is_empty() {
        true => "nothing of any topic".to_owned(),
        false => seen.join("; "),
    };
    let line = match open.contains(&true) || windows.is_empty() {
        false => Line::good(WHAT, tried, seen),
        true => Line::less(
            WHAT,
            tried,
            seen,
            "say in the profile what it retains and replays ([target.retains.\"TOPIC\"] with retain_events and \
             replay_budget_events), or give target.admin_token: without either, cases and faults at these bounds \
             decide nothing",
        ),
    };
    told(line.of_the_profile(facts));
}

/// What is known of a topic's window, and whether something of it is not.
fn shown(plan: &Plan, topic: TopicId, window: Window) -> (String, bool) {
    let name = topic.name();
    if window.floor() > 0 {
        let Window { head, budget, .. } = window;
        let floor = window.floor();
        return (
            format!("{name}: floor {floor}, head {head}, {budget} behind head may be replayed"),
            false,
        );
    }
    let told = plan.target.retains.get(&topic).copied().unwrap_or_default();
    let of = |told: Option<u64>| told.map_or_else(|| "not known".to_owned(), |n| n.to_string());
    let (retained, budget) = (of(told.retain_events), of(told.replay_budget_events));
    let head = window.head;
    let seen = format!(
        "{name}: head {head}, cursor 0 is served; retains {retained}, replays {budget}, by its profile"
    );
    (seen, told.replay_budget_events.is_none())
}

/// What a profile says of limits and the target says otherwise.
fn contradicted(
    told: &BTreeMap<TopicId, TopicSettings>,
    windows: &[(TopicId, Window)],
) -> Vec<String> {
    let mut all = Vec::new();
    for (topic, window) in windows {
        let Some(told) = told.get(topic) else { continue };
        let name = topic.name();
        let retained = window.head.saturating_sub(window.floor());
        if let Some(said) = told.retain_events.filter(|said| retained > *said) {
            all.push(format!("{name} is said to retain {said} events, and {retained} are there"));
        }
        if let Some(said) = told.replay_budget_events.filter(|said| *said != window.budget) {
            all.push(format!("{name} is said to replay {said}, and it replays {}", window.budget));
        }
    }
    all
}

/// A topic's limits, and what differs from the contract's.
fn limit(row: &TopicWindow) -> Option<(String, Option<String>)> {
    let known = KNOWN.iter().find(|topic| topic.name == row.topic)?;
    let retained = match (row.oldest_sequence, row.head_sequence) {
        (Some(oldest), Some(head)) => head.saturating_add(1).saturating_sub(oldest),
        _ => 0,
    };
    let seen = format!(
        "{}: {retained} events retained, {} behind head may be replayed, {} publishes a second of up to {} bytes",
        known.name,
        row.replay_budget_events,
        row.publish_rate_limit_per_second,
        row.max_payload_bytes
    );
    let other = (row.replay_budget_events != known.replay_budget_events).then(|| {
        format!("{} may have {} behind head replayed there", known.name, known.replay_budget_events)
    });
    Some((seen, other))
}

/// A socket of the harness's own.
async fn socket(plan: &Plan, target: &Target, options: &Options) -> Option<Socket> {
    let (agent, tried) = (user_agent(options), &mut Vec::new());
    let token = preflight::token(plan, target, &agent, &scopes(plan, 0), tried).await.ok()?;
    preflight::upgraded(plan, target, &agent, &token, tried).await.ok().flatten()
}

async fn joined(plan: &Plan, target: &Target, options: &Options) -> Option<Socket> {
    let mut socket = socket(plan, target, options).await?;
    let join = tokio::time::timeout(plan.target.connect_timeout, preflight::join(&mut socket));
    join.await.ok()?.ok()?;
    Some(socket)
}

/// Which versions of the framing it takes.
async fn versions(plan: &Plan, target: &Target, options: &Options) -> Line {
    let tried = "upgrades with vsn 2.0.0, 1.0.0, 9.9.9, and without";
    let mut came = Vec::new();
    for vsn in ["vsn=2.0.0", "vsn=1.0.0", "vsn=9.9.9", ""] {
        let (agent, asked) = (user_agent(options), &mut Vec::new());
        let Ok(token) = preflight::token(plan, target, &agent, &scopes(plan, 0), asked).await
        else {
            return Line::less("framing", tried, "no token could be had", NO_SOCKET);
        };
        let query = target.socket_query(&token).replace("vsn=2.0.0", vsn);
        let taken = preflight::dial(plan, target, &agent, &query).await.is_ok();
        came.push(taken);
    }
    let names = ["2.0.0", "1.0.0", "9.9.9", "none"];
    let named = |is: bool| {
        let fits = names.iter().zip(&came).filter(|(_, taken)| **taken == is);
        fits.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let seen = match named(false) {
        refused if refused.is_empty() => format!("taken: {}; refused: no version", named(true)),
        refused => format!("taken: {}; refused: {refused}", named(true)),
    };
    match came == [true, true, false, true] {
        true => Line::good("framing", tried, seen),
        false => Line::less(
            "framing",
            tried,
            seen,
            "the contract takes 2.0.0, 1.0.0 and none, and refuses all else; runs say 2.0.0",
        ),
    }
}

/// The code with which it closes a socket that spoke no JSON.
async fn close_code(plan: &Plan, target: &Target, options: &Options) -> Line {
    let tried = "a text that is no JSON, over a socket of its own";
    let Some(mut socket) = socket(plan, target, options).await else {
        return Line::less("close codes", tried, "no socket was let in", NO_SOCKET);
    };
    let until = clock::now() + plan.target.request_timeout;
    let sent = socket.send(Message::text("{ no JSON"));
    if !matches!(tokio::time::timeout_at(until, sent).await, Ok(Ok(()))) {
        return Line::less("close codes", tried, "the socket broke", NO_SOCKET);
    }
    let (_, how) = ends(&mut socket, until).await;
    match how {
        Some(Ended::Code(1011)) => Line::good("close codes", tried, "it closed with 1011"),
        how => Line::less(
            "close codes",
            tried,
            told_of(how, plan.target.request_timeout),
            "the contract closes with 1011; other codes of its own are target.close_codes",
        )
        .of_the_profile(code_of_its_own(plan, how)),
    }
}

/// A code of the target's own, which would be allowed wherever it came.
fn code_of_its_own(plan: &Plan, how: Option<Ended>) -> Vec<Fact> {
    let Some(Ended::Code(code)) = how else { return Vec::new() };
    if CONTRACTS_CODES.contains(&code) || plan.target.close_codes.contains(&code) {
        return Vec::new();
    }
    let why = "it closed so after a text that is no JSON, where the contract has 1011; written there, it breaks nothing, \
               wherever it comes";
    vec![Fact::Open(format!("target.close_codes = [{code}]"), why.to_owned())]
}

/// How a socket, or its channel, came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A close frame with this code; 1005 of one without.
    Code(u16),
    /// The channel alone.
    Channel,
    /// Without a word.
    Cut,
}

fn told_of(how: Option<Ended>, within: Duration) -> String {
    match how {
        None => format!("it did not end within {within:?}"),
        Some(Ended::Code(code)) => format!("it closed with {code}"),
        Some(Ended::Channel) => "the channel was ended, and the socket was not".to_owned(),
        Some(Ended::Cut) => "it broke the connection off without a close frame".to_owned(),
    }
}

/// Reads until the socket or its channel ends; when, and how.
async fn ends(socket: &mut Socket, until: Instant) -> (Instant, Option<Ended>) {
    let reading = async {
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Close(frame)) => {
                    return Ended::Code(frame.map_or(1005, |frame| u16::from(frame.code)));
                }
                Ok(Message::Text(text)) if is(&text, &[event::CLOSE, event::ERROR]) => {
                    return Ended::Channel;
                }
                Ok(_) => {}
                Err(_) => return Ended::Cut,
            }
        }
        Ended::Cut
    };
    let how = tokio::time::timeout_at(until, reading).await.ok();
    (clock::now(), how)
}

/// Whether it is one of these events of the channel.
fn is(text: &str, events: &[&str]) -> bool {
    let Ok(frame) = Frame::parse(Vsn::V2, text) else { return false };
    frame.channel == CHANNEL && events.contains(&&*frame.event)
}

/// A time that was seen beside the contract's.
fn beside(what: &'static str, tried: &str, seen: Duration, contract: Duration, how: &str) -> Line {
    let came = format!(
        "{how} after {:.1} s; the contract says {} s",
        seen.as_secs_f64(),
        contract.as_secs()
    );
    let (least, most) = (contract.saturating_sub(ALIKE), contract + ALIKE);
    // Idleness is looked for at each heartbeat.
    let most = if contract == IDLE { most + BEAT } else { most };
    match (least..=most).contains(&seen) {
        true => Line::good(what, tried, came),
        false => {
            Line::less(what, tried, came, "clients that go by the contract's time may be surprised")
        }
    }
}

async fn beats(plan: &Plan, target: &Target, options: &Options) -> Line {
    const WHAT: &str = "heartbeats";
    let tried = "a joined socket that says nothing, until the server has pushed two";
    let Some(mut socket) = joined(plan, target, options).await else {
        return Line::less(WHAT, tried, "no socket was let in", NO_SOCKET);
    };
    let mut first = None;
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            if !is(&text, &[event::HEARTBEAT]) {
                continue;
            }
            match first {
                None => first = Some(clock::now()),
                Some(since) => return Some(clock::now() - since),
            }
        }
        None
    };
    match tokio::time::timeout(WAITS, reading).await.ok().flatten() {
        Some(apart) => beside(WHAT, tried, apart, BEAT, "they came one"),
        None => Line::less(
            WHAT,
            tried,
            format!("two did not come within {WAITS:?}"),
            "the contract's server pushes one each 15 s",
        ),
    }
}

/// What ends by itself when nothing is said over it.
struct Silent {
    what: &'static str,
    tried: &'static str,
    /// Whether it joins first.
    joins: bool,
    /// How it ends by the contract, and in words.
    ends: Ended,
    ended: &'static str,
    contract: &'static str,
}

const SILENT_CHANNEL: Silent = Silent {
    what: "idle channel",
    tried: "a joined socket that says nothing",
    joins: true,
    ends: Ended::Channel,
    ended: "the channel was ended",
    contract: "the contract ends the channel after 60 s",
};
const SILENT_SOCKET: Silent = Silent {
    what: "idle socket",
    tried: "a socket that does not join, and says nothing",
    joins: false,
    ends: Ended::Code(1002),
    ended: "it was closed with 1002",
    contract: "the contract closes it with 1002 after 60 s",
};

impl Silent {
    async fn line(&self, plan: &Plan, target: &Target, options: &Options) -> Line {
        let opened = match self.joins {
            true => joined(plan, target, options).await,
            false => socket(plan, target, options).await,
        };
        let Some(mut socket) = opened else {
            return Line::less(self.what, self.tried, "no socket was let in", NO_SOCKET);
        };
        let began = clock::now();
        let (at, how) = ends(&mut socket, began + WAITS).await;
        if how == Some(self.ends) {
            return beside(self.what, self.tried, at - began, IDLE, self.ended);
        }
        Line::less(self.what, self.tried, told_of(how, WAITS), self.contract)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Came;

    #[test]
    fn a_budget_that_no_profile_may_name_is_told_and_not_filled_in() {
        let of = |budget| {
            let window = Window { oldest: Some(1), head: 9, budget, tier: None };
            shown_facts(&[(TopicId::WORKER_EVENTS, window)])
        };
        assert_eq!(of(500), [Fact::Budget(TopicId::WORKER_EVENTS, 500)]);
        assert_eq!(of(asked::UNKNOWN), []);
        for budget in [0, TopicSettings::EVENTS_MAX + 1, 1 << 31] {
            let [Fact::Open(key, why)] = &of(budget)[..] else { panic!("{budget}") };
            assert!(key.ends_with(&format!("replay_budget_events = {budget}")), "{key}");
            assert_eq!(why, "the key takes 1 to 10000000");
        }
    }

    #[test]
    fn a_time_is_beside_the_contracts_or_like_it() {
        let came = |seconds, contract| {
            beside("w", "t", Duration::from_secs(seconds), contract, "it came").came
        };
        assert_eq!(came(15, BEAT), Came::Good);
        assert_eq!(came(20, BEAT), Came::Less);
        // At the next heartbeat.
        assert_eq!(came(74, IDLE), Came::Good);
        assert_eq!(came(80, IDLE), Came::Less);
        assert_eq!(came(30, IDLE), Came::Less);
    }
}
