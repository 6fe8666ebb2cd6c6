//! The recording of a run: every record that reached a shard, so that somebody else can judge it too.
//!
//! A file of [frames](crate::framing); what is deflated in them is JSON lines. The first frame is
//! [`Begin`], what a judge must know of the plan; then come [`Chunk`]s, each with the records of one
//! thread in the order in which they were recorded; the last is [`End`]. `RECORDING.md` in this crate says
//! what each field means. The oracle reads none of it: whoever does must not share code with it.

use std::io::{self, Read};

use khala_plan::model::TargetKind;
use khala_plan::{Plan, Schedule};
use khala_wire::TopicKind;
use khala_wire::topic::{KNOWN, TopicId};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::framing::{self, FrameError, Frames};
use crate::oracle::slow::GRACE_US;
use crate::record::{Micros, Record};

/// What a recording begins with: what it is, and the version of its format.
pub const HEAD: &[u8] = b"khala-recording 2\n";
/// The same of version 1, in which recordings were called histories, and each [`Line`] named its kind under
/// `history`; nothing else differs.
pub const HEAD_1: &[u8] = b"khala-history 1\n";

/// The field of a [`Line`] that names its kind.
const KIND: &str = "recording";
/// The same of version 1.
const KIND_1: &str = "history";

/// The line that begins each frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recording", rename_all = "snake_case")]
pub enum Line {
    /// The first frame, alone in it.
    Begin(Box<Begin>),
    /// Its records follow, a line each.
    Chunk(Chunk),
    /// The last frame, alone in it.
    End(End),
}

/// What a judge must know of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Version of the tool that ran it.
    pub tool_version: String,
    /// Id of the run.
    pub run_id: String,
    /// The scenario.
    pub scenario: String,
    /// The profile, if any.
    pub profile: Option<String>,
    /// Root of all randomness.
    pub seed: u64,
    /// Clients of the fleet, numbered from 0; not all of them need have taken part.
    pub clients: u64,
    /// Threads that carry the clients: client n is on thread n modulo this.
    pub worker_threads: u32,
    /// The topics, by their number in records.
    pub topics: Vec<Topic>,
    /// The topics that each client's tokens open, by its number.
    pub granted: Vec<Vec<TopicId>>,
    /// Topics that the run's commands feed.
    pub published_on: Vec<TopicId>,
    /// Whether nobody else writes to the target, so that every event must be ours.
    pub exclusive: bool,
    /// How long a state may lag behind its event.
    pub settle_us: Micros,
    /// From a connect to replay complete and at head.
    pub converge_us: Micros,
    /// How long the topics may take to run dry at the end.
    pub drain_us: Micros,
    /// Clients that a fault makes slow at some time.
    pub slow_clients: Vec<u32>,
    /// Of them, those that a fault keeps from reading at all; the others read on, and must be told.
    #[serde(default)]
    pub paused_clients: Vec<u32>,
    /// For how long after it reads again a client still counts as slow.
    pub slow_grace_us: Micros,
    /// Publishes that make the eviction of a client due that does not read; `None` where none is ever due.
    pub eviction_needs: Option<u64>,
    /// Close codes that the target may send beside the contract's.
    #[serde(default)]
    pub close_codes: Vec<u16>,
    /// Size of the payloads of the load's commands to each worker, in bytes, by the worker's number.
    #[serde(default)]
    pub payload_bytes: Vec<u32>,
    /// Findings that break a rule on the target.
    #[serde(default)]
    pub findings_are_rules: Vec<String>,
    /// Whether the run publishes nothing, so that what others were sent stands for what was acknowledged.
    #[serde(default)]
    pub passive: bool,
    /// When the drain begins, by plan.
    #[serde(default)]
    pub drain_from: Micros,
    /// Clients that leave before the end, by plan.
    #[serde(default)]
    pub leaving: Vec<u32>,
}

/// A topic, as the contract and the plan have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its number.
    pub id: TopicId,
    /// Its name on the wire.
    pub name: String,
    /// Stream or state.
    pub kind: TopicKind,
    /// Whether no seq of it is left out.
    pub dense: bool,
    /// Whether it has a snapshot.
    pub snapshot: bool,
    /// Its replay budget, in events, if the plan says what the target's is.
    pub replay_budget: Option<u64>,
}

