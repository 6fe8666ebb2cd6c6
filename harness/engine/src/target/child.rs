//! The reference runtime as a child process: own process group, dies when the harness dies.
//!
//! Three ways, because each can fail alone: the child asks the kernel for a signal on its parent's
//! death, it ends when its standard input closes, and a dropped handle kills it.
//!
//! It can be restarted: another process on the same port, with the same secrets, defects and seed, and
//! with the state of the first, where the recipe says that it is kept.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Credentials;
use crate::clock;
use crate::error::SetupError;
use khala_plan::model::{RestartSignal, SlowConsumerLimits, TopicSettings};
use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key};
use khala_wire::topic::TopicId;

/// Environment variables by which the child gets its secrets: never its arguments, which anyone on
/// the machine can read.
pub mod env {
    /// Key that sync tokens are signed with (the runtime's own name).
    pub const SYNC_KEY: &str = "RUNTIME_SYNC_TOKEN_SIGNING_KEY";
    /// Secret of the command path's signature.
    pub const SIGNATURE_SECRET: &str = "KHALA_REFERENCE_SIGNATURE_SECRET";
    /// Key that session access tokens are signed with.
    pub const SESSION_KEY: &str = "KHALA_REFERENCE_SESSION_KEY";
    /// Bearer of the operators' view.
    pub const ADMIN_TOKEN: &str = "RUNTIME_ADMIN_TOKEN";
}

/// How long the child may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may be kept from listening where it listened before.
const RETURN_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between attempts to start again.
const START_PAUSE: Duration = Duration::from_millis(50);

/// First line of the child's standard output.
#[derive(Deserialize)]
struct Listening {
    listening: String,
}

/// A target's process that is the harness's own, as the conductor and faults have hold of it.
pub trait Own: Send + std::fmt::Debug {
    /// Ends it and starts it again, where it was.
    ///
    /// # Errors
    /// When it does not come back: it has ended then.
    fn restart(&mut self, signal: RestartSignal) -> Taking<'_, Result<(), SetupError>>;

    /// A handle on the process there is now; `None` where it has ended.
    fn process(&self) -> Option<Process>;

    /// Why it has ended, if it has.
    fn ended(&mut self) -> Option<String>;

    /// Ends it for good.
    fn stop(self: Box<Self>) -> Taking<'static, ()>;
}

/// What takes its time, and is bounded.
pub type Taking<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Own for Reference {
    fn restart(&mut self, signal: RestartSignal) -> Taking<'_, Result<(), SetupError>> {
        Box::pin(self.restart(signal))
    }

    fn process(&self) -> Option<Process> {
        self.process()
    }

    fn ended(&mut self) -> Option<String> {
        self.ended()
    }

    fn stop(self: Box<Self>) -> Taking<'static, ()> {
        Box::pin((*self).stop())
    }
}

/// A running reference runtime.
#[derive(Debug)]
pub struct Reference {
    child: Child,
    recipe: Recipe,
    secrets: Secrets,
    /// Where it listens.
    address: String,
    /// Why it did not come back from a restart.
    stays_away: Option<String>,
    /// What survives a restart; removed after the child has ended.
    state: Option<TempDir>,
    /// `http://host:port`
    pub base_url: String,
    /// What opens it.
    pub credentials: Credentials,
}

/// A handle on the process: no other is ever taken for it, also when it is gone.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    handle: OwnedFd,
}

impl Process {
    fn of(child: &Child) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()?).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { pid, handle })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Stops it: it stands still until it is told to go on.
    ///
    /// # Errors
    /// What the kernel says, in a sentence.
    pub fn stop(&self) -> Result<(), String> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on. One that does not stand still, or is gone, is no failure.
    ///
    /// # Errors
    /// What the kernel says, in a sentence.
    pub fn go_on(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) if signal == Signal::CONT => Ok(()),
            Err(error) => Err(format!("process {} took no signal: {error}", self.id())),
        }
    }

    /// Whether it stands still.
    ///
    /// # Errors
    /// What the kernel says, in a sentence.
    pub fn stands(&self) -> Result<bool, String> {
        let stat = procfs::process::Process::new(self.id()).and_then(|process| process.stat());
        // Linux writes it so where a signal has stopped it (proc(5)).
        stat.map(|stat| stat.state == 'T')
            .map_err(|error| format!("the state of process {} cannot be read: {error}", self.id()))
    }
}

/// How to start it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The program and its first arguments, such as this binary and `reference`.
    pub command: Vec<OsString>,
    /// Defects, as `--defect` takes them.
    pub defects: Vec<String>,
    /// Seed of the defects' own draws.
    pub seed: u64,
    /// What it retains, where it is not the contract's default.
    pub topics: BTreeMap<TopicId, TopicSettings>,
    /// What it does with clients that cannot keep up.
    pub slow_consumer: SlowConsumerLimits,
    /// Whether its state is kept, so that it survives a restart.
    pub keeps_state: bool,
}

impl Recipe {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), self.seed.to_string()];
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        for defect in &self.defects {
            flag("--defect", defect.clone());
        }
        for (topic, settings) in &self.topics {
            if let Some(events) = settings.retain_events {
                flag("--retain", format!("{}={events}", topic.name()));
            }
            if let Some(events) = settings.replay_budget_events {
                flag("--replay-budget", format!("{}={events}", topic.name()));
            }
        }
        flag("--queue-limit", self.slow_consumer.queue_limit.to_string());
        flag("--max-strikes", self.slow_consumer.max_strikes.to_string());
        if let Some(bytes) = self.slow_consumer.send_buffer_bytes {
            flag("--send-buffer", bytes.to_string());
        }
        arguments
    }
}

