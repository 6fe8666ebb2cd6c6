//! `doctor`: what a target gives and lacks, before anything is run against it.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use khala_engine::command;
use khala_engine::doctor::{self, Came, Line, Options};
use khala_plan::{Plan, Schedule, resolved};

use crate::exit::{Exit, Failure};
use crate::{args, output, scenario, setup, signals};

/// Examines a target.
pub fn run(doctor: &args::Doctor) -> Result<Exit, Failure> {
    let plan = scenario::load(&doctor.scenario())?.plan;
    if !doctor.allow_hooks {
        setup::no_secret_commands(&plan, "--allow-hooks lets it run")?;
    }
    let guard = Arc::new(scenario::guard(&doctor.scenario())?.waiting());
    let schedule = Schedule::of(&plan);
    let options = Options {
        guard,
        writes: doctor.allow_writes,
        waits: doctor.time_outs,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        id: format!("{:08x}", rand::random::<u32>()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let (mut printed, mut lines) = (Ok(()), Vec::new());
    let sound = runtime.block_on(async {
        let stopped = signals::quiet_token().context("cannot handle signals")?;
        let mut told = |line| {
            if printed.is_ok() {
                printed = output::print(text(&line).as_bytes());
            }
            lines.push(line);
        };
        let examined = doctor::examine(&plan, &schedule, &options, &mut told);
        anyhow::Ok(stopped.run_until_cancelled(examined).await)
    });
    // A look-up that hangs is not waited for.
    runtime.shutdown_background();
    let Some(mut sound) = sound? else {
        output::say("interrupted: nothing more is tried");
        return Ok(Exit::Interrupted);
    };
    printed?;
    for line in wanted(&plan, doctor).into_iter().chain([disk(&plan, &schedule)]) {
        sound &= line.came != Came::Wrong;
        output::print(text(&line).as_bytes())?;
    }
    if let Some(path) = &doctor.write_profile {
        if command::told_plan(&plan).target != plan.target {
            let what = format!(
                "{} would hold a secret in clear: in a header or a parameter of the target write `{{ env = \"NAME\" }}`, and \
                 let a command read it itself",
                path.display()
            );
            return Err(Failure::new(Exit::InvalidScenario, what));
        }
        let (filled, comments) = doctor::filled(&plan, &lines);
        let mut text =
            resolved::target_profile(&filled).context("the profile cannot be written as TOML")?;
        comments.iter().for_each(|line| text.push_str(&format!("# {line}\n")));
        write_new(path, &text).map_err(|error| {
            if error.kind() != ErrorKind::AlreadyExists {
                return Failure::unwritten("write", path, &error);
            }
            let why = "it is there already: name another file, or remove it";
            Failure::new(Exit::Setup, format!("cannot write {}: {why}", path.display()))
        })?;
        output::say(&format!(
            "the target profile is {}: --target {}",
            path.display(),
            path.display()
        ));
    }
    if sound {
        return Ok(Exit::Go);
    }
    Err(Failure::new(Exit::Setup, "no run can begin: see the lines that begin with FAIL"))
}

/// Writes a file that is not there yet: a profile may have been worked on.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}

/// What a run does not begin without, and that is no key of the target: flags that `run` takes. Who gives them here will
/// give them there.
fn wanted(plan: &Plan, doctor: &args::Doctor) -> Vec<Line> {
    let flags = setup::Missing::flags(plan, doctor.allow_hooks, doctor.allow_shared_writes);
    let wanted = flags.into_iter().map(|seen| Line {
        what: "for this scenario",
        tried: "what a run wants beside it".to_owned(),
        came: Came::Wrong,
        seen,
        advice: "give that to `khala-harness run`, and here too, to be told whether a run so begun can begin".to_owned(),
        facts: Vec::new(),
    });
    wanted.collect()
}

/// Whether there is room for a run's evidence where runs keep it by default.
fn disk(plan: &Plan, schedule: &Schedule) -> Line {
    const MIB: u64 = 1 << 20;
    let dir = Path::new(args::RUNS);
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let (needed, room) = khala_bundle::room_for(plan, schedule, there);
    let (came, seen, advice) = match room {
        None => (Came::Less, "nobody says how much is free".to_owned(), ""),
        Some(room) if room < needed => (
            Came::Wrong,
            format!("{} MiB free; a run may need {} MiB", room / MIB, needed.div_ceil(MIB)),
            "make room, or keep the evidence elsewhere with --out-dir",
        ),
        Some(room) => (
            Came::Good,
            format!("{} MiB free; a run may need {} MiB", room / MIB, needed.div_ceil(MIB)),
            "",
        ),
    };
    let tried = format!("room for evidence in {}", args::RUNS);
    Line { what: "disk", tried, came, seen, advice: advice.to_owned(), facts: Vec::new() }
}

/// A line, and below it what to do.
fn text(line: &Line) -> String {
    let Line { what, tried, came, seen, advice, .. } = line;
    let came = match came {
        Came::Good => "ok  ",
        Came::Less => "less",
        Came::Wrong => "FAIL",
        Came::Skipped => "skip",
    };
    let advice = if advice.is_empty() { String::new() } else { format!("      do     {advice}\n") };
    format!("{came}  {what}\n      tried  {tried}\n      came   {seen}\n{advice}")
}
