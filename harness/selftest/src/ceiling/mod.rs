//! `selftest --ceiling`: what the generator can carry on this machine before it is unfit.
//!
//! Each step is a real run, in a process of its own, against a null server in another; the rules that
//! judge any run's generator judge it. The first is of the size that such a machine carries, about; the
//! others close in on the answer ([`mod@search`]).
//! A ceiling is an answer about this machine as it was: whatever else runs on it, the null server
//! among it, takes its share.

mod outcome;
mod process;
mod search;
mod step;

use std::time::Duration;

use anyhow::Context as _;

use self::outcome::{Ceiling, End};
use self::search::Search;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::{Args, output, signals};

/// More steps than any machine takes.
const STEPS_MAX: u32 = 24;

/// Finds the ceiling, and writes `ceiling.json` and `ceiling.md`.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&selftest.out_dir)
        .with_context(|| format!("cannot make {}", selftest.out_dir.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let ceiling = runtime.block_on(search(selftest))?;
    write(selftest, &ceiling)?;
    output::verdict(ceiling.table().as_bytes());
    let exit = match ceiling.end {
        End::Interrupted => Exit::Interrupted,
        End::Failed { .. } if ceiling.last_fit().is_none() => Exit::Setup,
        _ if ceiling.last_fit().is_none() => Exit::Hold,
        _ => Exit::Go,
    };
    Ok(exit)
}

async fn search(selftest: &Args) -> Result<Ceiling, Failure> {
    let interrupted = signals::quiet_token().context("cannot handle signals")?;
    let until = clock::now() + selftest.max_time;
    let mut ceiling = Ceiling::new(khala_bundle::this_host(), selftest.max_time);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut search = Search::on(cores);
    for number in 1..=STEPS_MAX {
        let Some(clients) = search.next() else {
            ceiling.end = ceiling.found();
            return Ok(ceiling);
        };
        let size = step::Size::of(clients);
        if clock::now() + size.takes() > until {
            ceiling.end = End::Time;
            return Ok(ceiling);
        }
        output::say(&format!(
            "step {number}: {} clients, about {:.0} s",
            size.clients,
            size.takes().as_secs_f64()
        ));
        let left = until.saturating_duration_since(clock::now());
        let tried = tokio::select! {
            () = interrupted.cancelled() => {
                ceiling.end = End::Interrupted;
                return Ok(ceiling);
            }
            tried = tokio::time::timeout(left, step::run(number, size, &selftest.out_dir)) => tried,
        };
        let step = match tried {
            Err(_) => {
                ceiling.end = End::Late { step: number };
                return Ok(ceiling);
            }
            Ok(Err(error)) => {
                ceiling.end = End::Failed { step: number, why: format!("{error:#}") };
                return Ok(ceiling);
            }
            Ok(Ok(step)) => step,
        };
        let fit = step.unfit.is_empty();
        search.tried(clients, fit, step.hottest_thread);
        let behind = fit && step.null_server_behind();
        ceiling.steps.push(step);
        // Whoever ends this early has what there is.
        write(selftest, &ceiling)?;
        if behind {
            ceiling.end = End::NullServer { step: number };
            return Ok(ceiling);
        }
    }
    Ok(ceiling)
}

fn write(selftest: &Args, ceiling: &Ceiling) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(ceiling).context("a rendering failed")?;
    json.push(b'\n');
    khala_bundle::write(&selftest.out_dir, "ceiling.json", &json)?;
    khala_bundle::write(&selftest.out_dir, "ceiling.md", ceiling.markdown().as_bytes())?;
    Ok(())
}

/// How long a process may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);
