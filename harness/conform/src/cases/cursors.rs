//! Cursors at each bound: head, zero, floor, budget, and beyond them.
//!
//! Bounds move when somebody publishes, so these are alone; where somebody else publishes, a refusal's own
//! figures say what it was measured by.

use khala_wire::message::event;

use super::window::{self, BUDGET, FLOOR, OVER_BUDGET, PRUNED, TRIES, Window};
use crate::case::Area::Cursors;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, all_topics, subscribe, watermark};
use crate::outcome::{Found, Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Msg, Peer, quote, word};

const BOUNDS: &str = "A cursor exactly at the floor, or a lag exactly at the budget, is fresh.";
const REASONS: &str = "Reasons: `retention_floor_breach` if cursor < oldest − 1 (checked first), else \
                       `replay_budget_exceeded` if head − cursor > budget.";

pub const CASES: &[Case] = &[
    Case::must("cursor_at_head", Cursors, "a cursor at head", |ctx| Box::pin(at_head(ctx)))
        .says("3, subscribe", "with nothing to replay there is no batch at all.")
        .alone()
        .caught_by(&[Catch::Defect("always_stale,1")]),
    Case::must("cursor_beyond_head", Cursors, "a cursor beyond head", |ctx| Box::pin(beyond(ctx)))
        .level(Level::Silent)
        .says(
            "3, subscribe",
            "A cursor beyond head is accepted and takes its value as the watermark (the contract is silent on it: \
             a finding).",
        )
        .alone(),
    Case::must("cursor_zero", Cursors, "cursor 0 is one like any other", |ctx| Box::pin(zero(ctx)))
        .says("3, stale cursor", "Checked only where a cursor is given; 0 counts as given.")
        .alone()
        .caught_by(&[Catch::Defect("ignore_floor"), Catch::Defect("wrong_reason")]),
    Case::must("cursor_at_floor", Cursors, "a cursor at the floor", |ctx| Box::pin(at_floor(ctx)))
        .says("3, stale cursor", BOUNDS)
        .alone()
        .caught_by(&[Catch::Defect("floor_too_strict")]),
    Case::must("floor_is_the_oldest", Cursors, "what comes first from the floor on", |ctx| {
        Box::pin(oldest(ctx))
    })
    .says("3, stale cursor", REASONS)
    .alone()
    .caught_by(&[Catch::Defect("replay_skips_one")]),
    Case::must("cursor_below_floor", Cursors, "a cursor one below the floor", |ctx| {
        Box::pin(below_floor(ctx))
    })
    .says("3, stale cursor", REASONS)
    .alone()
    .caught_by(&[
        Catch::Defect("floor_too_lax"),
        Catch::Defect("ignore_floor"),
        Catch::Defect("wrong_reason"),
        Catch::Proxy("checks_the_first_alone"),
    ]),
    Case::must("cursor_at_budget", Cursors, "as far behind as the budget allows", |ctx| {
        Box::pin(at_budget(ctx))
    })
    .says("3, stale cursor", BOUNDS)
    .alone()
    .caught_by(&[Catch::Defect("budget_too_strict")]),
    Case::must("cursor_beyond_budget", Cursors, "one further behind than the budget allows", |ctx| {
        Box::pin(beyond_budget(ctx))
    })
    .says("3, stale cursor", REASONS)
    .alone()
    .caught_by(&[
        Catch::Defect("budget_too_lax"),
        Catch::Defect("wrong_reason"),
        Catch::Proxy("checks_the_first_alone"),
    ]),
    Case::must("cursor_on_pruned_topic", Cursors, "a topic that retains nothing", |ctx| {
        Box::pin(pruned(ctx))
    })
    .says(
        "3, stale cursor",
        "A topic pruned empty has its head as floor: any lower cursor is stale.",
    )
    .alone()
    .caught_by(&[Catch::Defect("pruned_topic_accepted")]),
    Case::must("first_subscribe_never_stale", Cursors, "no cursor at all", |ctx| {
        Box::pin(without(ctx))
    })
    .says(
        "3, subscribe",
        "A topic without `resume_after` replays from the socket's own watermark, or 0, and is never stale.",
    )
    .alone()
    .caught_by(&[Catch::Defect("never_replay_complete")]),
];

