//! The reference runtime as a child, with other programs in its place: what is said of one that does
//! not start, what a restart keeps, and that none is left behind.

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use khala_engine::SetupError;
use khala_engine::target::child::{Recipe, Reference};
use khala_plan::model::{RestartSignal, SlowConsumerLimits};

/// How long anything may take before a test calls it missing.
const PATIENCE: Duration = Duration::from_secs(60);

fn recipe(command: &[&str]) -> Recipe {
    Recipe {
        command: command.iter().map(OsString::from).collect(),
        defects: Vec::new(),
        seed: 7,
        topics: BTreeMap::new(),
        slow_consumer: SlowConsumerLimits {
            queue_limit: 64,
            max_strikes: 3,
            send_buffer_bytes: None,
            kernel_buffer_bytes: 4 << 20,
        },
        keeps_state: false,
    }
}

/// A program in place of the runtime; as the port on which it listens it gives its process id.
fn program(then: &str) -> Recipe {
    let says = r#"printf '{"listening":"127.0.0.1:%s"}\n' "$$""#;
    recipe(&["/bin/sh", "-c", &format!("{says}; {then}")])
}

fn pid_of(reference: &Reference) -> i32 {
    let pid = reference.base_url.strip_prefix("http://127.0.0.1:").expect("a base URL");
    pid.parse().expect("a process id")
}

