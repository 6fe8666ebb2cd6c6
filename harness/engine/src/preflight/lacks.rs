//! What a target by URL does not give, told before the load: with the key or variable that mends it, and
//! what this plan cannot decide without it.
//!
//! Asked is what changes nothing: the fan-out metrics, a revocation of a session that nobody has, a trim
//! that keeps everything.

use std::collections::BTreeSet;

use bytes::Bytes;
use khala_plan::Plan;
use khala_plan::estimate::{Span, chosen_cursors};
use khala_plan::fault::Need;
use khala_plan::model::{FirstSubscribe, Resume};
use khala_plan::schedule::{PlannedFault, PlannedPublish, Schedule};
use khala_plan::units::format_count;
use khala_wire::command::{REVOKE_PATH, Revoke};
use khala_wire::topic::TopicId;

use crate::fault::{TRIM_PATH, keeps_all};
use crate::http::{Http, HttpError};
use crate::target::window::{Window, windows};
use crate::target::{Target, asked, keys};

/// Events of a topic's past from which on it is told what a first subscribe replays.
const PAST_MIN: u64 = 1_000;
/// Deliveries of the past to all clients from which on that is told, where they are at least one for so many of those
/// that the run plans.
const REPLAYED_MIN: u64 = 10_000;
const REPLAYED_SHARE: u64 = 10;

/// What mends a trim that is refused to whom may do it.
const WITHOUT_TRIM: &str = "that request is the reference runtime's own, and none of the contract; prune the topic by a hook, as \
                            scenarios/pruned-log.toml does, or try what takes no pruning, scenarios/cursor-bounds.toml with \
                            `--profile budget`";

/// What the target does not give, a sentence each.
pub async fn of(
    plan: &Plan,
    schedule: &Schedule,
    target: &Target,
    http: &Http,
    user_agent: &str,
) -> Vec<String> {
    let mut lacks = Vec::new();
    let read = target.metrics(http).await;
    // Whom the target lets read them it would let trim, if it could.
    let is_operator = read.is_ok() && target.credentials.admin_token.is_some();
    match read {
        Ok(metrics) => {
            let windows = windows(&metrics.document);
            lacks.extend(past(plan, schedule, &windows));
            lacks.extend(no_place(plan, schedule, &windows));
        }
        Err(error) => {
            lacks.push(no_metrics(plan, schedule, &error));
            if plan.fleet.first_subscribe == FirstSubscribe::FromStart {
                let topics: BTreeSet<TopicId> = subscribed(plan).collect();
                let topics: Vec<_> = topics.into_iter().collect();
                let windows = asked::windows(plan, target, user_agent, &topics).await;
                lacks.extend(past(plan, schedule, &windows));
            }
        }
    }
    let revoked = faults(schedule, Need::Revocation);
    if !revoked.is_empty()
        && let Err(error) = revokes(plan, target, http).await
    {
        lacks.push(format!(
            "the target refuses revocations ({error}): {}; {}. {} will not reach it, so that this run \
             cannot be a GO",
            keys::mend_admin(plan),
            keys::mend_command(plan),
            told(&revoked)
        ));
    }
    let trims = faults(schedule, Need::RetentionHook);
    if !trims.is_empty()
        && let Err(error) =
            http.post::<serde_json::Value>(TRIM_PATH, &target.admin_headers(), keeps_all()).await
    {
        let mend = match error.status() {
            Some(401 | 403) if !is_operator => keys::mend_admin(plan),
            _ => WITHOUT_TRIM.to_owned(),
        };
        lacks.push(format!(
            "the target refuses to trim a topic ({error}): {mend}. {} will not reach it, so that this run \
             cannot be a GO",
            told(&trims)
        ));
    }
    lacks
}

async fn revokes(plan: &Plan, target: &Target, http: &Http) -> Result<(), HttpError> {
    let mut who = Schedule::identity(plan, 0);
    who.session = format!("{}-nobody", who.session);
    let reason = "khala-harness preflight".to_owned();
    let revoke = Revoke { device_ids: Vec::new(), reason, session_ids: vec![who.session] };
    let body = Bytes::from(serde_json::to_vec(&revoke).unwrap_or_default());
    let mut headers = target.credentials.command_headers(&who.user, "preflight-revoke".to_owned());
    headers.extend(target.admin_headers());
    http.post::<serde_json::Value>(REVOKE_PATH, &headers, body).await.map(drop)
}

