//! Watches a run while it goes on, and ends it early once something failed in it.
//!
//! It reads the journal that the run writes, as anybody could, and changes nothing but the moment of the end: what
//! follows from the evidence is the judge's.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use khala_bundle::names::JOURNAL;
use khala_engine::clock;
use khala_evidence::journal::{Entries, HEAD};
use khala_evidence::judge::Verdict;
use khala_stage::parts;
use khala_stage::series::Series;
use khala_stage::windows::{self, Indicator, Settings};
use tokio_util::sync::CancellationToken;

use super::clock::now;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two judgements of the windows, at the least; a four-hundredth of what was held more.
const JUDGE: Duration = Duration::from_secs(5);

/// What to look for.
#[derive(Clone, Default)]
pub struct Wanted {
    /// How long a run goes on after something failed; `None` where nothing ends it early.
    pub grace: Option<Duration>,
    /// For how long nobody may have a socket; `None` where faults cut them off.
    pub dark: Option<Duration>,
    /// The rolling windows of a hold, and when its phase begins and ends, in microseconds of the run.
    pub hold: Option<(Settings, u64, u64)>,
    /// When the business day ends in which it is held, in milliseconds since 1970: it does not go on in the evening,
    /// whatever became of the machine's clock meanwhile.
    pub closes_ms: Option<i64>,
    /// Whether the oracle decides nothing: its gate is advisory.
    pub oracle_is_advisory: bool,
    /// What of the windows is none of the target's doing.
    pub left_out: &'static [Indicator],
}

/// A thread that watches; it ends when this is dropped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    why: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches the run in the bundle `dir`, and cancels `end` once it failed.
    pub fn start(dir: &Path, end: CancellationToken, wanted: Wanted) -> Self {
        let (stop, why) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let mut series = Series::default();
        wanted.left_out.iter().for_each(|indicator| series.leave_out(*indicator));
        let look = Looking {
            path: dir.join(JOURNAL),
            at: HEAD.len() as u64,
            series,
            wanted,
            dark_since: None,
            judged_at: None,
        };
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&why));
        let thread = std::thread::Builder::new()
            .name("khala-watch".to_owned())
            .spawn(move || watch(look, &end, &stopped, &told))
            .ok();
        Self { stop, why, thread }
    }

    /// Ends watching; why the run was ended early, if it was.
    pub fn ended(mut self) -> Option<String> {
        self.join();
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.join();
    }
}

fn watch(
    mut look: Looking,
    end: &CancellationToken,
    stop: &AtomicBool,
    told: &Mutex<Option<String>>,
) {
    let mut failed: Option<(String, Instant)> = None;
    while !stop.load(Ordering::Relaxed) && !end.is_cancelled() {
        look.read();
        if look.is_after_hours(now().unix_ms) {
            // Nothing failed: what was held until now counts, and the rest of it is held in another part.
            end.cancel();
            return;
        }
        if failed.is_none()
            && let Some(grace) = look.wanted.grace
        {
            failed = look.failed().map(|(why, at_once)| {
                let grace = if at_once { Duration::ZERO } else { grace };
                (why, clock::system_now() + grace)
            });
        }
        if let Some((why, _)) = failed.take_if(|(_, due)| clock::system_now() >= *due) {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            end.cancel();
            return;
        }
        std::thread::sleep(LOOK);
    }
}

struct Looking {
    path: PathBuf,
    /// Bytes of the journal that were read.
    at: u64,
    series: Series,
    wanted: Wanted,
    dark_since: Option<Instant>,
    judged_at: Option<Instant>,
}

impl Looking {
    /// Reads what was written since the last look.
    fn read(&mut self) {
        let Ok(mut file) = File::open(&self.path) else { return };
        if file.seek(SeekFrom::Start(self.at)).is_err() {
            return;
        }
        let read = Counting { inner: BufReader::new(file), count: std::rc::Rc::default() };
        let count = std::rc::Rc::clone(&read.count);
        let Ok(mut entries) = Entries::of(HEAD.chain(read)) else { return };
        let mut whole = 0;
        // What is being written now is read the next time.
        while let Some(Ok(entry)) = entries.next() {
            self.series.take(&entry);
            whole = count.get();
        }
        self.at += whole;
    }

    /// Whether the business day is over, and the hold is not.
    fn is_after_hours(&self, now_ms: i64) -> bool {
        let lead_ms = self.wanted.hold.as_ref().map_or(0, |(_, from_us, _)| from_us / 1_000);
        let closes_ms = self.wanted.closes_ms.filter(|_| !self.is_over());
        closes_ms.is_some_and(|closes_ms| parts::is_over(now_ms, closes_ms, lead_ms))
    }

    /// What failed, and whether the run ends at once for it.
    fn failed(&mut self) -> Option<(String, bool)> {
        let violations = self.series.violations();
        if violations > 0 && !self.wanted.oracle_is_advisory {
            return Some((
                format!("{violations} violations of the oracle's rules were proven"),
                false,
            ));
        }
        // Behind the hold the clients are taken out, and what was found is written.
        if let Some(dark) = self.wanted.dark.filter(|_| !self.is_over()) {
            let now = clock::system_now();
            match self.series.open() {
                Some(0) => {
                    let since = *self.dark_since.get_or_insert(now);
                    if now - since >= dark {
                        return Some((format!("nobody had a socket for {dark:?}"), false));
                    }
                }
                _ => self.dark_since = None,
            }
        }
        self.windows()
    }

    /// Whether the seconds of the hold have all been told.
    fn is_over(&self) -> bool {
        let told = self.series.last().map(|last| (u64::from(last) + 1) * 1_000_000);
        let until = self.wanted.hold.as_ref().map(|(_, _, until)| *until);
        told.zip(until).is_some_and(|(told, until)| told >= until)
    }

    fn windows(&mut self) -> Option<(String, bool)> {
        let (settings, from_us, until_us) = self.wanted.hold.as_ref()?;
        let now = clock::system_now();
        let last = self.series.last()?;
        if self
            .judged_at
            .is_some_and(|at| now - at < JUDGE + Duration::from_secs(last.into()) / 400)
        {
            return None;
        }
        self.judged_at = Some(now);
        let told_us = (u64::from(last) + 1) * 1_000_000;
        let seconds = self.series.between(*from_us, told_us.min(*until_us));
        // A window that is not full yet says nothing of ten minutes.
        let full = settings.window_s.min(settings.hold_s);
        let windows = windows::judge(&seconds, settings);
        if windows.escalated {
            return Some((
                "more than 25 % of the sessions failed over five minutes".to_owned(),
                true,
            ));
        }
        if (seconds.len() as u64) < full {
            return None;
        }
        let failed = windows.indicators.iter().find(|line| line.verdict == Verdict::Fail)?;
        Some((format!("`{}`: {}", failed.indicator.name(), failed.reason), false))
    }
}

/// Counts what is read through it.
struct Counting<R> {
    inner: R,
    count: std::rc::Rc<std::cell::Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}