fn secret() -> String {
    (0..4).map(|_| format!("{:016x}", rand::random::<u64>())).collect()
}

/// The run's own secrets. `Debug` shows none.
struct Secrets {
    sync_key: String,
    signature: String,
    session: String,
    admin: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    fn drawn() -> Self {
        let [sync_key, signature, session, admin] = [(); 4].map(|()| secret());
        Self { sync_key, signature, session, admin }
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            sync_key: Some(Key::new(DEFAULT_KID, self.sync_key.clone())),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            session_key: Some(Key::new(DEFAULT_KID, self.session.clone())),
            session_token: None,
            static_tokens: Vec::new(),
            signature_secret: Some(self.signature.clone().into_bytes()),
            admin_token: Some(self.admin.clone()),
        }
    }
}

fn error(why: impl Into<String>) -> SetupError {
    SetupError::Reference(why.into())
}

/// Starts a process and waits until it says where it listens.
async fn launch(
    recipe: &Recipe,
    secrets: &Secrets,
    listen: &str,
    state: Option<&TempDir>,
) -> Result<(Child, String), SetupError> {
    let (program, arguments) =
        recipe.command.split_first().ok_or_else(|| error("no command is configured"))?;
    let mut command = Command::new(program);
    command.args(arguments).args(["--listen", listen, "--with-parent"]);
    command.args(recipe.arguments());
    if let Some(state) = state {
        command.arg("--data-dir").arg(state.path());
    }
    command
        .env(env::SYNC_KEY, &secrets.sync_key)
        .env(env::SIGNATURE_SECRET, &secrets.signature)
        .env(env::SESSION_KEY, &secrets.session)
        .env(env::ADMIN_TOKEN, &secrets.admin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| error(format!("{program:?}: {e}")))?;
    let stdout = child.stdout.take().ok_or_else(|| error("it has no standard output"))?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(START_TIMEOUT, lines.next_line())
        .await
        .map_err(|_| error(format!("it did not listen within {START_TIMEOUT:?}")))?
        .map_err(|e| error(e.to_string()))?
        .ok_or_else(|| error("it ended before it listened; see its message above"))?;
    let listening: Listening = serde_json::from_str(&line)
        .map_err(|_| error(format!("its first line does not say where it listens: {line}")))?;
    Ok((child, listening.listening))
}

/// Ends a process and waits for its end: SIGTERM first, where it is given the time.
async fn end(child: &mut Child, signal: RestartSignal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if signal == RestartSignal::Term
        && let Some(pid) = id
        && kill_process(pid, Signal::TERM).is_ok()
        && tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.is_ok()
    {
        return;
    }
    // Gone already, or deaf, or not to be asked: in any case nothing may be left.
    let _ = child.kill().await;
}

impl Reference {
    /// Starts the child and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, or does not say in time where it listens.
    pub async fn start(recipe: &Recipe) -> Result<Self, SetupError> {
        let state = if recipe.keeps_state {
            let made = TempDir::with_prefix("khala-harness-state-");
            Some(made.map_err(|e| error(format!("no directory for its state: {e}")))?)
        } else {
            None
        };
        let secrets = Secrets::drawn();
        let (child, address) = launch(recipe, &secrets, "127.0.0.1:0", state.as_ref()).await?;
        let (base_url, credentials) = (format!("http://{address}"), secrets.credentials());
        let (recipe, stays_away) = (recipe.clone(), None);
        Ok(Self { child, recipe, secrets, address, stays_away, state, base_url, credentials })
    }

    /// Ends the child and starts it again, where it was.
    ///
    /// # Errors
    /// When it does not come back: it has ended then.
    pub async fn restart(&mut self, signal: RestartSignal) -> Result<(), SetupError> {
        end(&mut self.child, signal).await;
        let until = clock::system_now() + RETURN_TIMEOUT;
        let mut attempt = self.launch_again().await;
        // Where it listened somebody else may connect from, for a moment.
        while attempt.is_err() && clock::system_now() < until {
            tokio::time::sleep(START_PAUSE).await;
            attempt = self.launch_again().await;
        }
        self.child = attempt.inspect_err(|error| {
            self.stays_away = Some(format!("it did not come back from a planned restart: {error}"));
        })?;
        Ok(())
    }

    async fn launch_again(&self) -> Result<Child, SetupError> {
        let state = self.state.as_ref();
        let (child, _) = launch(&self.recipe, &self.secrets, &self.address, state).await?;
        Ok(child)
    }

    /// A handle on the process there is now; `None` where it has ended.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        Process::of(&self.child)
    }

    /// Why the child has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        if self.stays_away.is_some() {
            return self.stays_away.clone();
        }
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("the reference runtime ended with {status}")),
            Err(error) => Some(format!("the reference runtime cannot be waited for: {error}")),
        }
    }

    /// Ends the child: SIGTERM, then SIGKILL.
    pub async fn stop(mut self) {
        end(&mut self.child, RestartSignal::Term).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_stands_still_and_goes_on_and_is_never_mistaken_for_another() {
        let mut child =
            Command::new("sleep").arg("600").kill_on_drop(true).spawn().expect("a process");
        let process = Process::of(&child).expect("a handle");
        let stands = async |wanted| {
            while process.stands().expect("a state") != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        stands(false).await;
        process.stop().expect("it stops");
        stands(true).await;
        process.go_on().expect("it goes on");
        process.go_on().expect("twice changes nothing");
        stands(false).await;
        child.kill().await.expect("it ends");
        assert!(process.stop().is_err_and(|why| why.contains(&process.id().to_string())));
        process.go_on().expect("nothing stands still any more");
    }
}