fn no_metrics(plan: &Plan, schedule: &Schedule, error: &HttpError) -> String {
    let mend = match error.status() {
        Some(401 | 403) => format!(": {}", keys::mend_admin(plan)),
        Some(404) => ": it has none".to_owned(),
        _ => String::new(),
    };
    let cursors = faults(schedule, Need::Windows);
    let instead = if cursors.is_empty() {
        String::new()
    } else {
        format!(
            "; {} get their cursors from what a subscribe with cursor 0 is answered: a refusal as stale has \
             floor, head and budget; where it is served (nothing is pruned yet, and no more is kept than \
             the replay budget) no cursor can be put below the floor or beyond the budget, and this run \
             cannot be a GO",
            told(&cursors)
        )
    };
    format!(
        "the target's fan-out metrics cannot be read ({error}){mend}. Without them faults are proven by \
         answers and sockets, and stale cursors are judged by what refusals say{instead}"
    )
}

/// The faults whose cursors may have no place, by the target's windows and what the run publishes until their clients are
/// back. What a topic is like of which it shows none nobody knows.
fn no_place(plan: &Plan, schedule: &Schedule, windows: &[(TopicId, Window)]) -> Vec<String> {
    let window = |topic: TopicId| windows.iter().find(|(known, _)| *known == topic);
    let found = schedule.faults.iter().filter_map(|fault| {
        let (resume, topics) = chosen_cursors(plan, schedule, fault)?;
        let nowhere = topics.iter().all(|(topic, more)| {
            window(*topic).is_some_and(|(_, window)| !resume.has_place(span(window), *more))
        });
        nowhere.then_some((fault, resume, topics))
    });
    let (unpruned, unreached): (Vec<_>, Vec<_>) =
        found.partition(|(_, resume, _)| *resume == Resume::BelowFloor);
    let mut lacks = Vec::new();
    if !unpruned.is_empty() {
        // Retention is nothing that metrics tell: a floor of 0 is that of any runtime that is young.
        let mut kept: Vec<_> = unpruned
            .iter()
            .flat_map(|(_, _, topics)| topics)
            .filter_map(|(topic, more)| {
                let (_, window) = window(*topic)?;
                Some((topic.name(), window.head.saturating_add(*more)))
            })
            .collect();
        kept.sort_unstable();
        kept.dedup();
        let kept: Vec<_> = kept.iter().map(|(topic, n)| format!("{n} of {topic}")).collect();
        lacks.push(format!(
            "the target has pruned nothing yet, and its metrics do not say how much it retains: whether a cursor can be \
             put below the retention floor cannot be told before the load. {} will not reach a target that retains all \
             events that there are until then ({}), and this run is then no GO",
            capital(&told(&faults_of(&unpruned))),
            kept.join(", "),
        ));
    }
    if !unreached.is_empty() {
        let mut wanted: Vec<_> = unreached.iter().map(|(_, resume, _)| resume.told()).collect();
        wanted.dedup();
        lacks.push(format!(
            "by what the target replays, and by what this run publishes, no cursor can be put {}: unless others publish \
             meanwhile {} will not reach it, and this run cannot be a GO. A reference runtime replays less by \
             `--replay-budget TOPIC=EVENTS`",
            wanted.join(" or "),
            told(&faults_of(&unreached))
        ));
    }
    lacks
}

/// A fault, where it puts cursors, and what the run publishes on each of its topics until then.
type Chosen<'a> = (&'a PlannedFault, Resume, Vec<(TopicId, u64)>);

fn faults_of<'a>(chosen: &[Chosen<'a>]) -> Vec<&'a PlannedFault> {
    chosen.iter().map(|(fault, _, _)| *fault).collect()
}

