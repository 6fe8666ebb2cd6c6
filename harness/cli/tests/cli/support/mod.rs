//! Runs the real binary with a time-out, and reads what it leaves.
//!
//! Every run writes into a folder of its own, which is read into memory and removed when the run has
//! ended; a run that a failed test abandons is killed.

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]

pub mod by_hand;
pub mod indiscreet;
pub mod keys;
pub mod processes;
pub mod pty;
pub mod rollout;
pub mod search;
pub mod servers;
pub mod small;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test calls it hung. Generous: a loaded machine is slow, and a
/// test that waits this long has failed for another reason.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Exit codes, as scripts know them.
pub mod exit {
    pub const GO: i32 = 0;
    pub const INTERNAL: i32 = 1;
    pub const USAGE: i32 = 2;
    pub const HOLD: i32 = 95;
    pub const NO_GO: i32 = 99;
    pub const SETUP: i32 = 100;
    pub const INVALID_SCENARIO: i32 = 104;
    pub const INTERRUPTED: i32 = 105;
}

/// Path of a scenario of these tests.
pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name)
}

/// Asks until the answer is there; panics with `what` when it never comes.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A command line of the binary, not yet started.
pub struct Harness {
    command: Command,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Harness {
    /// The binary with a subcommand, and nothing of our environment that could change its ways.
    pub fn new(subcommand: &str) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_khala-harness")), subcommand)
    }

    /// The same as `nohup` starts it: with SIGHUP ignored.
    pub fn under_nohup(subcommand: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]);
        command.arg(env!("CARGO_BIN_EXE_khala-harness"));
        Self::of(command, subcommand)
    }

    fn of(mut command: Command, subcommand: &str) -> Self {
        command.arg(subcommand).stdin(Stdio::null());
        // The state of a reference runtime that was killed stays behind in the folder for temporary files.
        command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
        for name in [
            "COLUMNS",
            "NO_COLOR",
            "FORCE_COLOR",
            "KHALA_LOG",
            "RUST_LOG",
            "KHALA_HARNESS_SIGN_KEY",
        ] {
            command.env_remove(name);
        }
        // What tests read is all of it; what is printed otherwise has tests of its own.
        command.env("KHALA_SUMMARY", "full");
        Self { command, stdout: None, stderr: None }
    }

    pub fn check(file: impl AsRef<Path>) -> Self {
        Self::new("check").arg(file.as_ref().as_os_str())
    }

    pub fn run(file: impl AsRef<Path>) -> Self {
        Self::new("run").arg(file.as_ref().as_os_str())
    }

    /// `run` of the scenario that most tests share.
    pub fn tiny() -> Self {
        Self::run(scenario("tiny.toml"))
    }

    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    pub fn set(self, assignment: &str) -> Self {
        self.arg("--set").arg(assignment)
    }

    pub fn defect(self, spec: &str) -> Self {
        self.arg("--defect").arg(spec)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn in_folder(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdio.into());
        self
    }

    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stderr = Some(stdio.into());
        self
    }

    /// Starts it as it is.
    pub fn start_plain(mut self) -> Running {
        let out_dir = TempDir::new().expect("a folder for the evidence");
        self.command.stdout(self.stdout.unwrap_or_else(Stdio::piped));
        self.command.stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let mut child = self.command.spawn().expect("the binary starts");
        // The command holds the test's end of a terminal, which must not stay open.
        drop(self.command);
        let stdout = child.stdout.take().map(read_all);
        let stderr = child.stderr.take().map(read_all);
        Running { child, stdout, stderr, out_dir }
    }

    /// Starts a run, with its evidence in a folder of its own.
    pub fn start(self) -> Running {
        let out_dir = TempDir::new().expect("a folder for the evidence");
        let mut running = self.arg("--out-dir").arg(out_dir.path().as_os_str()).start_plain();
        running.out_dir = out_dir;
        running
    }

    /// Starts a run and waits for its end.
    pub fn ended(self) -> Ended {
        self.start().ended()
    }

    /// Starts any other command and waits for its end.
    pub fn ended_plain(self) -> Ended {
        self.start_plain().ended()
    }
}

/// Reads a pipe to its end, on a thread: a full pipe would stop the process.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (give, take) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        // Nobody listens any more when the test has failed.
        let _ = give.send(bytes);
    });
    take
}

/// What was read of a pipe. It ends when nobody can write to it any more, children included.
fn text_of(pipe: Option<Receiver<Vec<u8>>>) -> String {
    let Some(pipe) = pipe else { return String::new() };
    let bytes = pipe.recv_timeout(PATIENCE).expect("an orphan holds the output of a run");
    String::from_utf8(bytes).expect("the output is UTF-8")
}

