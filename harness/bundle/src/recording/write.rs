//! Writes the recording of a run while it goes on, on a thread of its own.
//!
//! Each thread of the engine has a [`LogSink`]: the journal's shard, and a copy of its records on their way
//! to the writer. The way is bounded and nobody waits on it: what does not fit is dropped and
//! counted, and the recording's last line says so. That a recording failed is a finding and never the end of
//! a run: it is a second opinion, and the journal is the evidence.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use khala_evidence::facts::{Finding, RunFacts};
use khala_evidence::record::{Micros, Record};
use khala_evidence::recording::{self, Begin, Chunk, End, Line, Thread};

use crate::Error;
use crate::journal::Journalled;
use crate::logs::LogSink;
use crate::names::RECORDING;

/// Records in a chunk, at the most.
const CHUNK: usize = 2_048;
/// Chunks on their way to the writer: some 80 MiB at the most, where a target makes clients run in circles.
const QUEUE: usize = 256;
/// Bytes after which no chunk is begun any more.
const SIZE_MAX: u64 = 4 << 30;
/// How often a thread gives away what it has, however little.
const PACE_US: Micros = 1_000_000;

/// What goes to the writer: a thread's records, in order.
enum Message {
    Batch(Batch),
    /// Nothing follows. A thread that is lost may hold on to its way here for ever.
    Over,
}

struct Batch {
    thread: u16,
    records: Vec<Record>,
}

/// A recording being written.
pub(crate) struct RecordingWriter {
    sender: SyncSender<Message>,
    writer: JoinHandle<io::Result<Writer>>,
    sinks: u16,
}

impl RecordingWriter {
    /// Begins the recording of the bundle `dir`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(dir: &Path, begin: Begin) -> Result<Self, Error> {
        let path = dir.join(RECORDING);
        let cannot = || Error::write(&path);
        std::fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(cannot())?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(cannot())?;
        let mut head = recording::HEAD.to_vec();
        let line = Line::Begin(Box::new(begin));
        head.extend(recording::frame(&line, &[]).map_err(cannot())?);
        file.write_all(&head).map_err(cannot())?;
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Writer { file, size: head.len() as u64, threads: Vec::new() };
        let writer = std::thread::Builder::new()
            .name("khala-recording".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(Error::NoThread)?;
        Ok(Self { sender, writer, sinks: 0 })
    }

    pub(crate) fn recorder(&mut self) -> Recorder {
        let thread = self.sinks;
        self.sinks += 1;
        Recorder { thread, sender: self.sender.clone(), records: Vec::new(), due: 0, dropped: 0 }
    }

    /// Writes what the recorders still hold and how the run went. A finding if that is not all.
    fn finish(self, recorders: Vec<Recorder>, facts: &RunFacts) -> Option<Finding> {
        let mut dropped = Vec::new();
        for Recorder { thread, records, dropped: lost, .. } in recorders {
            dropped.push((thread, lost));
            // A writer that has failed has hung up; why is what it returns.
            let _ = self.sender.send(Message::Batch(Batch { thread, records }));
        }
        let _ = self.sender.send(Message::Over);
        let written = match self.writer.join() {
            Ok(Ok(writer)) => writer.end(&dropped, facts),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("its thread ended with a bug")),
        };
        let message = match written {
            Ok(0) => return None,
            Ok(lost) => format!("{RECORDING} is without {lost} records that it had to drop"),
            Err(error) => format!("{RECORDING} could not be written to its end: {error}"),
        };
        Some(Finding::at_end("recording_incomplete", message, 1))
    }
}

/// A thread's records on their way to the writer.
pub(crate) struct Recorder {
    thread: u16,
    sender: SyncSender<Message>,
    records: Vec<Record>,
    due: Micros,
    dropped: u64,
}

impl Recorder {
    pub(crate) fn keep(&mut self, record: &Record) {
        if !recording::keeps(record) {
            return;
        }
        let at = record.at();
        self.records.push(record.clone());
        if self.records.len() >= CHUNK || at >= self.due {
            self.due = at.max(self.due).saturating_add(PACE_US);
            self.give();
        }
    }

    fn give(&mut self) {
        let records = std::mem::replace(&mut self.records, Vec::with_capacity(CHUNK));
        let count = records.len() as u64;
        let batch = Message::Batch(Batch { thread: self.thread, records });
        if self.sender.try_send(batch).is_err() {
            self.dropped += count;
        }
    }
}

struct Writer {
    file: File,
    size: u64,
    /// By number.
    threads: Vec<Thread>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) -> io::Result<Self> {
        while let Ok(Message::Batch(batch)) = messages.recv() {
            self.write(&batch)?;
        }
        Ok(self)
    }

    fn thread(&mut self, thread: u16) -> &mut Thread {
        while self.threads.len() <= usize::from(thread) {
            let next = u16::try_from(self.threads.len()).unwrap_or(u16::MAX);
            self.threads.push(Thread { thread: next, ..Thread::default() });
        }
        &mut self.threads[usize::from(thread)]
    }

    fn write(&mut self, Batch { thread, records }: &Batch) -> io::Result<()> {
        let count = records.len() as u64;
        if self.size >= SIZE_MAX {
            self.thread(*thread).dropped += count;
        } else if count > 0 {
            let known = self.thread(*thread);
            let chunk = Chunk { thread: *thread, number: known.chunks, records: count };
            known.chunks += 1;
            known.records += count;
            self.append(&recording::frame(&Line::Chunk(chunk), records)?)?;
        }
        Ok(())
    }

    fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.size += frame.len() as u64;
        self.file.write_all(frame)
    }

    /// Writes the end; how many records are missing.
    fn end(mut self, dropped: &[(u16, u64)], facts: &RunFacts) -> io::Result<u64> {
        for &(thread, count) in dropped {
            self.thread(thread).dropped += count;
        }
        let end = End {
            at: facts.duration_us,
            drained: facts.drained,
            interrupted: facts.interrupted,
            lost_threads: facts.generator.lost_threads,
            threads: self.threads.clone(),
        };
        self.append(&recording::frame(&Line::End(end), &[])?)?;
        self.file.sync_all()?;
        Ok(self.threads.iter().map(|thread| thread.dropped).sum())
    }
}

/// Ends the recording, if there is one; gives back the shards.
pub(crate) fn finish(
    recording: Option<RecordingWriter>,
    sinks: Vec<LogSink>,
    facts: &mut RunFacts,
) -> Vec<Journalled> {
    let parts = sinks.into_iter().map(|sink| (sink.shard, sink.recorder));
    let (shards, recorders): (Vec<_>, Vec<_>) = parts.unzip();
    if let Some(recording) = recording {
        let recorders = recorders.into_iter().flatten().collect();
        facts.findings.extend(recording.finish(recorders, facts));
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_slow_writer_and_what_it_has_no_room_for_is_counted() {
        let (sender, receiver) = sync_channel(1);
        let mut recorder =
            Recorder { thread: 0, sender, records: Vec::new(), due: Micros::MAX, dropped: 0 };
        for at in 0..3 * CHUNK as u64 {
            recorder.keep(&Record::Connected { client: 1, at });
            let excerpt = "text".into();
            recorder.keep(&Record::Frame { client: 1, at, sent: true, bytes: 4, excerpt });
        }
        let Ok(Message::Batch(first)) = receiver.recv() else { panic!("one had room") };
        assert_eq!((first.records.len(), recorder.dropped), (CHUNK, 2 * CHUNK as u64));
        assert!(first.records.iter().all(recording::keeps), "frames stay away");
    }
}
