//! Arguments of those who ask a target, and send no load: `doctor` and `conform`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{BUILT_IN, Scenario, duration};

/// `doctor`
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Scenario (TOML) whose needs are looked at; left out, the smoke run's.
    pub file: Option<PathBuf>,
    /// Apply a `[profile.NAME]` of the scenario.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Target profile (TOML), a name beside the scenario, or a URL.
    #[arg(long, value_name = "NAME|FILE|URL")]
    pub target: Option<String>,
    /// Override any key, as in `target.socket_path="/socket/websocket"`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow: Option<PathBuf>,
    /// Try a round trip too: a worker, its first event, the worker's end.
    #[arg(long)]
    pub allow_writes: bool,
    /// Wait for its time-outs too: heartbeats, idle channels, idle sockets (a minute and a half).
    #[arg(long)]
    pub time_outs: bool,
    /// Let commands tell the secrets of which the profile says so, as `run --allow-hooks` does, which starts the
    /// scenario's hooks too; none of these is started here.
    #[arg(long)]
    pub allow_hooks: bool,
    /// A run will be begun with this flag: that others use the target keeps none from beginning.
    #[arg(long)]
    pub allow_shared_writes: bool,
    /// Write what the target is said to be, and what was learnt of it, as a target profile.
    #[arg(long, value_name = "FILE")]
    pub write_profile: Option<PathBuf>,
}

impl Doctor {
    /// The scenario that it looks at.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            file: self.file.clone().unwrap_or_else(|| PathBuf::from(BUILT_IN)),
            profile: self.profile.clone(),
            set: self.set.clone(),
            target: self.target.clone(),
            allow: self.allow.clone(),
            seed: None,
            only_client: Vec::new(),
            defect: Vec::new(),
            worker_threads: None,
        }
    }
}

/// `conform`
#[derive(Debug, ClapArgs)]
pub struct Conform {
    /// The runtime: its base URL, such as http://127.0.0.1:4000, or a target profile (TOML).
    #[arg(long, value_name = "NAME|FILE|URL", required_unless_present = "list")]
    pub target: Option<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow_file: Option<PathBuf>,
    /// Set a key of a scenario's target, auth or fleet, as in `target.socket_path=/socket/websocket`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What cases may do to the runtime: any of reads, writes, revokes and abuses, within what the target's profile
    /// allows (`target.allows`). Left out, what the profile allows, else reads and writes.
    ///
    /// Reads: open sockets and subscribe. Writes: create workers and publish events, which others see.
    /// Revokes: revoke sessions that they made up. Abuses: publish some 20 MB, and do not read what comes.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub allow: Option<Vec<Allowed>>,
    /// Deviations that are accepted, a line `case = "reason"` each (TOML); one that is no more ends with 99.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Run only the cases whose name has this in it, or fits it where it has a `*`; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// List the cases (Markdown) and ask nobody.
    #[arg(long)]
    pub list: bool,
    /// Leave out cases that wait longer than this for a time-out of the runtime's.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub max_wait: Duration,
    /// Let commands tell the secrets of which the profile says so.
    #[arg(long)]
    pub allow_hooks: bool,
    /// End, with what was decided by then, as soon as this file is there.
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// At the end, stop the runtime whose process this is with SIGTERM, and judge how its sockets end.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(2..))]
    pub stop_pid: Option<i32>,
    /// Print the cases that pass too.
    #[arg(long)]
    pub all: bool,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the report as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the report as one static page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl Conform {
    /// What names the target, for those who read its profile and the allow file.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            file: PathBuf::from(BUILT_IN),
            profile: None,
            set: Vec::new(),
            target: self.target.clone(),
            allow: self.allow_file.clone(),
            seed: None,
            only_client: Vec::new(),
            defect: Vec::new(),
            worker_threads: None,
        }
    }
}

/// What cases may do to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Allowed {
    /// Open sockets and subscribe.
    Reads,
    /// Create workers and publish events.
    Writes,
    /// Revoke sessions that they made up.
    Revokes,
    /// Publish much, and do not read what comes.
    Abuses,
}
