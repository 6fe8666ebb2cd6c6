//! From a journal to a store, and back to a journal without history.

use std::io;
use std::path::Path;
use std::time::Duration;

use khala_wire::payload::Update;
use khala_wire::topic::{TopicId, WORKER_EVENTS};
use serde::Deserialize;

use super::Store;
use super::journal::{self, JournalError, Record, Write};
use super::worker::event_key;
use crate::clock;
use crate::config::TOPICS;
use crate::defect::{Defects, Kind};
use crate::sync::lock;

/// What is read back of a worker's event.
#[derive(Deserialize)]
struct Event {
    event_type: String,
    occurred_at: String,
    seq: u64,
    worker_id: String,
}

/// Defect `seq_reset_on_restart`: the topics whose history is not taken up, each chosen at the
/// first record of it.
struct Amnesia<'a> {
    defects: &'a Defects,
    chosen: [Option<bool>; TOPICS],
}

impl<'a> Amnesia<'a> {
    fn new(defects: &'a Defects) -> Self {
        Self { defects, chosen: [None; TOPICS] }
    }

    fn forgets(&mut self, topic: TopicId) -> bool {
        *self.chosen[topic.index()].get_or_insert_with(|| {
            let forgets = self.defects.acts(Kind::SeqResetOnRestart, 0, topic.index() as u64);
            if forgets {
                self.defects.note(Kind::SeqResetOnRestart);
            }
            forgets
        })
    }
}

impl Store {
    /// Takes up what a directory holds, and records into it from now on.
    ///
    /// # Errors
    /// When the directory cannot be used, or its journal is corrupt.
    pub fn take_up(&self, dir: &Path, defects: &Defects) -> Result<(), JournalError> {
        let mut amnesia = Amnesia::new(defects);
        journal::load(dir, |record| self.restore(record, &mut amnesia))?;
        self.mark_unprojected();
        self.journal
            .begin(dir, |write| self.rewrite(write))
            .map_err(|source| JournalError::Io { dir: dir.to_owned(), source })
    }

    fn restore(&self, record: Record, amnesia: &mut Amnesia<'_>) {
        match record {
            Record::Update { at_ms, update } => {
                let age = u64::try_from(clock::unix_ms() - at_ms).unwrap_or(0);
                let now = clock::now();
                let at = now.checked_sub(Duration::from_millis(age)).unwrap_or(now);
                let Some(topic) = TopicId::of(&update.topic) else { return };
                self.reconcile(&update);
                if !amnesia.forgets(topic) {
                    self.log(topic).restore(update, at);
                }
            }
            Record::Document { update } => {
                if let Some(topic) = TopicId::of(&update.topic)
                    && !amnesia.forgets(topic)
                {
                    self.log(topic).restore_document(update);
                }
            }
            Record::Floor { topic, floor } => {
                // A floor of 0 says nothing, and so there is nothing to forget.
                if let Some(topic) = TopicId::of(&topic)
                    && floor > 0
                    && !amnesia.forgets(topic)
                {
                    self.log(topic).restore_floor(floor);
                }
            }
            Record::Worker { worker } => lock(&self.authority).restore(worker),
            Record::Run { id, worker_id, metadata, at } => {
                lock(&self.runs).restore(id, worker_id, metadata, at);
            }
            Record::RunEvent { id, event, key, at } => {
                lock(&self.runs).restore_event(&id, event, key, at);
            }
        }
    }

    /// A kill may fall between an event and its worker's record: the event counts.
    fn reconcile(&self, update: &Update) {
        if update.topic != WORKER_EVENTS {
            return;
        }
        let payload = update.payload.as_ref().map(|payload| payload.get());
        let event = payload.and_then(|text| serde_json::from_str::<Event>(text).ok());
        if let Some(event) = event
            && update.doc_key == event_key(&event.worker_id, event.seq)
        {
            let mut authority = lock(&self.authority);
            authority.catch_up(&event.worker_id, event.seq, &event.event_type, &event.occurred_at);
        }
    }

    /// What changed after the last projection is projected again.
    fn mark_unprojected(&self) {
        let shown = |topic: &str, key: &str| {
            TopicId::of(topic).and_then(|topic| self.log(topic).document_version(key))
        };
        lock(&self.authority)
            .mark_unprojected(|key| shown(khala_wire::topic::WORKER_SUMMARIES, key));
        lock(&self.runs).mark_unprojected(|key| shown(khala_wire::topic::RUN_SUMMARIES, key));
    }

