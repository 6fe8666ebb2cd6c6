//! Unsubscribes: their reply, and that nothing follows it.

use std::time::Duration;

use futures_util::future;
use khala_wire::message::event;
use serde_json::json;

use crate::case::Area::Unsubscribe;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Ctx, EVENTS, SUMMARIES};
use crate::outcome::{Outcome, Stop, broken, kept};
use crate::peer::quote;

const SAYS: &str = "`sync:unsubscribe {\"topics\":[…]}` → ok `{\"subscription_id\",\"topics\":[those that remain]}`; \
                    nothing of the topic may follow that reply.";
/// Clients that unsubscribe, spread over the publishes.
const CLIENTS: u32 = 6;

pub const CASES: &[Case] = &[
    Case::must("unsubscribe_reply", Unsubscribe, "what an unsubscribe is answered", |ctx| {
        Box::pin(reply(ctx))
    })
    .says("3, subscribe", SAYS)
    .caught_by(&[Catch::Proxy("forgets_topics")]),
    Case::must(
        "unsubscribe_under_load",
        Unsubscribe,
        "nothing follows the reply, while events are published",
        |ctx| Box::pin(under_load(ctx)),
    )
    .says("3, subscribe", SAYS)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("after_unsubscribe")]),
];

async fn reply(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let did = format!("Unsubscribed from {EVENTS}, with {SUMMARIES} subscribed too.");
    let should = format!("It should have been answered ok, with {SUMMARIES} as what remains.");
    let list = json!({ "topics": [EVENTS] });
    match peer.try_ask(event::UNSUBSCRIBE, &list, ctx.patience()).await {
        Ok(msg) if msg.status() == "ok" && msg.response()["topics"] == json!([SUMMARIES]) => {
            kept("answered ok, with the topic that remains")
        }
        Ok(msg) => broken(did, format!("It answered {}.", quote(&msg.payload)), should),
        Err(came) => broken(did, format!("Then {came}."), should),
    }
}

async fn under_load(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let mut peers = Vec::new();
    for _ in 0..CLIENTS {
        peers.push(ctx.live(&[EVENTS]).await?);
    }
    let publishing = async {
        for _ in 0..60 {
            worker.publish(ctx, 1).await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, Stop>(())
    };
    let leaving = peers.iter_mut().zip(1..).map(|(peer, nth): (_, u32)| async move {
        // At a different moment each.
        peer.listen(Duration::from_millis(60) * nth).await;
        let list = json!({ "topics": [EVENTS] });
        let reply = peer.ask_ok(event::UNSUBSCRIBE, list, ctx.patience()).await?;
        let at = peer.log.iter().position(|msg| msg.msg_ref == reply.msg_ref);
        peer.listen(Duration::from_millis(700)).await;
        Ok::<_, Stop>(peer.delivered(at.unwrap_or_default()).first().map(|it| it.seq))
    });
    let (published, after) = future::join(publishing, future::try_join_all(leaving)).await;
    let after = after?;
    published?;
    let late: Vec<u64> = after.into_iter().flatten().collect();
    match late.first() {
        None => {
            kept(format!("{CLIENTS} clients unsubscribed among 60 events, and nothing followed"))
        }
        Some(seq) => broken(
            format!(
                "{CLIENTS} clients unsubscribed from {EVENTS}, one after the other, while events were published."
            ),
            format!("After the reply came seq {seq}, of {} clients.", late.len()),
            "Nothing of the topic should have followed the reply.",
        ),
    }
}
