//! Secrets that a command tells: run once, in a process group of its own, timed.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::said;

/// How long it may take: a person may have to touch a key.
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes that a secret may have: a file of tokens has some thousand lines.
const SECRET_MAX: u64 = 16 << 20;

/// Bytes that are read of what it complains, and for how long they may be awaited when it has ended.
const COMPLAINT_MAX: u64 = 4096;
const COMPLAINS_WITHIN: Duration = Duration::from_secs(2);

/// What a command writes to standard output, without the white space at its end.
///
/// # Errors
/// Why there is none, in a clause that has nothing of its standard output.
pub(super) fn told_by(words: &[String]) -> Result<String, String> {
    told_within(words, WITHIN)
}

fn told_within(words: &[String], within: Duration) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("it is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (ended, end) = mpsc::sync_channel(1);
    let stderr = child.stderr.take();
    let (complains, complaint) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(COMPLAINT_MAX).read_to_end(&mut text);
            // Whoever writes more is not to break by it.
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        let _ = complains.send(said::word(String::from_utf8_lossy(&text).trim()).to_string());
    });
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = child.stdout.take().map(|stdout| stdout.take(SECRET_MAX).read_to_end(&mut text));
        // Whoever waited for it may be gone.
        let _ = ended.send((read.transpose(), child.wait(), text));
    });
    let Ok((read, status, text)) = end.recv_timeout(within) else {
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        return Err(format!("it did not end within {within:?}"));
    };
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    let status = status.map_err(|error| format!("it cannot be waited for: {error}"))?;
    if !status.success() {
        // What it left behind may hold the pipe for ever.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let complaint = complaint.recv_timeout(COMPLAINS_WITHIN).unwrap_or_default();
        let said = if complaint.is_empty() { complaint } else { format!(": {complaint}") };
        return Err(format!("it ended with {status}{said}"));
    }
    let text = String::from_utf8(text).map_err(|_| "it wrote what is no UTF-8".to_owned())?;
    match text.trim_end() {
        "" => Err("it wrote nothing".to_owned()),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(script: &str, within: Duration) -> Result<String, String> {
        told_within(&["sh", "-c", script].map(str::to_owned), within)
    }

    #[test]
    fn a_command_tells_its_secret_or_why_not() {
        let long = Duration::from_secs(60);
        assert_eq!(told("printf 'one\\ntwo\\n\\n'", long), Ok("one\ntwo".to_owned()));
        assert_eq!(told("true", long), Err("it wrote nothing".to_owned()));
        let refused = told("echo secret; echo locked >&2; exit 3", long).expect_err("it failed");
        assert!(refused.contains("exit status: 3: locked"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
        let nowhere = told_within(&["/nowhere/at/all".to_owned()], long).expect_err("not there");
        assert!(nowhere.starts_with("it cannot be started"), "{nowhere}");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let late = told(&script, Duration::from_millis(700)).expect_err("too late");
        assert_eq!(late, "it did not end within 700ms");
        let sleeper = std::fs::read_to_string(pid).expect("it was begun");
        let stat = format!("/proc/{}/stat", sleeper.trim());
        // Its group was ended; nobody may have gathered it yet.
        let ended = || std::fs::read_to_string(&stat).is_ok_and(|it| !it.contains(") Z "));
        for _ in 0..100 {
            if !ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it sleeps on");
    }

    #[test]
    fn who_complains_much_tells_its_secret_all_the_same_and_who_is_left_behind_holds_nobody() {
        let long = Duration::from_secs(60);
        assert_eq!(told("head -c 200000 /dev/zero >&2; echo s", long), Ok("s".to_owned()));
        let failed = told("sleep 600 >/dev/null & exit 1", long).expect_err("it failed");
        assert!(failed.contains("exit status: 1"), "{failed}");
    }
}