/// Records of one thread that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which thread.
    pub thread: u16,
    /// The thread's chunks are numbered from 0.
    pub number: u64,
    /// Records that follow.
    pub records: u64,
}

/// What one thread gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Which thread.
    pub thread: u16,
    /// Its chunks in the recording.
    pub chunks: u64,
    /// The records in them.
    pub records: u64,
    /// Records that are not in it, because the writer did not keep up or the file was full.
    pub dropped: u64,
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// From the first arrival to the last client retired: when the run is settled.
    pub at: Micros,
    /// Whether the topics ran dry within the bound.
    pub drained: bool,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// Threads that ended with a bug of ours: their records are missing.
    pub lost_threads: u32,
    /// What each thread gave.
    pub threads: Vec<Thread>,
}

/// Whether a record belongs in a recording: all but frames, whose text nothing judges. How many came, the
/// cases of [`Rule::OF_FRAMES`](crate::oracle::Rule::OF_FRAMES), is in the journal alone.
#[must_use]
pub fn keeps(record: &Record) -> bool {
    !matches!(record, Record::Frame { .. })
}

impl Begin {
    /// What a judge must know of a plan. `run_id`, `tool_version`: of the run.
    #[must_use]
    pub fn of(plan: &Plan, schedule: &Schedule, run_id: String, tool_version: String) -> Self {
        let context = Context::of(plan, schedule);
        let clients = plan.fleet.clients;
        let micros = |duration: std::time::Duration| {
            u64::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
        };
        let mut published_on: Vec<_> =
            plan.loads.iter().flat_map(|load| load.command.topics()).collect();
        published_on.sort_unstable();
        published_on.dedup();
        Self {
            tool_version,
            run_id,
            scenario: plan.name.clone(),
            profile: plan.profile.clone(),
            seed: plan.seed,
            clients: clients.into(),
            worker_threads: plan.generator.client_threads(),
            topics: KNOWN.iter().filter_map(|known| Topic::of(plan, known.name)).collect(),
            granted: (0..clients).map(|client| context.granted(client).to_vec()).collect(),
            published_on,
            exclusive: plan.target.exclusive,
            settle_us: micros(plan.oracle.settle_within),
            converge_us: micros(plan.oracle.converge_within),
            drain_us: micros(plan.oracle.drain_within),
            slow_clients: (0..clients).filter(|&client| context.is_slow_by_plan(client)).collect(),
            paused_clients: (0..clients)
                .filter(|&client| {
                    context.is_slow_by_plan(client) && !context.reads_on_slowly(client)
                })
                .collect(),
            slow_grace_us: GRACE_US,
            eviction_needs: Some(context.eviction_needs()).filter(|&needs| needs < u64::MAX),
            close_codes: plan.target.close_codes.clone(),
            payload_bytes: context.payload_bytes().to_vec(),
            findings_are_rules: {
                let names = plan.target.findings_are_rules.iter();
                names.map(|&name| name.to_owned()).collect()
            },
            passive: context.is_passive(),
            drain_from: context.drain_from(),
            leaving: (0..clients).filter(|&client| context.leaves(client)).collect(),
        }
    }
}

impl Topic {
    fn of(plan: &Plan, name: &str) -> Option<Self> {
        let id = TopicId::of(name)?;
        let known = id.known();
        let replay_budget = match &plan.target.kind {
            TargetKind::Reference { topics, .. } => Some(
                topics
                    .get(&id)
                    .and_then(|topic| topic.replay_budget_events)
                    .unwrap_or(known.replay_budget_events),
            ),
            TargetKind::Url { .. } => None,
        };
        Some(Self {
            id,
            name: known.name.to_owned(),
            kind: known.kind,
            dense: plan.target.dense_states || known.kind == TopicKind::Stream,
            snapshot: known.snapshot_cadence_s.is_some(),
            replay_budget,
        })
    }
}

/// A line and the records that follow it, as a frame.
///
/// # Errors
/// When they cannot be serialised, which is a bug.
pub fn frame(line: &Line, records: &[Record]) -> io::Result<Vec<u8>> {
    let mut content = serde_json::to_vec(line)?;
    content.push(b'\n');
    for record in records {
        serde_json::to_writer(&mut content, record)?;
        content.push(b'\n');
    }
    framing::frame(&content)
}

