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

async fn told_by(script: &str, within: Duration) -> Result<String, String> {
    told(&sh(script), &Place::here(within), &Redactor::default()).await
}

#[tokio::test]
async fn a_command_tells_what_is_wanted_of_it_or_why_not() {
    assert_eq!(told_by("printf 'one\\ntwo\\n\\n'", LONG).await, Ok("one\ntwo".to_owned()));
    assert_eq!(told_by("true", LONG).await, Err("it wrote nothing".to_owned()));
    assert_eq!(told_by("printf '\\377'", LONG).await, Err("it wrote what is no UTF-8".to_owned()));
    let refused = told_by("echo secret; echo it is; echo locked >&2; exit 3", LONG).await;
    assert_eq!(refused, Err("it ended with exit code 3: locked".to_owned()));
    let nowhere = ["/nowhere/at/all".to_owned()];
    let nowhere = told(&nowhere, &Place::here(LONG), &Redactor::default()).await;
    let nowhere = nowhere.expect_err("not there");
    assert!(nowhere.starts_with("it cannot be run: No such file"), "{nowhere}");
    let killed = told_by("kill -9 $$", LONG).await;
    assert_eq!(killed, Err("it was ended by signal 9".to_owned()));
}

#[tokio::test]
async fn what_a_command_tells_is_whole_or_nothing() {
    let long =
        told_by("head -c 3000000 /dev/zero | tr '\\0' s; head -c 200000 /dev/zero >&2", LONG).await;
    assert_eq!(long.map(|told| told.len()), Ok(3_000_000));
    let much = told_by("head -c 17000000 /dev/zero | tr '\\0' s", LONG).await;
    assert_eq!(much, Err("it wrote more than 16 MiB".to_owned()));
    // What the sleeper might add nobody waits for.
    let left = told_by("echo half; sleep 60 &", LONG).await;
    let why = "it left somebody behind who holds its standard output open";
    assert_eq!(left, Err(why.to_owned()));
    let daemon = told_by("sleep 60 > /dev/null & echo whole", LONG).await;
    assert_eq!(daemon, Ok("whole".to_owned()));
}

#[tokio::test]
async fn who_does_not_tell_in_time_is_ended_with_its_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let late = told_by(&script, Duration::from_millis(700)).await;
    assert_eq!(late, Err("it did not end within 700ms".to_owned()));
    let pid = std::fs::read_to_string(pid).expect("it was begun");
    assert!(gone(pid.trim()), "{pid}");
}

#[tokio::test]
async fn a_complaint_tells_no_secret() {
    let redactor = Redactor::new([b"hunter22".to_vec()], []);
    let script = sh("echo hunter22 is wrong >&2; exit 1");
    let refused = told(&script, &Place::here(LONG), &redactor).await;
    assert_eq!(refused, Err("it ended with exit code 1: [redacted] is wrong".to_owned()));
}
