//! Where a topic's floor, head and budget are, as the target itself says.

use khala_engine::target::window::windows;
use khala_plan::model::TopicSettings;
use khala_wire::message::event;
use khala_wire::topic::{KNOWN, TopicId};
use serde_json::Value;

use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe, watermark};
use crate::outcome::{Stop, not_applicable, undecided};
use crate::peer::Msg;

/// How often a bound is tried again, where somebody else's events moved it meanwhile.
pub const TRIES: u32 = 5;

/// A topic's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The topic.
    pub topic: &'static str,
    /// Lowest cursor that retention still serves.
    pub floor: u64,
    /// Its head.
    pub head: u64,
    /// Its replay budget; `None` where nobody says.
    pub budget: Option<u64>,
}

impl Window {
    /// The cursor that is exactly as far behind as the budget allows, where retention reaches so far.
    #[must_use]
    pub fn at_budget(&self) -> Option<u64> {
        self.head.checked_sub(self.budget?).filter(|cursor| *cursor >= self.floor)
    }

    /// The cursor that is one further behind, where retention reaches so far.
    #[must_use]
    pub fn beyond_budget(&self) -> Option<u64> {
        self.head.checked_sub(self.budget?.checked_add(1)?).filter(|cursor| *cursor >= self.floor)
    }

    /// The floor, where something was pruned and it is within the budget.
    #[must_use]
    pub fn at_floor(&self) -> Option<u64> {
        let within = self.budget.is_none_or(|budget| self.head - self.floor < budget);
        (self.floor > 0 && self.floor < self.head && within).then_some(self.floor)
    }

    /// Any cursor that is stale.
    #[must_use]
    pub fn stale(&self) -> Option<u64> {
        self.floor.checked_sub(1).or_else(|| self.beyond_budget())
    }
}

/// One topic of a refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its reason.
    pub reason: String,
    /// Floor, head, budget and lag as it says.
    pub floor: u64,
    /// See above.
    pub head: u64,
    /// See above.
    pub budget: u64,
    /// See above.
    pub lag: u64,
}

/// What a refusal as stale says of a topic.
#[must_use]
pub fn refused(msg: &Msg, topic: &str) -> Option<Refused> {
    let response = msg.response();
    if msg.status() != "error" || response["code"] != "stale_cursor" {
        return None;
    }
    let row = response["stale_topics"].as_array()?.iter().find(|row| row["topic"] == topic)?;
    let number = |name: &str| row.get(name).and_then(Value::as_u64);
    Some(Refused {
        reason: row.get("reason")?.as_str()?.to_owned(),
        floor: number("retention_floor")?,
        head: number("head_watermark")?,
        budget: number("replay_budget_events")?,
        lag: number("replay_lag")?,
    })
}

/// Why a subscribe was refused for which the target is not to blame: retention has taken what a cursor of ours stood
/// before, or others' events have carried the head beyond the replay budget. Where floor and head are by then the
/// refusal says.
#[must_use]
pub fn overtaken(msg: &Msg, cursors: &[(&str, u64)]) -> Option<Stop> {
    let passed = cursors.iter().find_map(|&(topic, cursor)| {
        let it = refused(msg, topic)?;
        let behind = it.head.saturating_sub(cursor);
        let below = it.reason == FLOOR && it.floor > cursor;
        let beyond = it.reason == BUDGET && behind > it.budget && it.lag == behind;
        (below || beyond).then_some((topic, cursor, behind, it))
    });
    let (topic, cursor, behind, it) = passed?;
    Some(undecided(match it.reason == FLOOR {
        true => format!(
            "on the way, retention took what had been published for it: it resumed {topic} at {cursor}, and the floor was \
             {} by then. A target that retains more than {behind} events of that topic decides it",
            it.floor
        ),
        false => format!(
            "on the way, what was published carried the head beyond the replay budget: it resumed {topic} at {cursor}, and \
             the head was {} by then, {behind} further. A target with a budget of more than {behind} events of that topic \
             decides it",
            it.head
        ),
    }))
}

/// The reason of a refusal below the floor.
pub const FLOOR: &str = "retention_floor_breach";
/// The reason of a refusal beyond the budget.
pub const BUDGET: &str = "replay_budget_exceeded";

/// How many events of a topic are there at once: as the profile says, else as many as were left where some were taken;
/// none where nobody says.
///
/// # Errors
/// Undecided, where the target tells nothing of the topic.
pub async fn room(ctx: &Ctx, topic: &'static str) -> Result<Option<u64>, Stop> {
    let told = TopicId::of(topic).and_then(|id| ctx.world.plan.target.retains.get(&id));
    if let Some(retained) = told.and_then(|it| it.retain_events) {
        return Ok(Some(retained));
    }
    let window = of(ctx, topic).await?;
    Ok((window.floor > 0).then(|| window.head - window.floor))
}