/// A line that begins a frame, of any version.
fn line(text: &str) -> serde_json::Result<Line> {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    if let Some(kind) = fields.remove(KIND_1) {
        fields.insert(KIND.to_owned(), kind);
    }
    serde_json::from_value(fields.into())
}

/// The frames of a recording of any version, each to be read by [`lines`].
///
/// # Errors
/// When it is none, or of a version that this build does not know.
pub fn open<R: Read>(reader: R) -> Result<Frames<R>, FrameError> {
    Frames::of_any(reader, &[HEAD, HEAD_1])
}

/// Reads what [`frame`] deflated.
///
/// # Errors
/// Why it is none.
pub fn lines(content: &[u8]) -> Result<(Line, Vec<Record>), String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let mut lines = text.lines();
    let first = lines.next().ok_or("it is empty")?;
    let line = line(first).map_err(|error| error.to_string())?;
    let records = lines.map(serde_json::from_str).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| error.to_string())?;
    match line {
        Line::Chunk(chunk) if chunk.records != records.len() as u64 => {
            Err(format!("it holds {} records, not {}", records.len(), chunk.records))
        }
        _ => Ok((line, records)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PublishId;
    use crate::record::{Delivery, Source};

    fn records() -> Vec<Record> {
        let source = Source::Event {
            publish: PublishId::Lifecycle { worker: 1, seq: 2 },
            intended: None,
            begun: None,
            payload: u64::MAX,
            worker_seq: None,
        };
        let (topic, content) = (TopicId::WORKER_EVENTS, u64::MAX - 1);
        vec![
            Record::Connected { client: 3, at: 4 },
            Record::Delivered(Delivery {
                client: 3,
                epoch: 1,
                topic,
                seq: 9,
                at: 5,
                content,
                hash_fits: true,
                source,
            }),
        ]
    }

    #[test]
    fn what_was_written_is_read_and_a_record_too_few_is_noticed() {
        let read = |records: u64| {
            let line = Line::Chunk(Chunk { thread: 1, number: 7, records });
            let bytes = [HEAD, &frame(&line, &self::records()).expect("frames")].concat();
            let mut frames = open(&*bytes).expect("a recording");
            frames.next_as(lines).expect("a frame").map(|read| (read, line))
        };
        let ((line, found), written) = read(2).expect("reads");
        assert_eq!((line, found), (written, records()));
        assert!(matches!(read(3), Err(FrameError::Damaged { .. })));
    }

    #[test]
    fn a_recording_of_version_1_is_read_and_one_of_a_later_is_named() {
        let line = Line::Chunk(Chunk { thread: 1, number: 7, records: 2 });
        let text: Vec<_> = [r#"{"history":"chunk","thread":1,"number":7,"records":2}"#.to_owned()]
            .into_iter()
            .chain(records().iter().map(|record| serde_json::to_string(record).expect("JSON")))
            .collect();
        let frame = framing::frame(text.join("\n").as_bytes()).expect("a frame");
        let bytes = [HEAD_1, &frame].concat();
        let read = open(&*bytes).expect("version 1").next_as(lines).expect("one");
        assert_eq!(read.expect("a whole frame"), (line, records()));
        let error = open(&b"khala-recording 3\n"[..]).expect_err("none of ours");
        assert_eq!(error.to_string(), "it is of version 3, and this build reads version 2");
        assert!(matches!(open(&b"khala-other 2\n"[..]), Err(FrameError::WrongHead)));
    }

    #[test]
    fn the_lines_are_those_of_the_page() {
        let text = serde_json::to_string(&records()[1]).expect("JSON");
        insta::assert_snapshot!(text, @r#"{"record":"delivered","client":3,"epoch":1,"topic":2,"seq":9,"at":5,"content":18446744073709551614,"hash_fits":true,"source":{"event":{"publish":{"lifecycle":{"worker":1,"seq":2}},"intended":null,"begun":null,"payload":18446744073709551615,"worker_seq":null}}}"#);
    }
}