/// A clause as the beginning of a sentence.
fn capital(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn span(window: &Window) -> Span {
    Span { floor: window.floor(), head: window.head, budget: window.budget }
}

/// What every first subscribe without a cursor replays, where that is much: by itself, or beside what the run delivers.
fn past(plan: &Plan, schedule: &Schedule, windows: &[(TopicId, Window)]) -> Option<String> {
    if plan.fleet.first_subscribe == FirstSubscribe::FromNow {
        return None;
    }
    let of_topic = windows.iter().filter_map(|(topic, window)| {
        let events = window.head.saturating_sub(window.floor());
        let clients = subscribers(plan, *topic);
        (events > 0 && clients > 0).then_some((topic, events, clients))
    });
    let pasts: Vec<_> = of_topic.collect();
    let replayed: u64 =
        pasts.iter().map(|(_, events, clients)| events.saturating_mul(*clients)).sum();
    let planned = deliveries(plan, schedule);
    let is_long = pasts.iter().any(|(_, events, _)| *events >= PAST_MIN);
    let is_much = replayed >= REPLAYED_MIN && replayed.saturating_mul(REPLAYED_SHARE) >= planned;
    (is_long || is_much).then(|| {
        let told = pasts.iter().map(|(topic, events, clients)| {
            format!("{events} events of {} to each of {clients} clients", topic.name())
        });
        format!(
            "the target has a past, which every first subscribe without a cursor replays: {}, {} deliveries beside \
             the {} that this run plans. fleet.first_subscribe = \"from-now\" spares all clients but one the past",
            told.collect::<Vec<_>>().join(", "),
            format_count(replayed),
            format_count(planned),
        )
    })
}

/// The topics that clients subscribe to.
fn subscribed(plan: &Plan) -> impl Iterator<Item = TopicId> {
    plan.fleet.cohorts.iter().flat_map(|cohort| cohort.topics.iter().copied())
}

/// Clients that subscribe to a topic.
fn subscribers(plan: &Plan, topic: TopicId) -> u64 {
    let cohorts = plan.fleet.cohorts.iter().filter(|cohort| cohort.topics.contains(&topic));
    cohorts.map(|cohort| u64::from(cohort.clients)).sum()
}

/// Deliveries of what the run itself publishes, where every client is there all the time.
fn deliveries(plan: &Plan, schedule: &Schedule) -> u64 {
    let each: Vec<u64> = plan
        .loads
        .iter()
        .map(|load| load.command.topics().into_iter().map(|topic| subscribers(plan, topic)).sum())
        .collect();
    let of = |publish: &PlannedPublish| each.get(usize::from(publish.load)).copied().unwrap_or(0);
    schedule.publishes.iter().map(of).sum()
}

fn faults(schedule: &Schedule, need: Need) -> Vec<&PlannedFault> {
    schedule.faults.iter().filter(|fault| fault.kind.needs(need)).collect()
}

/// The faults by their numbers and types.
fn told(faults: &[&PlannedFault]) -> String {
    let each = faults.iter().map(|fault| format!("{} ({})", fault.id, fault.kind.name()));
    let all = each.collect::<Vec<_>>().join(", ");
    if faults.len() == 1 { format!("fault {all}") } else { format!("faults {all}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_that_is_much_beside_what_a_run_plans_is_told_whatever_its_topics_hold() {
        let storm = include_str!("../../../../scenarios/reconnect-storm.toml");
        let plan = crate::testing::plan(storm);
        let schedule = Schedule::of(&plan);
        let planned = deliveries(&plan, &schedule);
        let other = TopicId::of(khala_wire::topic::WORKER_SUMMARIES).expect("a topic");
        let of = |plan: &Plan, head, more| {
            let window = |head| Window { oldest: Some(1), head, budget: 3_000, tier: None };
            past(plan, &schedule, &[(TopicId::WORKER_EVENTS, window(head)), (other, window(more))])
        };
        let told = of(&plan, 587, 9).expect("it is much");
        let clients = subscribers(&plan, TopicId::WORKER_EVENTS);
        let others = subscribers(&plan, other);
        let events = format!("587 events of runtime.codex_worker_events to each of {clients} ");
        assert!(told.contains(&events), "{told}");
        assert!(told.contains(", 9 events of runtime.codex_worker_summaries to each"), "{told}");
        let replayed = format_count(587 * clients + 9 * others);
        let beside =
            format!("{replayed} deliveries beside the {} that this", format_count(planned));
        assert!(told.contains(&beside), "{told}");
        assert!(told.contains("fleet.first_subscribe = \"from-now\""), "{told}");
        // A tenth of what the run delivers anyway is not told, and a long past of few clients is.
        let tenth = planned / REPLAYED_SHARE / clients;
        assert!(of(&plan, tenth + 1, 0).is_some() && of(&plan, tenth - 1, 0).is_none());
        assert_eq!(of(&plan, 0, 0), None, "it has no past");
        let mut few = plan.clone();
        few.fleet.cohorts.iter_mut().for_each(|cohort| cohort.clients = 1);
        assert_eq!(of(&few, PAST_MIN - 1, 0), None, "few deliveries, whatever their share");
        assert!(of(&few, PAST_MIN, 0).is_some());
        few.fleet.first_subscribe = FirstSubscribe::FromNow;
        assert_eq!(of(&few, PAST_MIN, 0), None, "one client replays it");
    }

    #[test]
    fn where_no_cursor_has_a_place_is_told_before_the_load() {
        let plan = crate::testing::plan(include_str!("../../../../scenarios/cursor-bounds.toml"));
        let schedule = Schedule::of(&plan);
        // Until the clients are back: `fill` publishes 160, and four workers begin.
        let more = 164;
        let of = |oldest, head, budget| {
            // One on which none of its clients is says nothing of the others.
            let none = Window { oldest: Some(9), head: 999, budget: 1, tier: None };
            let window = Window { oldest, head, budget, tier: None };
            let windows = [(TopicId::WORKER_EVENTS, window), (TopicId::NOTIFICATIONS, none)];
            no_place(&plan, &schedule, &windows)
        };
        let told = |oldest, head, budget| {
            let told = of(oldest, head, budget);
            assert!(!told.is_empty(), "some have no place");
            told
        };
        let all = told(None, 0, more + 1);
        let [floor, budget] = &*all else { panic!("a sentence each, not {all:?}") };
        // A young target has pruned nothing, whatever it retains.
        assert!(floor.contains("cannot be told before the load"), "{floor}");
        assert!(
            floor.contains("Fault 1 (offline) will not reach a target that retains all"),
            "{floor}"
        );
        assert!(
            floor.contains(&format!("({more} of {})", TopicId::WORKER_EVENTS.name())),
            "{floor}"
        );
        assert!(!floor.contains("cannot be a GO") && !floor.contains("--retain"), "{floor}");
        assert!(budget.contains("this run cannot be a GO"), "{budget}");
        let where_to = "put beyond the replay budget or at the replay budget: ";
        assert!(budget.contains(where_to), "{budget}");
        assert!(budget.contains("faults 3 (offline), 4 (offline) will not"), "{budget}");
        // Each by itself: what has a floor, what goes beyond its budget, what just comes to it.
        let beyond = told(Some(4), 9, more + 10).concat();
        assert!(!beyond.contains("retention floor"), "{beyond}");
        assert!(beyond.contains("put beyond the replay budget"), "{beyond}");
        let below = told(Some(1), 9, more + 8).concat();
        assert!(below.contains("put below the retention floor cannot be told"), "{below}");
        assert!(below.contains(&format!("({} of ", more + 9)), "what is there counts: {below}");
        assert!(!below.contains("replay budget"), "{below}");
        let at = told(Some(4), 9, more + 9).concat();
        assert!(at.contains("put beyond the replay budget: unless others publish"), "{at}");
        assert!(
            of(Some(4), 9, more + 8).is_empty(),
            "it has a floor, and the run goes beyond the budget"
        );
        assert!(no_place(&plan, &schedule, &[]).is_empty(), "nobody knows what it retains");
        let smoke = crate::testing::plan(include_str!("../../../../scenarios/smoke.toml"));
        assert!(
            no_place(&smoke, &Schedule::of(&smoke), &[]).is_empty(),
            "it wants no cursor of its own"
        );
    }
}
