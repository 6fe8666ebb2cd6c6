//! The reference runtime as a child process: own process group, dies when the harness dies.
//!
//! Three ways, because each can fail alone: the child asks the kernel for a signal on its parent's
//! death, it ends when its standard input closes, and a dropped handle kills it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Credentials;
use crate::error::SetupError;
use khala_plan::model::{SlowConsumerLimits, TopicSettings};
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

/// First line of the child's standard output.
#[derive(Deserialize)]
struct Listening {
    listening: String,
}

/// A running reference runtime.
#[derive(Debug)]
pub struct Reference {
    child: Child,
    /// `http://host:port`
    pub base_url: String,
    /// What opens it.
    pub credentials: Credentials,
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

impl Reference {
    /// Starts the child and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, or does not say in time where it listens.
    pub async fn start(recipe: &Recipe) -> Result<Self, SetupError> {
        let error = |why: String| SetupError::Reference(why);
        let (program, arguments) = recipe
            .command
            .split_first()
            .ok_or_else(|| error("no command is configured".to_owned()))?;
        let [sync_key, signature, session, admin] = [(); 4].map(|()| secret());
        let mut command = Command::new(program);
        command.args(arguments).args(["--listen", "127.0.0.1:0", "--with-parent"]);
        command.args(recipe.arguments());
        command
            .env(env::SYNC_KEY, &sync_key)
            .env(env::SIGNATURE_SECRET, &signature)
            .env(env::SESSION_KEY, &session)
            .env(env::ADMIN_TOKEN, &admin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| error(format!("{program:?}: {e}")))?;
        let stdout =
            child.stdout.take().ok_or_else(|| error("it has no standard output".to_owned()))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_TIMEOUT, lines.next_line())
            .await
            .map_err(|_| error(format!("it did not listen within {START_TIMEOUT:?}")))?
            .map_err(|e| error(e.to_string()))?
            .ok_or_else(|| {
                error("it ended before it listened; see its message above".to_owned())
            })?;
        let listening: Listening = serde_json::from_str(&line)
            .map_err(|_| error(format!("its first line does not say where it listens: {line}")))?;
        let credentials = Credentials {
            sync_key: Some(Key::new(DEFAULT_KID, sync_key)),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            session_key: Some(Key::new(DEFAULT_KID, session)),
            static_token: None,
            signature_secret: Some(signature.into_bytes()),
            admin_token: Some(admin),
        };
        Ok(Self { child, base_url: format!("http://{}", listening.listening), credentials })
    }

    /// Why the child has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("the reference runtime ended with {status}")),
            Err(error) => Some(format!("the reference runtime cannot be waited for: {error}")),
        }
    }

    /// Ends the child: SIGTERM, then SIGKILL.
    pub async fn stop(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = id
            && kill_process(pid, Signal::TERM).is_ok()
            && tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_ok()
        {
            return;
        }
        // Gone already, or deaf: either way nothing may be left.
        let _ = self.child.kill().await;
    }
}