/// The window of a topic: by the target's metrics, else by what it answers to cursor 0, and what it says in neither as its
/// profile has it.
///
/// # Errors
/// Undecided, where it answers neither.
pub async fn of(ctx: &Ctx, topic: &'static str) -> Result<Window, Stop> {
    if let Ok(reply) = ctx.world.target.metrics(&ctx.world.http).await {
        let found = windows(&reply.document).into_iter().find(|(id, _)| id.name() == topic);
        if let Some((_, window)) = found {
            let (floor, head) = (window.floor(), window.head);
            return Ok(Window { topic, floor, head, budget: Some(window.budget) });
        }
    }
    let mut peer = ctx.join(&ctx.somebody(), &[topic]).await?;
    let payload = subscribe(&[topic], &[(topic.to_owned(), 0)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    if let Some(it) = refused(&reply, topic) {
        return Ok(Window { topic, floor: it.floor, head: it.head, budget: Some(it.budget) });
    }
    let head = watermark(reply.response(), topic)
        .ok_or_else(|| undecided("the answer to cursor 0 says nothing of the topic"))?;
    let told = TopicId::of(topic).and_then(|id| ctx.world.plan.target.retains.get(&id));
    Ok(served(topic, head, told))
}

/// The window of a topic whose cursor 0 is served: as its profile has it, else nothing is pruned and no budget is known.
fn served(topic: &'static str, head: u64, told: Option<&TopicSettings>) -> Window {
    let retained = told.and_then(|it| it.retain_events);
    Window {
        topic,
        floor: retained.map_or(0, |retained| head.saturating_sub(retained)),
        head,
        budget: told.and_then(|it| it.replay_budget_events),
    }
}

/// The first topic whose window gives such a cursor, with it.
///
/// # Errors
/// Not applicable, where there is none: `lacks` says what, `mend` what would help.
pub async fn first(
    ctx: &Ctx,
    cursor: impl Fn(&Window) -> Option<u64>,
    lacks: &str,
    mend: &str,
) -> Result<(Window, u64), Stop> {
    let others =
        KNOWN.iter().map(|topic| topic.name).filter(|it| ![EVENTS, SUMMARIES].contains(it));
    for topic in [EVENTS, SUMMARIES].into_iter().chain(others) {
        let window = of(ctx, topic).await?;
        if let Some(cursor) = cursor(&window) {
            return Ok((window, cursor));
        }
    }
    Err(not_applicable(lacks, mend))
}

/// What would give a topic a floor.
pub const PRUNED: &str = "a target whose retention has pruned something, such as `khala-harness reference --retain \
                          runtime.codex_worker_events=20` with some more events published";
/// What would put a cursor beyond a budget.
pub const OVER_BUDGET: &str = "a target that retains more than its replay budget, such as `khala-harness reference \
                               --replay-budget runtime.codex_worker_summaries=10` with some more events published";

#[cfg(test)]
mod tests {
    use khala_wire::frame::Vsn;

    use super::*;

    fn window(floor: u64, head: u64, budget: Option<u64>) -> Window {
        Window { topic: EVENTS, floor, head, budget }
    }

    #[test]
    fn who_was_overtaken_on_the_way_is_not_told_so_by_a_refusal_that_does_not_hold() {
        let told = |reason: &str, floor: u64, head: u64, budget: u64, lag: u64| {
            let row = serde_json::json!({
                "topic": EVENTS, "reason": reason, "retention_floor": floor, "head_watermark": head,
                "replay_budget_events": budget, "replay_lag": lag,
            });
            let response = serde_json::json!({ "code": "stale_cursor", "stale_topics": [row] });
            let payload = serde_json::json!({ "status": "error", "response": response });
            let text = serde_json::json!(["1", "2", "sync:v1", "phx_reply", payload]).to_string();
            overtaken(&Msg::read(Vsn::V2, &text), &[(EVENTS, 40)]).is_some()
        };
        assert!(told(FLOOR, 41, 60, 60, 20), "below the floor by then");
        assert!(!told(FLOOR, 40, 60, 60, 20), "at the floor");
        assert!(told(BUDGET, 0, 101, 60, 61), "beyond the budget by then");
        assert!(!told(BUDGET, 0, 100, 60, 60), "at the budget");
        assert!(!told(BUDGET, 0, 60, 60, 61), "by a lag that is another");
        assert!(!told("other", 41, 101, 60, 61));
    }

    #[test]
    fn what_a_target_does_not_show_is_as_its_profile_has_it() {
        let told = TopicSettings { retain_events: Some(20), replay_budget_events: Some(30) };
        assert_eq!(served(EVENTS, 60, Some(&told)), window(40, 60, Some(30)));
        assert_eq!(served(EVENTS, 15, Some(&told)), window(0, 15, Some(30)));
        assert_eq!(served(EVENTS, 60, None), window(0, 60, None));
    }

    #[test]
    fn a_bound_is_there_only_where_retention_and_budget_leave_it() {
        let pruned = window(40, 60, Some(3_000));
        assert_eq!(
            (pruned.at_floor(), pruned.at_budget(), pruned.stale()),
            (Some(40), None, Some(39))
        );
        let deep = window(0, 60, Some(20));
        assert_eq!(
            (deep.at_floor(), deep.at_budget(), deep.beyond_budget()),
            (None, Some(40), Some(39))
        );
        assert_eq!(deep.stale(), Some(39));
        let both = window(10, 60, Some(20));
        assert_eq!((both.at_floor(), both.at_budget()), (None, Some(40)));
        let fresh = window(0, 60, None);
        assert_eq!((fresh.at_floor(), fresh.at_budget(), fresh.stale()), (None, None, None));
        assert_eq!(window(60, 60, Some(5)).at_floor(), None, "pruned empty");
    }
}
