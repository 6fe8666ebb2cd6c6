//! One run of this same program, as a process of its own.
//!
//! A process, so that a run is what a user's run is, and one that fails or hangs takes nothing with
//! it. It has a process group of its own: Ctrl-C reaches it once, through us.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::pool::Work;

/// How long a run may take, as a rule. The longest scenarios here take a minute and a half.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How long one may take to write its evidence when it is told to end.
const GRACE: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct Order {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// Its profile.
    pub profile: Option<&'static str>,
    /// Overrides.
    pub set: &'static [&'static str],
    /// A defect, as `--defect` takes it.
    pub defect: Option<String>,
    /// A seed in place of the scenario's.
    pub seed: Option<u64>,
    /// Whether every record is kept for others to judge.
    pub record: bool,
    /// Folder for the bundle, and for what the run says.
    pub folder: PathBuf,
    /// How long it may take.
    pub patience: Duration,
    /// Where the target is, when it is not the scenario that says so.
    pub place: Option<Place>,
}

/// A target and what opens it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its base URL.
    pub url: String,
    /// Environment variables.
    pub secrets: Vec<(&'static str, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// With a report.
    Judged(PathBuf),
    /// It was told to end.
    Interrupted,
    /// It did not end in time.
    Overdue(String),
    /// There is nothing to judge.
    Failed {
        /// The exit code, if it came to one.
        code: Option<i32>,
        /// Why not.
        why: String,
    },
}

impl Ended {
    /// There was no run.
    pub fn failed(why: String) -> Self {
        Self::Failed { code: None, why }
    }

    /// What its bundle says by `judge`, or why it says nothing; `None` when it was told to end.
    pub fn judged<T>(
        self,
        judge: impl FnOnce(&Path) -> anyhow::Result<T>,
    ) -> Option<Result<T, String>> {
        match self {
            Self::Interrupted => None,
            Self::Overdue(why) | Self::Failed { why, .. } => Some(Err(why)),
            Self::Judged(dir) => Some(judge(&dir).map_err(|error| format!("{error:#}"))),
        }
    }
}

impl Work for Order {
    async fn run(self, interrupt: CancellationToken) -> Ended {
        match self.run_through(&interrupt).await {
            Ok(ended) => ended,
            Err(error) => Ended::failed(format!("{error:#}")),
        }
    }
}

impl Order {
    async fn run_through(&self, interrupt: &CancellationToken) -> anyhow::Result<Ended> {
        let mut child = self.start()?;
        let status = tokio::select! {
            status = child.wait() => status.context("cannot wait for the run")?,
            () = interrupt.cancelled() => {
                end(&mut child).await;
                return Ok(Ended::Interrupted);
            }
            () = tokio::time::sleep(self.patience) => {
                end(&mut child).await;
                let seconds = self.patience.as_secs();
                return Ok(Ended::Overdue(format!("it took more than {seconds} s")));
            }
        };
        if interrupt.is_cancelled() {
            return Ok(Ended::Interrupted);
        }
        Ok(self.ended(status))
    }

    fn start(&self) -> anyhow::Result<Child> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let me = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(me);
        command.arg("run").arg(&self.scenario).arg("--out-dir").arg(folder).arg("--with-parent");
        // What runs here came with this program.
        command.arg("--allow-hooks");
        let mut flag = |name: &str, value: &str| {
            command.args([name, value]);
        };
        if let Some(profile) = self.profile {
            flag("--profile", profile);
        }
        for assignment in self.set {
            flag("--set", assignment);
        }
        if let Some(place) = &self.place {
            flag("--set", &format!("target.url={}", place.url));
        }
        if let Some(defect) = &self.defect {
            flag("--defect", defect);
        }
        if let Some(seed) = self.seed {
            flag("--seed", &seed.to_string());
        }
        if self.record {
            command.arg("--record");
        }
        let secrets = self.place.iter().flat_map(|place| &place.secrets);
        command.envs(secrets.map(|(name, secret)| (name, secret)));
        command.stdin(Stdio::null());
        command.stdout(said(folder, STDOUT)?).stderr(said(folder, STDERR)?);
        command.process_group(0).kill_on_drop(true);
        command.spawn().context("cannot start a run")
    }

    /// By the contract of `run`: it has a report, and the bundle's path is the last line that it
    /// prints, whatever was decided.
    fn ended(&self, status: ExitStatus) -> Ended {
        let printed = std::fs::read_to_string(self.folder.join(STDOUT)).unwrap_or_default();
        match (status.code(), printed.lines().last()) {
            (Some(0 | 95 | 99), Some(bundle)) => Ended::Judged(PathBuf::from(bundle)),
            _ => {
                let said = std::fs::read_to_string(self.folder.join(STDERR)).unwrap_or_default();
                let line = said.lines().find(|line| line.starts_with("error"));
                let why = format!(
                    "`run` ended with {status}: {}",
                    line.or(said.lines().last()).unwrap_or("it said nothing")
                );
                Ended::Failed { code: status.code(), why }
            }
        }
    }
}

const STDOUT: &str = "stdout.txt";
const STDERR: &str = "stderr.txt";

fn said(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(name);
    File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}

/// Tells a run to end and write its evidence; does not wait for ever.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    if let Some(pid) = pid {
        // It may have ended in this instant.
        let _ = kill_process(pid, Signal::INT);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_with_a_bundle_is_judged_and_one_that_was_interrupted_says_nothing() {
        let of = |ended: Ended| ended.judged(|dir| Ok(dir.display().to_string()));
        assert_eq!(of(Ended::Judged("a/b".into())), Some(Ok("a/b".to_owned())));
        assert_eq!(of(Ended::Overdue("late".to_owned())), Some(Err("late".to_owned())));
        assert_eq!(of(Ended::failed("no port".to_owned())), Some(Err("no port".to_owned())));
        assert_eq!(of(Ended::Interrupted), None);
        let torn = Ended::Judged("a/b".into())
            .judged(|_| anyhow::Result::<()>::Err(anyhow::anyhow!("torn")));
        assert_eq!(torn, Some(Err("torn".to_owned())));
    }
}