    /// The store as records.
    fn rewrite(&self, write: &mut Write<'_>) -> io::Result<()> {
        lock(&self.authority).rewrite(write)?;
        lock(&self.runs).rewrite(write)?;
        for log in self.logs() {
            log.rewrite(write)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use khala_wire::command::{AppendRunEvent, CreateRun};
    use khala_wire::topic::{RUN_SUMMARIES, WORKER_SUMMARIES};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::super::projection::project;
    use super::*;
    use crate::Config;

    /// A directory of one test, removed at its end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("khala-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn journal(&self) -> PathBuf {
            self.0.join("journal.ndjson")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(dir: &Dir) -> Store {
        let store = Store::new(&Config::default());
        store.take_up(&dir.0, &Defects::new(0, &[])).expect("takes up");
        store
    }

    fn publish(store: &Store, worker: &str) -> u64 {
        let payload = RawValue::from_string("{}".into()).expect("JSON");
        let none = Defects::new(0, &[]);
        store.publish(&none, worker, "worker.progress", &payload).expect("accepted").seq
    }

    fn updates(store: &Store, topic: &str) -> Vec<(u64, String, u64, Option<String>)> {
        let log = store.log(TopicId::of(topic).expect("known"));
        let floor = log.window().floor;
        let entries = log.entries(floor + 1, log.head()).unwrap_or_default();
        let read = |entry: &std::sync::Arc<super::super::Entry>| {
            let update = &entry.update;
            let hash = update.payload_hash.clone();
            (update.watermark, update.doc_key.clone(), update.doc_version, hash)
        };
        entries.iter().map(read).collect()
    }

    #[test]
    fn everything_acknowledged_is_there_after_a_restart() {
        let dir = Dir::new("restart");
        let first = open(&dir);
        first.create_worker("w", Some("ws".into()), Some("7")).expect("created");
        publish(&first, "w");
        first.create_worker("idle", None, None).expect("created");
        first.stop_worker("idle", "done").expect("stopped");
        let run = first.create_run(CreateRun::default()).expect("created").id;
        let event = AppendRunEvent {
            event_type: "run.progress".into(),
            expected_previous_seq: None,
            idempotency_key: Some("k".into()),
            payload: Value::Null,
        };
        first.append_run(&run, event.clone()).expect("appended");
        project(&first);
        let before = [WORKER_EVENTS, WORKER_SUMMARIES, RUN_SUMMARIES].map(|t| updates(&first, t));
        let document = serde_json::to_value(first.worker_document("w")).expect("JSON");
        drop(first);

        // Twice: the second start reads what the first one rewrote.
        for _ in 0..2 {
            let again = open(&dir);
            let after =
                [WORKER_EVENTS, WORKER_SUMMARIES, RUN_SUMMARIES].map(|t| updates(&again, t));
            assert_eq!(after, before);
            let mut found = serde_json::to_value(again.worker_document("w")).expect("JSON");
            found["projected_at"] = document["projected_at"].clone();
            assert_eq!(found, document);
            assert_eq!(again.append_run(&run, event.clone()).expect("known").events.len(), 2);
            assert!(again.stop_worker("idle", "done").expect("there"), "stopped already");
        }
        let last = open(&dir);
        assert_eq!(publish(&last, "w"), 3, "seqs go on");
        project(&last);
        assert_eq!(updates(&last, WORKER_SUMMARIES).last().map(|update| update.2), Some(3));
    }

    #[test]
    fn a_torn_line_is_dropped_and_a_corrupt_one_is_an_error() {
        let dir = Dir::new("torn");
        let store = open(&dir);
        store.create_worker("w", None, None).expect("created");
        publish(&store, "w");
        drop(store);
        let whole = fs::read_to_string(dir.journal()).expect("there");
        fs::write(dir.journal(), format!("{whole}{{\"update\":{{\"at_ms\"")).expect("written");
        assert_eq!(publish(&open(&dir), "w"), 3);

        fs::write(dir.journal(), format!("{{nope\n{whole}")).expect("written");
        let store = Store::new(&Config::default());
        let error = store.take_up(&dir.0, &Defects::new(0, &[])).expect_err("corrupt").to_string();
        assert!(error.starts_with("line 1 of "), "{error}");
    }

    #[test]
    fn what_is_rewritten_takes_the_place_of_a_link_and_is_not_written_through_it() {
        let (dir, theirs) = (Dir::new("link"), Dir::new("theirs"));
        fs::create_dir_all(&dir.0).expect("made");
        fs::write(&theirs.0, "theirs").expect("written");
        std::os::unix::fs::symlink(&theirs.0, dir.0.join("journal.ndjson.new")).expect("linked");
        open(&dir).create_worker("w", None, None).expect("created");
        assert_eq!(fs::read_to_string(&theirs.0).expect("there"), "theirs");
        assert!(open(&dir).worker_document("w").is_some());
        fs::remove_file(&theirs.0).expect("removed");
    }

    #[test]
    fn an_event_whose_workers_record_was_lost_still_counts() {
        let dir = Dir::new("reconcile");
        let store = open(&dir);
        store.create_worker("w", None, None).expect("created");
        publish(&store, "w");
        drop(store);
        let text = fs::read_to_string(dir.journal()).expect("there");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.last().expect("records").starts_with(r#"{"worker":"#));
        fs::write(dir.journal(), lines[..lines.len() - 1].join("\n") + "\n").expect("written");
        let again = open(&dir);
        assert_eq!(again.worker_document("w").expect("there").latest_seq, 2);
        assert_eq!(publish(&again, "w"), 3);
    }

    #[test]
    fn what_was_pruned_stays_pruned_and_documents_stay() {
        let dir = Dir::new("floor");
        let store = open(&dir);
        store.create_worker("a", None, None).expect("created");
        store.create_worker("b", None, None).expect("created");
        project(&store);
        let summaries = TopicId::of(WORKER_SUMMARIES).expect("known");
        store.log(summaries).trim_to(0);
        for _ in 0..2 {
            let again = open(&dir);
            let log = again.log(summaries);
            assert_eq!((log.window().floor, log.head()), (2, 2));
            assert_eq!(log.documents().1.len(), 2);
            project(&again);
            assert_eq!(log.head(), 2, "nothing is projected anew");
        }
    }
}
