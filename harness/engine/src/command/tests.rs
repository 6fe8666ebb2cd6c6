//! Commands as they end, and as they are ended.

use super::*;
use crate::clock;

fn place(folder: &std::path::Path, within: Duration) -> Place {
    let variables = vec![("KHALA_PHASE", OsString::from("storm"))];
    Place { folder: folder.to_owned(), variables, within }
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

async fn ran(script: &str, within: Duration, ending: Option<&CancellationToken>) -> CommandRun {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::starting_in(Duration::ZERO);
    let place = place(folder.path(), within);
    run("command", &sh(script), &place, ending, &Redactor::default(), clock).await
}

const LONG: Duration = Duration::from_secs(60);

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    state.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a process is gone.
fn gone(pid: &str) -> bool {
    let until = clock::system_now() + LONG;
    while is_alive(pid) && clock::system_now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    !is_alive(pid)
}

#[tokio::test]
async fn a_command_runs_where_it_should_and_what_it_says_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::starting_in(Duration::ZERO);
    let place = place(folder.path(), LONG);
    let script = sh("pwd; echo \"$KHALA_PHASE\"; echo no >&2; exit 3");
    let ran = run("check", &script, &place, None, &Redactor::default(), clock).await;
    let here = folder.path().canonicalize().expect("is there").display().to_string();
    assert_eq!(ran.stdout.lines().last(), Some("storm"));
    assert!(ran.stdout.contains(&here) || ran.stdout.contains("redacted"), "{}", ran.stdout);
    assert_eq!((ran.stderr.as_str(), &ran.end), ("no", &CommandEnd::Exited { code: 3 }));
    assert!(!ran.succeeded());
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::starting_in(Duration::ZERO);
    let words = ["khala-no-such-program".to_owned()];
    let place = place(folder.path(), LONG);
    let ran = run("command", &words, &place, None, &Redactor::default(), clock).await;
    let CommandEnd::NotRun { why } = &ran.end else { panic!("{:?}", ran.end) };
    assert!(why.contains("No such file"), "{why}");
}

#[tokio::test]
async fn a_signal_of_others_is_no_exit_code() {
    let ran = ran("kill -9 $$", LONG, None).await;
    assert_eq!(ran.end, CommandEnd::Signalled { signal: 9 });
}

#[tokio::test]
async fn at_its_time_out_the_whole_group_ends_even_if_it_is_deaf() {
    let ran = ran(
        "trap '' TERM; (trap '' TERM; sleep 600) & echo $!; wait",
        Duration::from_millis(500),
        None,
    )
    .await;
    assert_eq!(ran.end, CommandEnd::TimedOut);
    assert!(gone(ran.stdout.trim()), "{}", ran.stdout);
}

#[tokio::test]
async fn when_the_run_is_cut_short_so_is_the_command() {
    let ending = CancellationToken::new();
    ending.cancel();
    let ran = ran("exec sleep 600", LONG, Some(&ending)).await;
    assert_eq!(ran.end, CommandEnd::CutShort);
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_left_alone_and_not_waited_for() {
    let ran = ran("sleep 600 & echo $!", LONG, None).await;
    assert!(ran.succeeded());
    let left = ran.stdout.trim();
    assert!(is_alive(left), "{left}");
    let pid = left.parse().ok().and_then(Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("is ours");
}

#[tokio::test]
async fn a_dropped_command_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = folder.path().join("pid");
    let place = place(folder.path(), LONG);
    let clock = Clock::starting_in(Duration::ZERO);
    let script = sh("echo $$ > pid.tmp; mv pid.tmp pid; exec sleep 600");
    {
        let redactor = Redactor::default();
        let running = run("command", &script, &place, None, &redactor, clock);
        let started = async {
            while !said.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ran = running => panic!("{ran:?}"),
            () = started => {}
        }
    }
    let pid = std::fs::read_to_string(&said).expect("is there");
    assert!(gone(pid.trim()), "{pid}");
}
