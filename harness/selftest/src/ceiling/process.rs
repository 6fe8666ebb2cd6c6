//! The two processes of a step: the null server, and the run. Neither outlives its step.

use std::path::Path;
use std::process::Stdio;

use crate::null::{RECORD_PATH, Record};
use anyhow::{Context as _, bail};
use khala_engine::http::Http;
use khala_engine::reach::Reach;
use procfs::process::Process;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::START_TIMEOUT;

/// The variable with a token key. The null server checks no token; a scenario needs a key.
pub const KEY: &str = "KHALA_SELFTEST_KEY";

/// A null server; it ends when this is dropped.
pub struct NullServer {
    child: Child,
    /// Its URL.
    pub url: String,
}

#[derive(Deserialize)]
struct Listening {
    listening: String,
}

fn me() -> anyhow::Result<std::path::PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

impl NullServer {
    /// Starts one without latency. It may use half of the machine's cores, at least one: the other half is
    /// the generator's.
    pub async fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = (cores / 2).max(1).to_string();
        let mut child = Command::new(me()?)
            .args([
                "null-server",
                "--listen",
                "127.0.0.1:0",
                "--with-parent",
                "--threads",
                &threads,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the null server")?;
        let stdout = child.stdout.take().context("the null server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_TIMEOUT, lines.next_line())
            .await
            .with_context(|| format!("the null server did not listen within {START_TIMEOUT:?}"))??
            .context("the null server ended before it listened")?;
        let Listening { listening } = serde_json::from_str(&line)
            .with_context(|| format!("the null server does not say where it listens: {line}"))?;
        Ok(Self { child, url: format!("http://{listening}") })
    }

    /// What it did with events that were due in a window of the run.
    pub async fn record(&self, from_us: u64, to_us: u64) -> anyhow::Result<Record> {
        let reach = Reach::here(&self.url)?;
        let http = Http::new(&reach, "khala-harness", START_TIMEOUT);
        let path = format!("{RECORD_PATH}?from_us={from_us}&to_us={to_us}");
        let told =
            http.get(&path, &[]).await.context("the null server does not tell what it did")?;
        Ok(told.document)
    }

    /// CPU time that it has taken so far, in seconds; none where it cannot be read.
    pub fn cpu_s(&self) -> Option<f64> {
        let stat = Process::new(i32::try_from(self.child.id()?).ok()?).ok()?.stat().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "ticks of a few seconds")]
        Some((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
    }
}

/// Runs a scenario to its end, whatever its verdict.
pub async fn run(scenario: &Path, out_dir: &Path) -> anyhow::Result<()> {
    let output = Command::new(me()?)
        .arg("run")
        .arg(scenario)
        .arg("--out-dir")
        .arg(out_dir)
        .env(KEY, "a-key-that-opens-nothing-for-the-null-server")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the run")?;
    match output.status.code() {
        Some(0 | 95 | 99) => Ok(()),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().filter(|line| line.starts_with("error")).collect::<Vec<_>>();
            bail!("the run ended with {}: {}", output.status, said.join("; "))
        }
    }
}
