//! The one printer: results on standard output, everything else on standard error.
//!
//! Nothing else writes to either. A reader that has gone (`2>&1 | head`), a disk that is full and a
//! terminal that hung up never end the process, and never change what a verdict makes it end with.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use khala_engine::command::Redactor;
use khala_engine::{environment, said};

use crate::exit::{Exit, Failure};

/// Whether escapes may be written to a stream.
#[must_use]
pub fn colour_on(terminal: bool) -> bool {
    let forced = environment::variable("FORCE_COLOR").is_some_and(|value| value != "0");
    (terminal || forced) && !environment::is_set("NO_COLOR")
}

/// Prints a result that stands nowhere else. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// When it cannot be written: whoever asked for it has not got it.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    write(bytes).context("cannot write to standard output").map_err(Failure::from)
}

/// Prints what a command came to. Its exit code says that too, so one that cannot be written costs a
/// warning, once, and not the code.
pub fn verdict(bytes: &[u8]) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if let Err(error) = write(bytes)
        && !WARNED.swap(true, Ordering::Relaxed)
    {
        say(&format!(
            "warning: cannot write to standard output: {error}; the exit code tells the verdict"
        ));
    }
}

/// What a command ends with that came to `exit` and could not write a file that was asked for: nobody takes a GO for all
/// that they asked for, and what is no GO stays what it is.
///
/// # Errors
/// When it would be 0.
pub fn unwritten(written: Result<(), Failure>, exit: Exit) -> Result<Exit, Failure> {
    match written {
        Err(failure) if exit == Exit::Go => Err(failure),
        Err(other) => {
            failure(&other);
            Ok(exit)
        }
        Ok(()) => Ok(exit),
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Says something on standard error, whether or not anybody hears it.
pub fn say(text: &str) {
    // One call, so that lines of several processes do not mix.
    let _ = Log.write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Prints help or the version, or says what is wrong with the arguments.
pub fn arguments(error: &clap::Error) -> Exit {
    let colour = |terminal: bool, text: clap::builder::StyledStr| {
        if colour_on(terminal) { text.ansi().to_string() } else { text.to_string() }
    };
    if error.use_stderr() {
        say(&colour(io::stderr().is_terminal(), error.render()));
        return Exit::Usage;
    }
    match print(colour(io::stdout().is_terminal(), error.render()).as_bytes()) {
        Ok(()) => Exit::Go,
        Err(failure) => {
            say(&failure.message);
            failure.exit
        }
    }
}

/// Says why a command could not do what it was asked, without the secrets that it met on the way: what an error quotes is
/// not its author's to know.
pub fn failure(failure: &Failure) {
    say(&Redactor::of_process().word(&failure.message));
}

/// Says that the program has a bug, on whichever thread it showed; for [`std::panic::set_hook`].
pub fn bug(panic: &PanicHookInfo<'_>) {
    let known = Redactor::of_panic();
    say(&described(panic, &Backtrace::capture(), known.as_ref()));
}

/// A panic in a sentence, and how it came to it where that was asked for. A message may quote whatever was at hand: secrets
/// that were met are taken out of it, and what looks like one; without those that were met it is left out.
fn described(panic: &PanicHookInfo<'_>, trace: &Backtrace, known: Option<&Redactor>) -> String {
    let what = panic.payload_as_str().unwrap_or("it does not say what went wrong");
    let what = match known {
        Some(known) => said::lines(&known.word(what)).replace('\n', " "),
        None => "what it says is left out, for it may be a secret".to_owned(),
    };
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let head = format!(
        "error: a bug in khala-harness {}{place}: {what}; please report it to whoever gave you this build, with the command \
         line and what stands above",
        env!("CARGO_PKG_VERSION")
    );
    match (trace.status(), known) {
        (BacktraceStatus::Captured, Some(known)) => {
            format!("{head}\n{}", known.word(&trace.to_string()))
        }
        _ => format!("{head} (RUST_BACKTRACE=1 shows more)"),
    }
}

/// Standard error, for a log: what cannot be written is dropped.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a bug, of a process that knows some secrets or cannot know any.
    fn said_of(bug: fn(), known: Option<Redactor>, trace: fn() -> Backtrace) -> String {
        // The hook is the whole process's.
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (say, heard) = std::sync::mpsc::sync_channel(64);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Other tests may fail meanwhile; nobody listens then.
            let _ = say.try_send(described(panic, &trace(), known.as_ref()));
        }));
        let ended = std::panic::catch_unwind(|| -> Exit {
            bug();
            Exit::Go
        });
        std::panic::set_hook(before);
        assert_eq!(ended.unwrap_or(Exit::Internal), Exit::Internal);
        heard.iter().find(|said| said.contains("output.rs")).expect("told")
    }

    #[test]
    fn a_bug_is_one_sentence_with_its_place() {
        let known = Some(Redactor::default());
        let said = said_of(|| panic!("the moon\nis full"), known, Backtrace::disabled);
        assert!(said.contains("the moon is full"), "{said}");
        assert!(said.starts_with("error: a bug in khala-harness 0."), "{said}");
        assert!(said.contains("output.rs:") && !said.contains('\n'), "{said}");
    }

    #[test]
    fn no_secret_is_in_what_is_said_of_a_bug() {
        let known = || Some(Redactor::new([b"hunter2".to_vec()], []));
        for (bug, says) in [
            ((|| panic!("the key hunter2 is no good")) as fn(), "the key [redacted] is no good"),
            // Whoever made it: tokens that are signed on the way are in no list.
            (|| panic!("sent eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), "sent [redacted];"),
            (|| panic!("Authorization: Bearer abc"), "Authorization: Bearer [redacted];"),
        ] {
            let said = said_of(bug, known(), Backtrace::force_capture);
            assert!(said.contains(says), "{says}: {said}");
            assert!(said.contains("\n   0: "), "with how it came to it: {said}");
        }
        let said = said_of(|| panic!("the key hunter2 is no good"), None, Backtrace::force_capture);
        assert!(said.contains("is left out") && !said.contains("hunter2"), "{said}");
    }
}
