//! The one printer: results on standard output, everything else on standard error.
//!
//! Nothing else writes to either. A reader that has gone (`2>&1 | head`), a disk that is full and a
//! terminal that hung up never end the process, and never change what a verdict makes it end with.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use khala_engine::environment;

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

/// Says that the program has a bug, on whichever thread it showed; for [`std::panic::set_hook`].
pub fn bug(panic: &PanicHookInfo<'_>) {
    say(&described(panic, &Backtrace::capture()));
}

fn described(panic: &PanicHookInfo<'_>, trace: &Backtrace) -> String {
    let what = panic.payload_as_str().unwrap_or("it does not say what went wrong");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let head = format!(
        "error: a bug in khala-harness{place}: {what}; please report it with the command line and \
         what stands above"
    );
    match trace.status() {
        BacktraceStatus::Captured => format!("{head}\n{trace}"),
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

    #[test]
    fn a_bug_is_one_sentence_with_its_place() {
        let (say, heard) = std::sync::mpsc::sync_channel(64);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Other tests may fail meanwhile; nobody listens then.
            let _ = say.try_send(described(panic, &Backtrace::disabled()));
        }));
        let ended = std::panic::catch_unwind(|| -> Exit { panic!("the moon is full") });
        std::panic::set_hook(before);
        assert_eq!(ended.unwrap_or(Exit::Internal), Exit::Internal);
        let said = heard.iter().find(|said| said.contains("the moon is full")).expect("told");
        assert!(said.starts_with("error: a bug in khala-harness at "), "{said}");
        assert!(said.contains("output.rs:") && !said.contains('\n'), "{said}");
    }
}