/// A cursor that is stale must be refused as that, by a socket that is new and by one that was live on the topic before.
async fn refused_as(ctx: &Ctx, window: Window, cursor: u64, reason: &str, did: &str) -> Outcome {
    let (_, reply) = resume(ctx, window.topic, cursor).await?;
    let seen = match stale(&reply, window.topic, reason, &format!("{did}."))? {
        Found::Kept(seen) => seen,
        broken => return Ok(broken),
    };
    let mut used = ctx.join(&ctx.somebody(), &[window.topic]).await?;
    ctx.subscribe(&mut used, &[window.topic], &[(window.topic.to_owned(), window.head)]).await?;
    let payload = subscribe(&[window.topic], &[(window.topic.to_owned(), cursor)]);
    let reply = used.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    let did = format!("{did}, on a socket that had subscribed to it at its head.");
    match stale(&reply, window.topic, reason, &did)? {
        Found::Kept(_) => kept(format!("{seen}, by a new socket and by a used one")),
        broken => Ok(broken),
    }
}

/// What a subscribe with a cursor was answered, and by whom.
async fn resume(ctx: &Ctx, topic: &'static str, cursor: u64) -> Result<(Peer, Msg), Stop> {
    let mut peer = ctx.join(&ctx.somebody(), &[topic]).await?;
    let payload = subscribe(&[topic], &[(topic.to_owned(), cursor)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    Ok((peer, reply))
}

async fn at_head(ctx: &Ctx) -> Outcome {
    for _ in 0..TRIES {
        let Window { topic, head, .. } = window::of(ctx, EVENTS).await?;
        let (peer, reply) = resume(ctx, topic, head).await?;
        let did = format!("Resumed {topic} at its head, {head}.");
        let should = "It should have been answered ok, with nothing to replay and so no batch.";
        if let Some(stop) = window::overtaken(&reply, &[(topic, head)]) {
            return Err(stop);
        }
        if reply.status() != "ok" {
            return broken(
                did,
                format!("It was refused with {}.", quote(reply.response())),
                should,
            );
        }
        let delivered = peer.delivered(0);
        if let Some(old) = delivered.iter().find(|it| it.seq <= head) {
            return broken(
                did,
                format!("Seq {} came, which is not after the cursor.", old.seq),
                should,
            );
        }
        if !delivered.is_empty() {
            continue; // somebody published meanwhile
        }
        let batches = peer.log.iter().filter(|msg| msg.event == event::UPDATE_BATCH).count();
        return match batches {
            0 => kept(format!("at {head}, the reply came without a batch")),
            _ => broken(did, "An empty batch came before the reply.", should),
        };
    }
    Err(undecided("somebody publishes all the time, so that the head never stood still"))
}

async fn beyond(ctx: &Ctx) -> Outcome {
    let Window { topic, head, .. } = window::of(ctx, EVENTS).await?;
    let cursor = head + 1_000_000;
    let (_, reply) = resume(ctx, topic, cursor).await?;
    if reply.status() == "error" {
        return kept(format!("refused: {}", word(reply.code())));
    }
    let mark = watermark(reply.response(), topic);
    broken(
        format!("Resumed {topic} a million beyond its head."),
        match mark {
            Some(mark) if mark == cursor => {
                "It was accepted, and the socket stands there now: nothing that is published will come until the \
                 head is beyond it."
                    .to_owned()
            }
            Some(mark) => format!("It was accepted, and the socket stands at {mark}."),
            None => "It was accepted, and the reply does not say where the socket stands.".to_owned(),
        },
        "The contract does not say; a client whose cursor is of another log would rather be told.",
    )
}

async fn zero(ctx: &Ctx) -> Outcome {
    let window = window::of(ctx, EVENTS).await?;
    let Window { topic, floor, head, budget } = window;
    if head == 0 {
        let mend = Does::Writes.flag_beside(&ctx.world.allow);
        return Err(not_applicable("the topic has no event yet", &mend));
    }
    let (peer, reply) = resume(ctx, topic, 0).await?;
    let over = budget.is_some_and(|budget| head > budget);
    let did = format!("Resumed {topic} with cursor 0; floor {floor}, head {head}.");
    // It was fresh a moment ago.
    let was_shown = window::of(ctx, EVENTS).await?.floor == floor;
    if floor == 0 && !was_shown {
        return Err(undecided("retention began to take events meanwhile"));
    }
    if floor == 0 && !over {
        let should = "Cursor 0 is fresh here: everything from seq 1 on should have been replayed.";
        if reply.status() != "ok" {
            return broken(
                did,
                format!("It was refused with {}.", quote(reply.response())),
                should,
            );
        }
        let first = peer.delivered(0).iter().map(|it| it.seq).min();
        return match first {
            Some(1) => kept("cursor 0 is fresh here, and seq 1 was replayed"),
            // A failed insert leaves a hole.
            Some(first) if first <= head => kept(format!("replayed from seq {first} on")),
            _ => broken(did, "Nothing was replayed.", should),
        };
    }
    let reason = if floor > 0 { FLOOR } else { BUDGET };
    stale(&reply, topic, reason, &did)
}

/// Whether a subscribe was refused as stale for this reason.
fn stale(reply: &Msg, topic: &str, reason: &str, did: &str) -> Outcome {
    let should = format!(
        "It should have been refused as `stale_cursor`, for {topic} and because of `{reason}`: served, what lies \
         between is silently skipped."
    );
    match window::refused(reply, topic) {
        Some(it) if it.reason == reason => kept(format!("refused as stale: `{reason}`")),
        Some(it) => broken(did, format!("It was refused because of {}.", word(&it.reason)), should),
        None if reply.status() == "ok" => broken(did, "It was served.", should),
        None => broken(did, format!("It was refused with {}.", quote(reply.response())), should),
    }
}

async fn at_floor(ctx: &Ctx) -> Outcome {
    for _ in 0..TRIES {
        let lacks = "no topic has pruned anything, so that there is no floor to speak of";
        let (window, cursor) = window::first(ctx, Window::at_floor, lacks, PRUNED).await?;
        let (peer, reply) = resume(ctx, window.topic, cursor).await?;
        let did = format!("Resumed {} exactly at its floor, {cursor}.", window.topic);
        let should = "It should have been served: the next event is the oldest that is retained.";
        if let Some(it) = window::refused(&reply, window.topic) {
            if it.floor > cursor {
                continue; // the floor has moved on
            }
            return broken(did, format!("It was refused because of {}.", word(&it.reason)), should);
        }
        if reply.status() != "ok" {
            return broken(
                did,
                format!("It was refused with {}.", quote(reply.response())),
                should,
            );
        }
        return match peer.delivered(0).iter().map(|it| it.seq).min() {
            Some(first) if first <= cursor => {
                broken(did, format!("Seq {first} came, which is not after the cursor."), should)
            }
            _ => kept(format!("at the floor {cursor}, it was served")),
        };
    }
    Err(undecided("the floor moved on each time"))
}

/// The floor is `oldest − 1`: a later first event was pruned behind the floor, and whoever resumes there is
/// not told. Versions of documents may be skipped, hence the stream.
async fn oldest(ctx: &Ctx) -> Outcome {
    for _ in 0..TRIES {
        let window = window::of(ctx, EVENTS).await?;
        let lacks = "the workers' events have no floor that is within the replay budget";
        let floor = window.at_floor().ok_or_else(|| not_applicable(lacks, PRUNED))?;
        let (peer, reply) = resume(ctx, EVENTS, floor).await?;
        if reply.status() != "ok" {
            return Err(undecided(
                "a cursor at the floor was refused: `cursor_at_floor` says more",
            ));
        }
        let first = peer.delivered(0).iter().map(|it| it.seq).min();
        if first == Some(floor + 1) {
            return kept(format!("from the floor {floor} on, seq {} came first", floor + 1));
        }
        if window::of(ctx, EVENTS).await?.floor != floor {
            continue; // it has moved on
        }
        let came = first.map_or("Nothing was replayed.".to_owned(), |first| {
            format!("Seq {first} came first; nothing came of the {} before it.", first - floor - 1)
        });
        return broken(
            format!(
                "Resumed {EVENTS} exactly at its floor, {floor}, below its head, {}.",
                window.head
            ),
            came,
            format!(
                "Seq {} should have come first: a floor is one below the oldest event that is retained. If it is \
                 gone, the floor is told too low, and whoever resumes there skips events in silence.",
                floor + 1
            ),
        );
    }
    Err(undecided("the floor moved on each time"))
}

async fn below_floor(ctx: &Ctx) -> Outcome {
    let lacks = "no topic has pruned anything, so that no cursor is below a floor";
    let below =
        |window: &Window| window.floor.checked_sub(1).filter(|_| window.floor < window.head);
    let (window, cursor) = window::first(ctx, below, lacks, PRUNED).await?;
    let did = format!("Resumed {} at {cursor}, one below its floor", window.topic);
    refused_as(ctx, window, cursor, FLOOR, &did).await
}

async fn at_budget(ctx: &Ctx) -> Outcome {
    for _ in 0..TRIES {
        let lacks = "no topic retains as much as its replay budget, so that no lag is at it";
        let (window, cursor) = window::first(ctx, Window::at_budget, lacks, OVER_BUDGET).await?;
        let (_, reply) = resume(ctx, window.topic, cursor).await?;
        let budget = window.budget.unwrap_or_default();
        let did = format!(
            "Resumed {} exactly {budget} behind its head, as its budget allows.",
            window.topic
        );
        let should = "It should have been served.";
        if let Some(it) = window::refused(&reply, window.topic) {
            if it.lag > it.budget && it.head > window.head {
                continue; // somebody published meanwhile
            }
            let came =
                format!("It was refused because of {}, with lag {}.", word(&it.reason), it.lag);
            return broken(did, came, should);
        }
        return match reply.status() {
            "ok" => kept(format!("a lag of {budget} was served")),
            _ => broken(did, format!("It was refused with {}.", quote(reply.response())), should),
        };
    }
    Err(undecided("somebody publishes all the time, so that no lag stood still"))
}

async fn beyond_budget(ctx: &Ctx) -> Outcome {
    let lacks = "no topic retains more than its replay budget, so that no cursor is beyond it";
    let (window, cursor) = window::first(ctx, Window::beyond_budget, lacks, OVER_BUDGET).await?;
    let did =
        format!("Resumed {} one further behind its head than its budget allows", window.topic);
    refused_as(ctx, window, cursor, BUDGET, &did).await
}

async fn pruned(ctx: &Ctx) -> Outcome {
    let lacks = "no topic was pruned empty";
    let mend = "a target whose retention took all of a topic: the contract has no command that empties one";
    let empty = |window: &Window| window.head > 0 && window.floor == window.head;
    let below = |window: &Window| window.head.checked_sub(1).filter(|_| empty(window));
    let (window, cursor) = match window::first(ctx, below, lacks, mend).await {
        Err(stop @ Stop::NotApplicable { .. }) => return skipped(ctx).await?.ok_or(stop),
        found => found?,
    };
    let did = |cursor: u64| {
        let Window { topic, head, .. } = window;
        format!("Resumed {topic} at {cursor}; it is pruned empty, its head is {head}")
    };
    // 0 is one like any other, and has nothing else to go by on such a topic.
    let (_, reply) = resume(ctx, window.topic, 0).await?;
    match stale(&reply, window.topic, FLOOR, &format!("{}.", did(0)))? {
        Found::Kept(_) => refused_as(ctx, window, cursor, FLOOR, &did(cursor)).await,
        broken => Ok(broken),
    }
}

/// A topic whose cursor 0 is served with nothing, though something was there: where the target shows no windows it is by
/// this alone that one that was pruned empty can be told from one of which everything is retained.
async fn skipped(ctx: &Ctx) -> Result<Option<Found>, Stop> {
    if ctx.world.target.metrics(&ctx.world.http).await.is_ok() {
        return Ok(None);
    }
    for topic in all_topics() {
        let (peer, reply) = resume(ctx, topic, 0).await?;
        let head = watermark(reply.response(), topic).filter(|head| *head > 0);
        let Some(head) = head.filter(|_| peer.delivered(0).is_empty()) else { continue };
        let broken = broken(
            format!("Resumed {topic} with cursor 0."),
            format!("It was served with nothing, and stands at {head}."),
            "Where nothing of a topic is retained its head is its floor, and cursor 0 should have been refused as \
             `stale_cursor`; where something is, it should have come. Served with nothing, all of it is silently skipped.",
        );
        return broken.map(Some);
    }
    Ok(None)
}

async fn without(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    let did = format!("Subscribed to {EVENTS} without a cursor.");
    let should = "It should have been served, from the oldest event that is retained on.";
    match peer.try_ask(event::SUBSCRIBE, &subscribe(&[EVENTS], &[]), 6 * ctx.patience()).await {
        Ok(msg) if msg.status() == "ok" => kept("served"),
        Ok(msg) => broken(did, format!("It was refused with {}.", quote(msg.response())), should),
        Err(came) => broken(did, format!("Then {came}."), should),
    }
}
