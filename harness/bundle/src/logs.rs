//! The logs into which a run's threads record: the journal, from which everything is made, and the
//! recording of single records, where it is wanted.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use khala_evidence::Context;
use khala_evidence::journal::Begin;
use khala_evidence::record::{Record, Sink};
use khala_evidence::standing::Standing;
use khala_plan::{Plan, Schedule};

use crate::Error;
use crate::journal::{Journal, Journalled, Sizes};
use crate::recording::Begin as RecordingBegin;
use crate::recording::write::{Recorder, RecordingWriter};

/// What a run's logs are to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Bytes that the journal should stay below; near it, it is written less often.
    pub journal_max: u64,
    /// Whether single records are kept as well.
    pub recording: bool,
}

/// The logs of a run that goes on.
pub struct Logs {
    journal: Journal,
    recording: Option<RecordingWriter>,
}

impl Logs {
    pub(crate) fn begin(
        dir: &Path,
        (plan, schedule): (&Plan, &Schedule),
        begin: Begin,
        events: File,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let context = Arc::new(Context::of(plan, schedule));
        let (run_id, version) = (begin.run_id.clone(), begin.tool_version.clone());
        let sizes = Sizes::of(plan.fleet.clients, wanted.journal_max);
        let journal = Journal::begin(dir, begin, context, events, sizes)?;
        let line = || RecordingBegin::of(plan, schedule, run_id, version);
        let recording =
            wanted.recording.then(|| RecordingWriter::begin(dir, line())).transpose()?;
        Ok(Self { journal, recording })
    }

    /// The sink of one more thread.
    pub fn sink(&mut self) -> LogSink {
        let recorder = self.recording.as_mut().map(RecordingWriter::recorder);
        LogSink { shard: self.journal.sink(), recorder }
    }

    /// What the run comes to so far: of each second some tenths after it, later where the journal is near its
    /// limit, and no more once it cannot be written.
    #[must_use]
    pub fn standing(&self) -> Arc<Mutex<Standing>> {
        self.journal.standing()
    }

    pub(crate) fn into_parts(self) -> (Journal, Option<RecordingWriter>) {
        (self.journal, self.recording)
    }
}

/// A thread's way into the logs. It waits for nobody, and belongs to one thread.
pub struct LogSink {
    pub(crate) shard: Journalled,
    pub(crate) recorder: Option<Recorder>,
}

impl Sink for LogSink {
    fn record(&mut self, record: Record) {
        if let Some(recorder) = &mut self.recorder {
            recorder.keep(&record);
        }
        self.shard.record(record);
    }
}