/// A started process; killed when dropped before its end.
pub struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
    out_dir: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Waits until the run's `events.ndjson` holds an event.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let found = self.events().into_iter().find(|event| is_it(event));
            if found.is_none()
                && let Some(status) = self.child.try_wait().expect("can be waited for")
            {
                panic!("{what}: the run ended with {status} before");
            }
            found
        })
    }

    /// Waits until a phase has begun.
    pub fn wait_for_phase(&mut self, phase: &str) {
        self.wait_for(&format!("phase {phase}"), |event| {
            event["event"] == "phase_began" && event["phase"] == phase
        });
    }

    /// Lets so many seconds of the run pass.
    pub fn wait_for_seconds(&self, seconds: u64) {
        std::thread::sleep(Duration::from_secs(seconds));
    }

    /// Where its evidence is.
    pub fn bundle(&self) -> Option<PathBuf> {
        only_folder(self.out_dir.path())
    }

    /// Waits until a fault was due.
    pub fn wait_for_fault(&mut self) {
        self.wait_for("the fault", |event| event["event"] == "fault_due");
    }

    /// The events so far.
    fn events(&self) -> Vec<Value> {
        let Some(bundle) = only_folder(self.out_dir.path()) else { return Vec::new() };
        let text = std::fs::read_to_string(bundle.join("events.ndjson")).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the end, and reads everything that is left.
    pub fn ended(mut self) -> Ended {
        let begun = Instant::now();
        let status = eventually("the end of the process", || {
            self.child.try_wait().expect("can be waited for")
        });
        let took = begun.elapsed();
        let (stdout, stderr) = (text_of(self.stdout.take()), text_of(self.stderr.take()));
        let bundle = only_folder(self.out_dir.path());
        let files = bundle.as_deref().map(read_folder).unwrap_or_default();
        let out_dir_is_empty = std::fs::read_dir(self.out_dir.path())
            .is_ok_and(|mut entries| entries.next().is_none());
        Ended { code: status.code(), stdout, stderr, took, bundle, files, out_dir_is_empty }
    }
}

/// The one folder in another.
pub fn only_folder(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    // Beside it lie the index, and `latest`, a link.
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let folders = entries.flatten().filter(is_folder);
    let folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    assert!(folders.len() <= 1, "one run, one bundle: {folders:?}");
    folders.into_iter().next()
}

/// The files of a folder, those of its folders included, by their path in it.
pub fn read_folder(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("can be listed").flatten() {
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        if entry.path().is_dir() {
            let inner = read_folder(&entry.path());
            files.extend(inner.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("can be read"));
        }
    }
    files
}

/// A process that ended, and what it left.
pub struct Ended {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// From the moment that its end was waited for.
    pub took: Duration,
    /// Where the bundle was: it is gone by now.
    pub bundle: Option<PathBuf>,
    /// The bundle's files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether the run left nothing at all.
    pub out_dir_is_empty: bool,
}

impl Ended {
    /// Standard output as one line, so that a sentence is found wherever the screen broke it; a command that
    /// goes on after a backslash is whole.
    pub fn said(&self) -> String {
        let words = self.stdout.split_whitespace().filter(|word| *word != "\\");
        words.collect::<Vec<_>>().join(" ")
    }

    /// Insists on an exit code; says what the process said otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "\nstdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }

    /// `run.json`.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_slice(self.file("run.json")).expect("run.json is JSON")
    }

    #[track_caller]
    pub fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).unwrap_or_else(|| panic!("no {name} among {:?}", self.names()))
    }

    /// A file of JSON lines.
    #[track_caller]
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::str::from_utf8(self.file(name)).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// Its bundle, put back on disk: those of its files that `keep` wants.
    pub fn restored(&self, keep: impl Fn(&str) -> bool) -> (TempDir, PathBuf) {
        let dir = TempDir::new().expect("a folder");
        let name = self.bundle.as_deref().and_then(Path::file_name).expect("there was a bundle");
        let bundle = dir.path().join(name);
        for (name, bytes) in self.files.iter().filter(|(name, _)| keep(name)) {
            let path = bundle.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
            std::fs::write(path, bytes).expect("can be written");
        }
        (dir, bundle)
    }

    pub fn names(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }
}

/// Rules with at least one violation.
pub fn violated(report: &Value) -> Vec<String> {
    let rules = report["oracle"]["violations"].as_object().expect("violations by rule");
    let broken = rules.iter().filter(|(_, count)| count.as_u64() != Some(0));
    broken.map(|(rule, _)| rule.clone()).collect()
}

/// Gates with this verdict.
pub fn gates_with(report: &Value, verdict: &str) -> Vec<String> {
    let gates = report["gates"].as_array().expect("gates");
    let found = gates.iter().filter(|gate| gate["verdict"] == verdict);
    found.map(|gate| gate["name"].as_str().expect("a name").to_owned()).collect()
}

/// The objectives of a gate.
pub fn objectives<'a>(report: &'a Value, gate: &str) -> &'a Vec<Value> {
    let mut gates = report["gates"].as_array().expect("gates").iter();
    let found = gates.find(|found| found["name"] == gate);
    found.and_then(|gate| gate["objectives"].as_array()).expect("the gate has objectives")
}

/// The reasons for the decision, one a line.
pub fn reasons(report: &Value) -> String {
    let reasons = report["reasons"].as_array().expect("reasons").iter();
    reasons.map(|reason| reason.as_str().expect("a sentence")).collect::<Vec<_>>().join("\n")
}

/// A number of the report, by its JSON pointer.
#[track_caller]
pub fn number(report: &Value, pointer: &str) -> u64 {
    let found = report.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("{pointer} is {:?}", report.pointer(pointer)))
}
