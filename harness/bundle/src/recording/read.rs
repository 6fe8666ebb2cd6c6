//! Reads a recording: frame by frame, or whole through shards as its run had them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use khala_evidence::framing::{FrameError, Frames};
use khala_evidence::record::{Record, Sink};
use khala_evidence::recording::{self, Chunk, End, Line, Thread};
use khala_evidence::{Context, Shard};

use crate::Error;
use crate::names::{RECORDING, RECORDING_1};

/// The lines of a recording, each with the records that follow it; ends after the first error.
#[derive(Debug)]
pub struct Lines(Frames<BufReader<File>>);

impl Iterator for Lines {
    type Item = Result<(Line, Vec<Record>), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_as(recording::lines)
    }
}

/// Opens the recording of the bundle `dir`, if there is one.
pub(crate) fn open(dir: &Path) -> Result<Option<Lines>, Error> {
    let there = [RECORDING, RECORDING_1].into_iter().find(|name| dir.join(name).is_file());
    let Some(name) = there else { return Ok(None) };
    let file = File::open(dir.join(name)).map_err(Error::read(&dir.join(name)))?;
    let frames = recording::open(BufReader::new(file)).map_err(|error| match error {
        FrameError::OtherVersion { found, known } => {
            Error::Version { dir: dir.to_owned(), file: RECORDING, found, known }
        }
        error => unusable(dir)(error.to_string()),
    })?;
    Ok(Some(Lines(frames)))
}

fn unusable(dir: &Path) -> impl Fn(String) -> Error {
    let dir: PathBuf = dir.to_owned();
    move |why| Error::Recording { dir: dir.clone(), why }
}

/// Gives each thread's records to a shard, as when the run went on; all of them merged.
pub(crate) fn replayed(dir: &Path, context: &Arc<Context>) -> Result<Shard, Error> {
    let cannot = unusable(dir);
    let lines = open(dir)?.ok_or_else(|| cannot("there is none: run with --record".to_owned()))?;
    let mut shards: BTreeMap<u16, Shard> = BTreeMap::new();
    let mut read: BTreeMap<u16, Thread> = BTreeMap::new();
    let mut end: Option<End> = None;
    for line in lines {
        let (line, records) = line.map_err(|error| cannot(error.to_string()))?;
        match line {
            Line::Begin(_) => {}
            Line::Chunk(chunk) => {
                enter(&mut read, chunk).map_err(&cannot)?;
                let shard =
                    shards.entry(chunk.thread).or_insert_with(|| Shard::new(Arc::clone(context)));
                records.into_iter().for_each(|record| shard.record(record));
            }
            Line::End(line) => end = Some(line),
        }
    }
    let end = end.ok_or_else(|| cannot("it has no end: the run was killed".to_owned()))?;
    whole(&end, &read).map_err(cannot)?;
    let shards = shards.into_values();
    Ok(shards.reduce(Shard::merge).unwrap_or_else(|| Shard::new(Arc::clone(context))))
}

/// Counts a chunk, which must be its thread's next.
fn enter(read: &mut BTreeMap<u16, Thread>, chunk: Chunk) -> Result<(), String> {
    let Chunk { thread, number, records } = chunk;
    let known = read.entry(thread).or_insert(Thread { thread, ..Thread::default() });
    if number != known.chunks {
        return Err(format!("a chunk of thread {thread} before its number {number} is missing"));
    }
    known.chunks += 1;
    known.records += records;
    Ok(())
}

/// Whether all that the end speaks of was read.
fn whole(end: &End, read: &BTreeMap<u16, Thread>) -> Result<(), String> {
    for said in &end.threads {
        let thread = said.thread;
        if said.dropped > 0 {
            return Err(format!("thread {thread} had to drop {} records", said.dropped));
        }
        let found = read.get(&thread).copied().unwrap_or(Thread { thread, ..Thread::default() });
        if found != *said {
            let (found, said) = (found.records, said.records);
            return Err(format!("of thread {thread} there are {found} records of {said}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: u64) -> Chunk {
        Chunk { thread: 1, number, records: 5 }
    }

    fn end(thread: Thread) -> End {
        let threads = vec![thread];
        End { at: 0, drained: true, interrupted: false, lost_threads: 0, threads }
    }

    #[test]
    fn a_recording_without_all_that_its_end_speaks_of_is_not_whole() {
        let mut read = BTreeMap::new();
        assert_eq!(enter(&mut read, chunk(0)), Ok(()));
        assert!(enter(&mut read, chunk(2)).is_err(), "one is missing");
        assert_eq!(enter(&mut read, chunk(1)), Ok(()));
        let all = Thread { thread: 1, chunks: 2, records: 10, dropped: 0 };
        assert_eq!(whole(&end(all), &read), Ok(()));
        for more in [
            Thread { chunks: 3, ..all },
            Thread { records: 11, ..all },
            Thread { dropped: 1, ..all },
            Thread { thread: 2, ..all },
        ] {
            assert!(whole(&end(more), &read).is_err(), "{more:?}");
        }
    }
}
