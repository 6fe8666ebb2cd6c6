//! Commands of the user's, all of them: hooks, preconditions of a stage, what tells a secret or the target's build.
//! Each is run in a process group of its own, timed, and bounded in what is kept of what it says.
//!
//! A command that ends by itself may leave others behind (a server that it started): they are left alone.
//! One whose time is over is ended with its whole group.
//!
//! [`run`] keeps what may be shown of both streams, without secrets; [`told`] is for what the harness itself wants to
//! know, and has standard output whole.

mod output;
pub(crate) mod secrets;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use khala_evidence::command::{CommandEnd, CommandRun};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use self::output::Captured;
pub use self::output::{Redactor, told_plan};
use crate::clock::Clock;
use crate::environment;

/// How long a group may take to end when it is asked to.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long what was written last may take to be read; who was left behind may hold the pipe for ever.
const READ_GRACE: Duration = Duration::from_millis(200);
/// Bytes read at once.
const READ: usize = 8 * 1024;
/// Bytes that a command may tell: a file of tokens has some thousand lines.
const TOLD_MAX: usize = 16 << 20;

/// Why what has no program cannot be run.
const NO_COMMAND: &str = "the command is empty";

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
    /// Where the harness itself runs.
    #[must_use]
    pub fn here(within: Duration) -> Self {
        Self { folder: PathBuf::from("."), variables: Vec::new(), within }
    }

    /// Starts a command and waits for nothing; what it says is nobody's to hear.
    pub fn begin(&self, words: &[String]) {
        let Some(mut command) = self.command(words) else { return };
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        if let Err(error) = started {
            let words = Redactor::of_environment([]).words(words);
            tracing::error!(%error, words, "not started");
        }
    }

    /// Why a command could not be started here, as far as that can be known without starting it, in the words in which
    /// its start would be refused.
    #[must_use]
    pub fn refuses(&self, words: &[String]) -> Option<String> {
        let Some(program) = words.first() else { return Some(NO_COMMAND.to_owned()) };
        let candidates: Vec<PathBuf> = match program.contains('/') {
            true => vec![self.folder.join(program)],
            // Who has no such variable is looked for where the system says, which is not known here.
            false => std::env::split_paths(&environment::programs()?)
                .map(|folder| self.folder.join(folder).join(program))
                .collect(),
        };
        let looked: Vec<_> = candidates.iter().map(|path| startable(path)).collect();
        if looked.iter().any(Result::is_ok) {
            return None;
        }
        let forbidden = looked.contains(&Err(Errno::ACCESS));
        let why = if forbidden { Errno::ACCESS } else { Errno::NOENT };
        Some(std::io::Error::from(why).to_string())
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

/// Whether a file is a program that may be started.
fn startable(path: &Path) -> Result<(), Errno> {
    rustix::fs::access(path, Access::EXEC_OK)?;
    if path.is_dir() { Err(Errno::ACCESS) } else { Ok(()) }
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
    let (mut out, mut err) = (Captured::new(redactor), Captured::new(redactor));
    let ears = (&mut out, &mut err);
    let (end, _) = carry_out(words, place, Bytes::new(), ending, ears, READ_GRACE).await;
    CommandRun {
        part: part.to_owned(),
        command: words.iter().map(|word| redactor.word(word)).collect(),
        began_us,
        took_us: clock.now().saturating_sub(began_us),
        end,
        tries: 1,
        stdout: out.text(redactor),
        stderr: err.text(redactor),
    }
}

/// What a command writes to standard output, whole but for the white space at its end. It may be a secret.
///
/// # Errors
/// Why there is none, in a clause that has nothing of its standard output, and of what it complains no secret.
pub async fn told(words: &[String], place: &Place, redactor: &Redactor) -> Result<String, String> {
    answered(words, place, Bytes::new(), redactor).await
}

/// That a command cannot be started, in a clause.
pub(crate) fn cannot_be_run(why: &str) -> String {
    format!("it cannot be run: {why}")
}

/// The same of a command that is given something on standard input.
///
/// # Errors
/// As of [`told`].
pub async fn answered(
    words: &[String],
    place: &Place,
    input: Bytes,
    redactor: &Redactor,
) -> Result<String, String> {
    let (mut out, mut err) = (Whole::default(), Captured::new(redactor));
    let ears = (&mut out, &mut err);
    let (end, is_whole) = carry_out(words, place, input, None, ears, GRACE).await;
    match end {
        CommandEnd::Exited { code: 0 } => {}
        CommandEnd::NotRun { why } => return Err(cannot_be_run(&why)),
        CommandEnd::TimedOut => return Err(format!("it did not end within {:?}", place.within)),
        ended => {
            let complaint = err.text(redactor);
            let last = complaint.lines().next_back().map(|line| format!(": {line}"));
            let verb =
                if matches!(ended, CommandEnd::Exited { .. }) { "ended with" } else { "was" };
            return Err(format!("it {verb} {ended}{}", last.unwrap_or_default()));
        }
    }
    if !is_whole {
        return Err("it left somebody behind who holds its standard output open".to_owned());
    }
    if out.is_cut {
        return Err(format!("it wrote more than {} MiB", TOLD_MAX >> 20));
    }
    let text = String::from_utf8(out.bytes).map_err(|_| "it wrote what is no UTF-8".to_owned())?;
    match text.trim_end() {
        "" => Err("it wrote nothing".to_owned()),
        told => Ok(told.to_owned()),
    }
}

/// Hears what a command writes.
trait Ear {
    fn hear(&mut self, bytes: &[u8]);
}

impl Ear for Captured {
    fn hear(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }
}

/// All that a command writes, up to [`TOLD_MAX`].
#[derive(Default)]
struct Whole {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Ear for Whole {
    fn hear(&mut self, bytes: &[u8]) {
        let room = TOLD_MAX - self.bytes.len();
        self.is_cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Runs a command and listens to its two streams, to standard output for `out_grace` after its end. How it ended,
/// and whether standard output was heard to its own end: whoever was left behind may hold it open.
async fn carry_out(
    words: &[String],
    place: &Place,
    input: Bytes,
    ending: Option<&CancellationToken>,
    (out, err): (&mut impl Ear, &mut impl Ear),
    out_grace: Duration,
) -> (CommandEnd, bool) {
    let mut child = match start(words, place, !input.is_empty()) {
        Ok(child) => child,
        Err(why) => return (CommandEnd::NotRun { why }, true),
    };
    let mut group = Group::of(child.id());
    let mut reading_out = std::pin::pin!(read(child.stdout.take(), out));
    let mut reading_err = std::pin::pin!(read(child.stderr.take(), err));
    let mut writing = std::pin::pin!(write(child.stdin.take(), input));
    let (mut out_read, mut err_read, mut written) = (false, false, false);
    let mut waiting = std::pin::pin!(wait(&mut child, &mut group, place.within, ending));
    let end = loop {
        tokio::select! {
            end = &mut waiting => break end,
            () = &mut reading_out, if !out_read => out_read = true,
            () = &mut reading_err, if !err_read => err_read = true,
            () = &mut writing, if !written => written = true,
        }
    };
    let (out_read, _) = tokio::join!(
        async { out_read || tokio::time::timeout(out_grace, reading_out).await.is_ok() },
        async { err_read || tokio::time::timeout(READ_GRACE, reading_err).await.is_ok() },
    );
    (end, out_read)
}

fn start(words: &[String], place: &Place, is_given: bool) -> Result<Child, String> {
    let mut command = Command::from(place.command(words).ok_or(NO_COMMAND)?);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if is_given {
        command.stdin(Stdio::piped());
    }
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

/// Writes it all and closes; who does not read it needs none of it.
async fn write(pipe: Option<impl AsyncWrite + Unpin>, input: Bytes) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(&input).await;
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut impl Ear) {
    let Some(mut pipe) = pipe else { return };
    let mut part = [0; READ];
    while let Ok(count @ 1..) = pipe.read(&mut part).await {
        into.hear(&part[..count]);
    }
}

#[cfg(test)]
mod tests;