/// A process that nobody has waited for yet does not run any more.
fn runs(pid: i32) -> bool {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

async fn is_gone_soon(pid: i32) {
    let until = Instant::now() + PATIENCE;
    while runs(pid) {
        assert!(Instant::now() < until, "process {pid} is left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn why_not(recipe: &Recipe) -> String {
    match Reference::start(recipe).await {
        Err(error @ SetupError::Reference(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let why = why_not(&recipe(&["/nowhere/khala-reference"])).await;
    assert!(why.contains("/nowhere/khala-reference"), "{why}");
    let why = why_not(&recipe(&[])).await;
    assert!(why.contains("no command"), "{why}");
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_said_to_have_ended() {
    let why = why_not(&recipe(&["/bin/sh", "-c", "exit 3"])).await;
    assert!(why.contains("ended before it listened"), "{why}");
}

#[tokio::test]
async fn a_program_that_says_something_else_is_quoted() {
    let why = why_not(&recipe(&["/bin/sh", "-c", "echo hello; exec sleep 600"])).await;
    assert!(why.contains("hello"), "{why}");
}

#[tokio::test]
async fn a_running_child_has_not_ended_and_stops_when_it_is_asked_to() {
    let mut reference = Reference::start(&program("exec sleep 600")).await.expect("starts");
    let pid = pid_of(&reference);
    assert!(runs(pid));
    assert_eq!(reference.ended(), None);
    let begun = Instant::now();
    reference.stop().await;
    assert!(!runs(pid));
    assert!(begun.elapsed() < Duration::from_secs(4), "SIGTERM is enough, and nobody waits longer");
}

#[tokio::test]
async fn a_child_that_is_deaf_to_requests_is_killed() {
    let mut deaf = program("exec sleep 600");
    // Deaf before it says anything, so that no request can come too early.
    let script = deaf.command.pop().and_then(|script| script.into_string().ok()).expect("text");
    deaf.command.push(format!(r#"trap "" TERM; {script}"#).into());
    let reference = Reference::start(&deaf).await.expect("starts");
    let pid = pid_of(&reference);
    let begun = Instant::now();
    reference.stop().await;
    assert!(!runs(pid));
    assert!(begun.elapsed() >= Duration::from_secs(1), "it was given the time to end in order");
}

#[tokio::test]
async fn a_forgotten_child_is_killed() {
    let reference = Reference::start(&program("exec sleep 600")).await.expect("starts");
    let pid = pid_of(&reference);
    drop(reference);
    is_gone_soon(pid).await;
}

#[tokio::test]
async fn a_child_that_ends_unasked_says_how() {
    let mut reference = Reference::start(&program("exit 7")).await.expect("starts");
    let pid = pid_of(&reference);
    is_gone_soon(pid).await;
    let why = reference.ended().expect("it has ended");
    assert!(why.contains("exit status: 7"), "{why}");
    reference.stop().await;
}

#[tokio::test]
async fn every_run_has_secrets_of_its_own_that_reach_the_child_by_its_environment_alone() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2 {
        // Not `exec`: while a process changes its program, its environment reads as empty.
        let reference = Reference::start(&program("read nothing")).await.expect("starts");
        let process = procfs::process::Process::new(pid_of(&reference)).expect("is there");
        let environment = process.environ().expect("is ours to read");
        let arguments = process.cmdline().expect("is ours to read").join(" ");
        for name in [
            "RUNTIME_SYNC_TOKEN_SIGNING_KEY",
            "KHALA_REFERENCE_SIGNATURE_SECRET",
            "KHALA_REFERENCE_SESSION_KEY",
            "RUNTIME_ADMIN_TOKEN",
        ] {
            let secret = environment.get(std::ffi::OsStr::new(name)).expect(name);
            let secret = secret.to_str().expect("text").to_owned();
            assert!(secret.len() >= 32, "{name} is too short to be a secret");
            assert!(!arguments.contains(&secret), "{name} is in the arguments");
            assert!(!format!("{reference:?}").contains(&secret), "{name} is shown by Debug");
            assert!(seen.insert(secret), "{name} was used before");
        }
        reference.stop().await;
    }
}

/// A program that listens on one port and notes each of its starts: its process id, what it was told
/// of where to listen and of its state, and one of its secrets. At its second start it does this.
struct Noting {
    folder: tempfile::TempDir,
    recipe: Recipe,
}

/// A start, as it was noted.
#[derive(Debug)]
struct Start {
    pid: i32,
    listen: String,
    state: std::path::PathBuf,
    secret: String,
}

impl Noting {
    fn that_at_its_second_start(does: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder for its notes");
        let notes = folder.path().join("notes");
        let notes = notes.to_str().expect("text");
        // The first argument is the name of the program to a shell: the address comes next.
        let script = format!(
            r#"if [ -e {notes} ]; then {does}; fi
               listen="$1"
               while [ "$1" != --data-dir ]; do shift; done
               echo "$$ $listen $2 $RUNTIME_ADMIN_TOKEN" >> {notes}
               printf '{{"listening":"127.0.0.1:4242"}}\n'
               exec sleep 600"#
        );
        let recipe = Recipe { keeps_state: true, ..recipe(&["/bin/sh", "-c", &script]) };
        Self { folder, recipe }
    }

    fn starts(&self) -> Vec<Start> {
        let notes = std::fs::read_to_string(self.folder.path().join("notes")).expect("it started");
        let start = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let [pid, listen, state, secret] = words[..] else { panic!("{line}") };
            Start {
                pid: pid.parse().expect("a process id"),
                listen: listen.to_owned(),
                state: state.into(),
                secret: secret.to_owned(),
            }
        };
        notes.lines().map(start).collect()
    }
}

#[tokio::test]
async fn a_restart_is_another_process_with_the_same_address_secrets_and_state() {
    for signal in [RestartSignal::Term, RestartSignal::Kill] {
        let program = Noting::that_at_its_second_start(":");
        let mut reference = Reference::start(&program.recipe).await.expect("starts");
        reference.restart(signal).await.expect("comes back");
        assert_eq!(reference.ended(), None);
        let [first, second] = &program.starts()[..] else { panic!("{:?}", program.starts()) };
        assert!(!runs(first.pid) && runs(second.pid));
        assert_eq!((&*first.listen, &*second.listen), ("127.0.0.1:0", "127.0.0.1:4242"));
        assert_eq!((&first.secret, &first.state), (&second.secret, &second.state));
        assert!(first.state.is_dir());
        reference.stop().await;
        assert!(!runs(second.pid));
        assert!(!first.state.exists(), "the state goes with the run");
    }
}

#[tokio::test]
async fn a_second_child_that_is_forgotten_is_killed_as_the_first_would_be() {
    let program = Noting::that_at_its_second_start(":");
    let mut reference = Reference::start(&program.recipe).await.expect("starts");
    reference.restart(RestartSignal::Kill).await.expect("comes back");
    drop(reference);
    is_gone_soon(program.starts()[1].pid).await;
}

#[tokio::test]
async fn a_child_that_does_not_come_back_has_ended_and_says_of_what() {
    let program = Noting::that_at_its_second_start("exit 3");
    let mut reference = Reference::start(&program.recipe).await.expect("starts");
    let error = reference.restart(RestartSignal::Term).await.expect_err("stays away").to_string();
    assert!(error.contains("ended before it listened"), "{error}");
    let why = reference.ended().expect("it has ended");
    assert!(why.contains("planned restart") && why.contains("ended before it listened"), "{why}");
    reference.stop().await;
}

#[tokio::test]
async fn a_child_that_was_kept_from_listening_for_a_moment_comes_back() {
    let folder = tempfile::TempDir::new().expect("a folder for its mark");
    let tried = folder.path().join("tried");
    let tried = tried.to_str().expect("text");
    let once = format!("[ -e {tried} ] || {{ : > {tried}; exit 3; }}");
    let program = Noting::that_at_its_second_start(&once);
    let mut reference = Reference::start(&program.recipe).await.expect("starts");
    reference.restart(RestartSignal::Kill).await.expect("comes back at the second attempt");
    assert_eq!(program.starts().len(), 2);
    reference.stop().await;
}
