//! How the target stops: the last case, since nothing is there after it.

use crate::case::Area::Stop as StopArea;
use crate::case::{Case, Catch, Does, Need};
use crate::ctx::{Ctx, all_topics};
use crate::outcome::{Outcome, broken, kept, undecided};
use crate::peer::Ended;

pub const CASES: &[Case] =
    &[Case::must("graceful_stop", StopArea, "a stop says goodbye to every socket", |ctx| {
        Box::pin(graceful(ctx))
    })
    .says("3, closes", "Graceful stop: 1012 for joined sockets, 1000 for unjoined.")
    .does(Does::Ends)
    .needs(&[Need::Stop])
    .alone()
    .caught_by(&[Catch::Defect("wrong_close_code")])];

async fn graceful(ctx: &Ctx) -> Outcome {
    let mut joined = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let mut unjoined = ctx.open(&ctx.somebody(), &all_topics()).await?;
    let stop = ctx.world.stop.as_ref().ok_or_else(|| undecided("there is no way to stop it"))?;
    stop().map_err(undecided)?;
    let did = "Stopped the target, with one socket that had joined and one that had not.";
    let should = "The joined one should have been closed with 1012 and the other with 1000: clients come back by that.";
    let (one, other) = (joined.end(ctx.patience()).await, unjoined.end(ctx.patience()).await);
    let told =
        |ended: Option<&Ended>| ended.map_or_else(|| "it stayed open".to_owned(), Ended::told);
    match (&one, &other) {
        (Some(Ended::Closed(Some(1012))), Some(Ended::Closed(Some(1000)))) => {
            kept("1012 for the joined socket, 1000 for the other")
        }
        _ => broken(
            did,
            format!(
                "Of the joined one: {}. Of the other: {}.",
                told(one.as_ref()),
                told(other.as_ref())
            ),
            should,
        ),
    }
}
