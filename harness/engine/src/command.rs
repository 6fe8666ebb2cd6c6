//! Commands of the user's: run in a process group of their own, timed, and bounded in what is kept of
//! what they say.
//!
//! A command that ends by itself may leave others behind (a server that it started): they are left alone.
//! One whose time is over is ended with its whole group.

mod output;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use khala_evidence::command::{CommandEnd, CommandRun};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use self::output::Captured;
pub use self::output::Redactor;
use crate::clock::Clock;

/// How long a group may take to end when it is asked to.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long what was written last may take to be read; who was left behind may hold the pipe for ever.
const READ_GRACE: Duration = Duration::from_millis(200);
/// Bytes read at once.
const READ: usize = 8 * 1024;

/// Where commands run, and with what.
#[derive(Clone, Debug)]
pub struct Place {
    /// Working directory.
    pub folder: PathBuf,
    /// Variables beside the harness's own.
    pub variables: Vec<(&'static str, OsString)>,
    /// How long each may take.
    pub within: Duration,
}

impl Place {
    /// Starts a command and waits for nothing; what it says is nobody's to hear.
    pub fn begin(&self, words: &[String]) {
        let Some(mut command) = self.command(words) else { return };
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        if let Err(error) = started {
            tracing::error!(%error, ?words, "not started");
        }
    }

    /// The command, not yet started. `words` has a program.
    fn command(&self, words: &[String]) -> Option<std::process::Command> {
        use std::os::unix::process::CommandExt;
        let (program, arguments) = words.split_first()?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .process_group(0);
        Some(command)
    }
}

/// Ends a process group when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        Self(id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        // Whoever is gone already needs none.
        let _ = self.0.map(|group| kill_process_group(group, signal));
    }

    /// It ended by itself: what it left behind is no longer ours.
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs a command once; it always ends within `place.within` and [`GRACE`].
pub async fn run(
    part: &str,
    words: &[String],
    place: &Place,
    ending: Option<&CancellationToken>,
    redactor: &Redactor,
    clock: Clock,
) -> CommandRun {
    let began_us = clock.now();
    let ran = |end, stdout, stderr| CommandRun {
        part: part.to_owned(),
        command: words.iter().map(|word| redactor.word(word)).collect(),
        began_us,
        took_us: clock.now().saturating_sub(began_us),
        end,
        tries: 1,
        stdout,
        stderr,
    };
    let mut child = match start(words, place) {
        Ok(child) => child,
        Err(why) => return ran(CommandEnd::NotRun { why }, String::new(), String::new()),
    };
    let mut group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Captured::new(redactor), Captured::new(redactor));
    let end = {
        let reading = async { tokio::join!(read(stdout, &mut out), read(stderr, &mut err)) };
        let mut reading = std::pin::pin!(reading);
        let mut all_read = false;
        let ended = async {
            let mut waiting = std::pin::pin!(wait(&mut child, &mut group, place.within, ending));
            loop {
                tokio::select! {
                    end = &mut waiting => return end,
                    _ = &mut reading, if !all_read => all_read = true,
                }
            }
        };
        let end = ended.await;
        if !all_read {
            let _ = tokio::time::timeout(READ_GRACE, &mut reading).await;
        }
        end
    };
    ran(end, out.text(redactor), err.text(redactor))
}

fn start(words: &[String], place: &Place) -> Result<Child, String> {
    let mut command = Command::from(place.command(words).ok_or("the command is empty")?);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| error.to_string())
}

/// Waits for a command, and ends its group when its time is over or the run is.
async fn wait(
    child: &mut Child,
    group: &mut Group,
    within: Duration,
    ending: Option<&CancellationToken>,
) -> CommandEnd {
    let cut_short = async {
        match ending {
            Some(ending) => ending.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let end = tokio::select! {
        biased;
        ended = child.wait() => {
            group.release();
            return how(ended);
        }
        () = cut_short => CommandEnd::CutShort,
        () = tokio::time::sleep(within) => CommandEnd::TimedOut,
    };
    group.signal(Signal::TERM);
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    // Also those of the group that outlived the first of them.
    group.signal(Signal::KILL);
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    group.release();
    end
}

fn how(ended: std::io::Result<ExitStatus>) -> CommandEnd {
    match ended {
        Err(error) => CommandEnd::NotRun { why: format!("it cannot be waited for: {error}") },
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => CommandEnd::Exited { code },
            (None, signal) => CommandEnd::Signalled { signal: signal.unwrap_or_default() },
        },
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Captured) {
    let Some(mut pipe) = pipe else { return };
    let mut part = [0; READ];
    while let Ok(count @ 1..) = pipe.read(&mut part).await {
        into.push(&part[..count]);
    }
}

#[cfg(test)]
mod tests;
