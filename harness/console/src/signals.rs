//! Ctrl-C, SIGTERM and SIGHUP: the first ends the run with evidence, a later one ends at once.
//!
//! A process manager, a shell and a terminal that goes away may each send the same wish, within
//! milliseconds and more than once. So what follows within a second of the first signal is that
//! signal again. A SIGHUP that is ignored when the process starts (`nohup`) stays ignored.

use std::path::Path;
use std::time::Duration;

use khala_engine::owed;
use procfs::process::Process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};
use crate::output;
use khala_engine::clock;

/// How often is looked for a stop file.
pub const LOOK_FOR_STOP_FILE: Duration = Duration::from_millis(200);
/// For how long repeats of the first signal are the same wish.
const SAME_WISH: Duration = Duration::from_secs(1);

/// A token that the first signal cancels. One more than a second after it ends the process with 105.
///
/// Signals are heard until the process ends, whatever its other threads do meanwhile: writing the
/// evidence may be what takes too long.
///
/// # Errors
/// When the handlers or their thread cannot be made.
pub fn token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::heard()?
    };
    std::thread::Builder::new().name("khala-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            let first = clock::system_now();
            output::say("interrupted: writing the evidence; once more to quit at once");
            cancelled.cancel();
            while clock::system_now() - first < SAME_WISH {
                signals.next().await;
            }
        });
        for what in owed::begin_all() {
            output::say(&format!("taking back what a fault did, without waiting for it: {what}"));
        }
        std::process::exit(Exit::Interrupted.code().into());
    })?;
    Ok(token)
}

/// Cancels the token as soon as the file is there, as a signal does; refuses one that is there already.
///
/// # Errors
/// When it is there, or nobody can look for it.
pub fn stop_file(token: &CancellationToken, file: &Path) -> Result<(), Failure> {
    no_stop_file_yet(file)?;
    let (token, file) = (token.clone(), file.to_owned());
    let looking = std::thread::Builder::new().name("khala-stop-file".to_owned()).spawn(move || {
        while !file.exists() {
            std::thread::sleep(LOOK_FOR_STOP_FILE);
        }
        output::say(&format!("{} is there: ending", file.display()));
        token.cancel();
    });
    let cannot =
        |error| Failure::new(Exit::Internal, format!("cannot look for a stop file: {error}"));
    looking.map(drop).map_err(cannot)
}

/// Refuses a stop file that is there before anything began.
///
/// # Errors
/// When it is.
pub fn no_stop_file_yet(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let what = format!(
        "the stop file {} is there already: nothing was sent; remove it to run",
        file.display()
    );
    Err(Failure::new(Exit::Setup, what))
}

/// A token that every signal cancels, without a word.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn quiet_token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut signals = Signals::heard()?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        signals.next().await;
        cancelled.cancel();
    });
    Ok(token)
}

/// The signals that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where it is ignored.
    hang_up: Option<Signal>,
}

impl Signals {
    fn heard() -> std::io::Result<Self> {
        let hang_up = (!ignores_hang_up()).then(|| signal(SignalKind::hangup())).transpose()?;
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, hang_up })
    }

    /// Waits for the next of them.
    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Whether whoever started this process wants it to outlive its terminal. Where that cannot be read, it is
/// as if nobody had said so.
fn ignores_hang_up() -> bool {
    let status = Process::myself().and_then(|me| me.status());
    status.is_ok_and(|status| status.sigign & 1 == 1)
}
