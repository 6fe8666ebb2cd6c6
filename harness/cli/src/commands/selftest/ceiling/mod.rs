//! `selftest --ceiling`: what the generator can carry on this machine before it is unfit.
//!
//! Each step is a real run of the next larger scenario, in a process of its own, against a null server
//! in another; the rules that judge any run's generator judge it. The first unfit step ends the search.
//! A ceiling is an answer about this machine as it was: whatever else runs on it, the null server
//! among it, takes its share.

mod outcome;
mod process;
mod step;

use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::outcome::{Ceiling, End, Step};
use crate::exit::{Exit, Failure};
use crate::{args, bundle, host, output, signals};

/// Clients of the first step.
const CLIENTS_FIRST: f64 = 100.0;
/// From one step's clients to the next's; with a constant rate of publishes, deliveries grow alike.
const GROWTH: f64 = 1.5;
/// More steps than any machine takes: the hundredfold of what has ports.
const STEPS_MAX: u32 = 24;

/// Finds the ceiling, and writes `ceiling.json` and `ceiling.md`.
pub fn run(selftest: &args::Selftest) -> Result<Exit, Failure> {
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

async fn search(selftest: &args::Selftest) -> Result<Ceiling, Failure> {
    let interrupted = signals::quiet_token().context("cannot handle signals")?;
    let until = Instant::now() + selftest.max_time;
    let mut ceiling = Ceiling::new(host::this(), selftest.max_time);
    for number in 1..=STEPS_MAX {
        let size = step::Size::of(clients_of(number));
        if Instant::now() + size.takes() > until {
            ceiling.end = End::Time;
            return Ok(ceiling);
        }
        output::say(&format!(
            "step {number}: {} clients, about {:.0} s",
            size.clients,
            size.takes().as_secs_f64()
        ));
        let left = until.saturating_duration_since(Instant::now());
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
        let end = end_of(&step);
        ceiling.steps.push(step);
        // Whoever ends this early has what there is.
        write(selftest, &ceiling)?;
        if let Some(end) = end {
            ceiling.end = end;
            return Ok(ceiling);
        }
    }
    Ok(ceiling)
}

fn end_of(step: &Step) -> Option<End> {
    let number = step.step;
    if !step.unfit.is_empty() {
        return Some(End::Unfit { step: number, null_server_late: step.null_server_late() });
    }
    step.null_server_behind().then_some(End::NullServer { step: number })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "100 × 1.5^23 at most")]
fn clients_of(step: u32) -> u32 {
    (CLIENTS_FIRST * GROWTH.powi(i32::try_from(step).unwrap_or(i32::MAX) - 1)).round() as u32
}

fn write(selftest: &args::Selftest, ceiling: &Ceiling) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(ceiling).context("a rendering failed")?;
    json.push(b'\n');
    bundle::write(&selftest.out_dir, "ceiling.json", &json)?;
    bundle::write(&selftest.out_dir, "ceiling.md", ceiling.markdown().as_bytes())?;
    Ok(())
}

/// How long a process may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_by_half() {
        let clients: Vec<_> = (1..=5).map(clients_of).collect();
        assert_eq!(clients, [100, 150, 225, 338, 506]);
    }
}
