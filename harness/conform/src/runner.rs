//! Runs cases: some at a time, each in a limited time, and gives their results in the registry's order.

use khala_engine::clock;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt as _, future, stream};
use tokio_util::sync::CancellationToken;

use crate::case::{Area, Case, Does, Takes};
use crate::cases;
use crate::ctx::Ctx;
use crate::outcome::{Broken, Found, Outcome, Stop, undecided};
use crate::report::{CaseResult, Status};
use crate::stop_workers;
use crate::world::World;

/// Cases that run beside one another.
const AT_ONCE: usize = 8;
/// Cases that wait for a time-out beside one another: they hardly do anything.
const WAITING_AT_ONCE: usize = 32;

/// Runs the cases; `told` hears of each result as it comes.
///
/// Those that wait for a time-out of the target's wait beside all others. What must be alone is alone with
/// them, and so is what could not be carried out beside others (one more event, and a cursor is stale), the second
/// time that it is asked; what ends the target comes last.
pub async fn run(
    world: &Rc<World>,
    cases: &[(usize, &'static Case)],
    interrupt: &CancellationToken,
    told: &dyn Fn(&CaseResult),
) -> (Vec<CaseResult>, Vec<String>) {
    let waits = |case: &Case| case.takes != Takes::Moments && !case.alone;
    let of = |fits: &dyn Fn(&Case) -> bool| -> Vec<(usize, &'static Case)> {
        cases.iter().filter(|(_, case)| fits(case)).copied().collect()
    };
    let ends = |case: &Case| case.does == Does::Ends;
    let ask = |(index, case), again| async move {
        (index, ask(world, case, index, again, interrupt).await)
    };
    let one = |asked| async move {
        let (index, result) = ask(asked, false).await;
        told(&result);
        (index, result)
    };
    let group = |cases: Vec<(usize, &'static Case)>, at_once: usize| {
        stream::iter(cases).map(one).buffer_unordered(at_once).collect::<Vec<_>>()
    };
    let waiting = group(of(&|case| waits(case) && !ends(case)), WAITING_AT_ONCE);
    let others = async {
        let beside = of(&|case| !case.alone && !waits(case) && !ends(case));
        let first = |asked| ask(asked, false);
        let first: Vec<_> =
            stream::iter(beside).map(first).buffer_unordered(AT_ONCE).collect().await;
        let mut results = Vec::with_capacity(first.len());
        for (index, result) in first {
            // Where it is in vain to wait for what is published, it is the second time, too.
            let may = !interrupt.is_cancelled() && !world.waits_in_vain();
            let undecided = result.status == Status::Undecided && may;
            let case = cases.iter().find(|(it, _)| undecided && *it == index);
            let (index, result) = match case {
                Some(&asked) => ask(asked, true).await,
                None => (index, result),
            };
            told(&result);
            results.push((index, result));
        }
        results.extend(group(of(&|case| case.alone && !ends(case)), 1).await);
        results
    };
    let (mut results, others) = future::join(waiting, others).await;
    results.extend(others);
    // While there is still somebody who stops them.
    let remains = stop_workers(world).await;
    results.extend(group(of(&ends), 1).await);
    results.sort_by_key(|(index, _)| *index);
    (results.into_iter().map(|(_, result)| result).collect(), remains)
}

async fn ask(
    world: &Rc<World>,
    case: &'static Case,
    index: usize,
    again: bool,
    interrupt: &CancellationToken,
) -> CaseResult {
    let start = clock::now();
    let outcome = match ruled_out(world, case) {
        Some(stop) => Err(stop),
        None => {
            let number = index + if again { cases::all().len() } else { 0 };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let ctx = Ctx::new(Rc::clone(world), case.id, number, again);
            in_time(&ctx, case, interrupt).await
        }
    };
    CaseResult::new(case, outcome, clock::now().saturating_duration_since(start).as_secs_f64())
}

async fn in_time(ctx: &Ctx, case: &Case, interrupt: &CancellationToken) -> Outcome {
    let asking = async {
        tokio::select! {
            outcome = (case.ask)(ctx) => outcome,
            why = ctx.gives_up() => Err(why),
        }
    };
    // On the heap, as cases are: what all of them hold is moved about.
    let excuse =
        async { if case.area == Area::Slow { None } else { Box::pin(ctx.outrun()).await } };
    within(ctx.times().limit(case.takes), interrupt, asking, excuse).await
}

/// What comes of a case, with what may excuse a breach: it asks the target, too, and so has no time beyond the case's and
/// ends with it at an interrupt. A breach of which that is not known by then is undecided.
async fn within(
    limit: Duration,
    interrupt: &CancellationToken,
    asking: impl Future<Output = Outcome>,
    excuse: impl Future<Output = Option<Stop>>,
) -> Outcome {
    let mut breach = None;
    let asked = tokio::time::timeout(limit, async {
        let outcome = asking.await;
        breach = breach_of(&outcome).map(|it| it.came.clone());
        if breach.is_some() { excuse.await.map_or(outcome, Err) } else { outcome }
    });
    let ended = interrupt.run_until_cancelled(asked).await;
    let late = match ended {
        Some(Ok(outcome)) => return outcome,
        None => "it was interrupted".to_owned(),
        Some(Err(_)) => format!("it did not come to its end within {limit:?}"),
    };
    Err(undecided(match breach {
        None => late,
        Some(breach) => {
            format!("{late}, before it was known whether something excuses this: {breach}")
        }
    }))
}

/// How the contract was broken, if it was.
fn breach_of(outcome: &Outcome) -> Option<&Broken> {
    match outcome {
        Ok(Found::Broken(breach)) | Err(Stop::Broken(breach)) => Some(breach),
        _ => None,
    }
}

/// Why a case cannot be asked here.
fn ruled_out(world: &World, case: &Case) -> Option<Stop> {
    let not = |why: String, mend: String| Some(Stop::NotApplicable { why, mend });
    // What ends the target is allowed by saying how.
    if case.does != Does::Ends && !world.allow.contains(&case.does) {
        return not(
            format!("it {}, which is not allowed", told(case.does)),
            case.does.flag_beside(&world.allow),
        );
    }
    let waits = world.times.waits(case.takes);
    if waits > world.wait_max {
        let mend = format!("--max-wait {}s", waits.as_secs());
        return not(format!("it waits {waits:?} for a time-out of the target's"), mend);
    }
    let (why, mend) = case.needs.iter().find_map(|&need| world.lacks(need))?;
    not(why, mend)
}

fn told(does: Does) -> &'static str {
    match does {
        Does::Reads => "reads",
        Does::Writes => "publishes events",
        Does::Revokes => "revokes sessions that it made up",
        Does::Abuses => "publishes much and does not read",
        Does::Ends => "ends the target",
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::outcome::broken;

    /// Longer than anything here takes, by a clock that only waits move.
    const LONG: Duration = Duration::from_secs(3_600);

    /// What comes of a breach that nobody can tell whether it is excused; an interrupt comes after so long.
    fn undecided_after(limit: Duration, interrupt_after: Duration) -> String {
        let mut clock = tokio::runtime::Builder::new_current_thread();
        let clock = clock.enable_time().start_paused(true).build().expect("a runtime");
        clock.block_on(async {
            let interrupt = CancellationToken::new();
            let asked = within(limit, &interrupt, ready(broken("d", "c", "s")), pending());
            let interrupts = async {
                tokio::time::sleep(interrupt_after).await;
                interrupt.cancel();
                pending::<()>().await;
            };
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(LONG, asked) => outcome.expect("it has an end"),
                () = interrupts => unreachable!("it waits on"),
            };
            match outcome {
                Err(Stop::Undecided(why)) => why,
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn what_may_excuse_a_breach_is_waited_for_within_the_cases_time_and_until_an_interrupt() {
        let (soon, late) = (Duration::from_secs(5), Duration::from_secs(60));
        let open = ", before it was known whether something excuses this: c";
        let overdue = format!("it did not come to its end within 5s{open}");
        assert_eq!(undecided_after(soon, late), overdue);
        assert_eq!(undecided_after(late, soon), format!("it was interrupted{open}"));
    }

    #[test]
    fn a_breach_that_nothing_excuses_stands_and_what_is_kept_asks_for_no_excuse() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let never = CancellationToken::new();
            let breach = within(LONG, &never, ready(broken("d", "c", "s")), ready(None)).await;
            assert!(breach_of(&breach).is_some());
            let excused = ready(Some(undecided("why")));
            let excused = within(LONG, &never, ready(broken("d", "c", "s")), excused).await;
            assert_eq!(excused, Err(undecided("why")));
            let kept = ready(crate::outcome::kept("k"));
            assert!(within(LONG, &never, kept, pending()).await.is_ok());
        });
    }
}
