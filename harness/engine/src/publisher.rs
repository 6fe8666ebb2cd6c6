//! Open-loop publishers: every command starts when it is due, whatever became of the others.
//!
//! One thread of its own, so that a storm among the clients does not delay the commands. Commands
//! under way are bounded, and a cap on begun commands per second keeps a stalled generator from
//! making up for lost time with a burst; what waits for either is late, and its latency says so,
//! because it runs from the intended start. Whose lateness it is `pace` tells.

#[cfg(test)]
mod frozen_tests;
mod pace;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use governor::Quota;
use khala_evidence::record::{Outcome, PublishId, Published, Record, Request, Sink};
use khala_plan::Plan;
use khala_plan::draw::{self, Purpose};
use khala_plan::model::Arrival;
use khala_plan::schedule::{PlannedPublish, Schedule};
use khala_wire::canonical::digest64;
use khala_wire::command::{
    CreateWorker, Data, StopWorker, WORKERS_PATH, WorkerCreated, WorkerStopped, worker_events_path,
    worker_stop_path,
};
use khala_wire::marker::Marker;
use rand::RngExt;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::LocalSet;

use self::pace::Pace;
use crate::answer::{Answer, CLOSED_EARLY, answer_to};
use crate::clock;
use crate::clock::Clock;
use crate::contact::Contact;
use crate::heads::Heads;
use crate::http::{Header, Http, HttpError, Reply};
use crate::preflight::{is_in_distress, persistently};
use crate::stall::Watch;
use crate::target::Target;
use crate::worker::Stage;

/// Commands under way at once.
pub const IN_FLIGHT_MAX: usize = 1_024;
/// Commands begun in a second, over the plan's own rate: headroom for catching up.
const CAP_HEADROOM: f64 = 4.0;
/// Workers that are stopped at once.
const STOPPED_AT_ONCE: usize = 16;
/// Type of every event.
pub(crate) const EVENT_TYPE: &str = "worker.progress";

/// Name of the publishers' thread.
pub const THREAD_NAME: &str = "khala-publisher";

/// Names of the workers that the plan's loads need, in order of their numbers.
#[must_use]
pub fn worker_names(plan: &Plan, run_id: &str) -> Vec<String> {
    let prefix = &plan.fleet.name_prefix;
    (0_u16..)
        .zip(&plan.loads)
        .flat_map(|(load, spec)| {
            (0..spec.workers).map(move |worker| format!("{prefix}-{run_id}-w{load}-{worker}"))
        })
        .collect()
}

/// Number of a load's first worker.
fn first_worker(plan: &Plan, load: u16) -> u32 {
    plan.loads.iter().take(usize::from(load)).map(|spec| spec.workers).sum()
}

/// Creates the workers; gives how each request ended, those too that were tried again.
///
/// # Errors
/// What the target said to the first that it did not create.
pub async fn create_workers(
    plan: &Plan,
    target: &Target,
    http: &Http,
    names: &[String],
) -> Result<Vec<Answer>, HttpError> {
    let user = plan.fleet.publisher_id();
    let answers = Mutex::new(Vec::with_capacity(names.len()));
    for name in names {
        let body = CreateWorker { worker_id: name.clone(), workspace_ref: None };
        let body = Bytes::from(serde_json::to_vec(&body).expect("strings serialise"));
        let headers = target.credentials.command_headers(&user, format!("create-{name}"));
        let ask = || async {
            let reply =
                http.post::<Data<WorkerCreated>>(WORKERS_PATH, &headers, body.clone()).await;
            answers.lock().expect("nobody panics while it is held").push(answer_to(&reply));
            reply
        };
        // A server may end a connection that is kept while it is asked over it. Creating a worker twice
        // is creating it once, and nothing of it is measured.
        let again = |error: &HttpError| {
            let closed = matches!(error, HttpError::Connection { status: CLOSED_EARLY, .. });
            closed || is_in_distress(error.status())
        };
        persistently(ask, again).await?;
    }
    Ok(answers.into_inner().expect("nobody panics while it is held"))
}

/// Stops the workers, some at a time; returns those that remain, with the reason, and how the requests
/// ended, as records. However little the target answers, the wait is over after `within`.
pub async fn stop_workers(
    plan: &Plan,
    target: &Target,
    http: &Http,
    clock: Clock,
    names: &[String],
    within: Duration,
) -> (Vec<(String, String)>, Vec<Record>) {
    let user = plan.fleet.publisher_id();
    let until = clock::now() + within;
    let stop = |name: &String| {
        let name = name.clone();
        let body = StopWorker { reason: "run ended".to_owned() };
        let body = Bytes::from(serde_json::to_vec(&body).expect("strings serialise"));
        let headers = target.credentials.command_headers(&user, format!("stop-{name}"));
        let http = http.clone();
        async move {
            // Not asked for, it remains as far as anybody knows.
            if clock::now() >= until {
                return (name, Some(format!("{within:?} were over before it was asked for")), None);
            }
            let start = clock.now();
            let path = worker_stop_path(&name);
            let stopped = http.post::<Data<WorkerStopped>>(&path, &headers, body);
            let (answer, why) = match tokio::time::timeout_at(until, stopped).await {
                Ok(stopped) => (answer_to(&stopped), stopped.err().map(|error| error.to_string())),
                Err(_) => {
                    let why = format!("it was not stopped within {within:?}");
                    (Answer::of(Outcome::Timeout, "timeout"), Some(why))
                }
            };
            let record = answer.record(Request::StopWorker, None, start, clock.now());
            (name, why, Some(record))
        }
    };
    let mut remaining = BTreeMap::new();
    let mut told = Vec::with_capacity(names.len());
    let mut answers = stream::iter(names.iter().map(stop)).buffer_unordered(STOPPED_AT_ONCE);
    while let Some((name, why, record)) = answers.next().await {
        told.extend(record);
        remaining.extend(why.map(|why| (name, why)));
    }
    (remaining.into_iter().collect(), told)
}

/// All that the publishers' thread needs.
pub struct Setup {
    /// The run's clock.
    pub clock: Clock,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its schedule.
    pub schedule: Arc<Schedule>,
    /// The target.
    pub target: Arc<Target>,
    /// Id of the run.
    pub run_id: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Names of the workers, by number.
    pub workers: Vec<String>,
    /// How far the run is; publishing ends with it.
    pub stage: watch::Receiver<Stage>,
    /// Publishes begun so far.
    pub begun: Arc<AtomicU64>,
    /// Where acknowledgements of what a fault publishes are counted.
    pub heads: Arc<Heads>,
    /// Whether the target is heard.
    pub contact: Arc<Contact>,
    /// Commands under way at once.
    pub in_flight_max: usize,
}

/// Starts the thread; it ends when every command has ended, and gives its sink back together with
/// the acknowledged publishes.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn<S: Sink + Send + 'static>(
    setup: Setup,
    sink: S,
) -> std::io::Result<JoinHandle<(S, Vec<u32>)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .spawn(move || LocalSet::new().block_on(&runtime, publish_all(setup, sink)))
}

/// What becomes of a command: the answer is bounded by whoever sends it.
type Acknowledged = Result<Reply<Data<Acknowledgement>>, HttpError>;

/// Publishes over `post`, which sends a command's body to a path.
struct Publisher<P> {
    setup: Setup,
    post: P,
}

async fn publish_all<S: Sink>(setup: Setup, sink: S) -> (S, Vec<u32>) {
    let timeout = setup.plan.target.request_timeout;
    let http = Http::new(&setup.target.reach, &setup.user_agent, timeout)
        .carrying(setup.target.extras.clone())
        .heard_by(Arc::clone(&setup.contact));
    let http = Rc::new(http);
    let post = move |path: String, headers: Vec<Header>, body: Bytes| {
        let http = Rc::clone(&http);
        async move { http.post(&path, &headers, body).await }
    };
    publish_over(post, setup, sink).await
}

async fn publish_over<S, P, F>(post: P, setup: Setup, sink: S) -> (S, Vec<u32>)
where
    S: Sink,
    P: Fn(String, Vec<Header>, Bytes) -> F + 'static,
    F: Future<Output = Acknowledged> + 'static,
{
    let watch = Watch::new(setup.plan.generator.publisher_thread(), setup.clock);
    let sink = RefCell::new(sink);
    let published = {
        let ticking = watch.tick(|act: &mut dyn FnMut(&mut S)| act(&mut sink.borrow_mut()));
        tokio::select! {
            published = publish_in_time(post, setup, &watch, &sink) => published,
            () = ticking => Vec::new(),
        }
    };
    (sink.into_inner(), published)
}

async fn publish_in_time<S, P, F>(
    post: P,
    setup: Setup,
    watch: &Watch,
    sink: &RefCell<S>,
) -> Vec<u32>
where
    S: Sink,
    P: Fn(String, Vec<Header>, Bytes) -> F + 'static,
    F: Future<Output = Acknowledged> + 'static,
{
    for (worker, _) in (0_u16..).zip(&setup.workers) {
        // Created before the run began, and acknowledged: `worker.started` is owed to everybody.
        sink.borrow_mut().record(Record::Published(Published {
            id: PublishId::Lifecycle { worker, seq: 1 },
            worker,
            intended: 0,
            start: 0,
            done: 0,
            outcome: Outcome::Ok,
            status: None,
            worker_seq: Some(1),
            payload: 0,
        }));
    }
    let pace = Pace {
        clock: setup.clock,
        watch,
        sink,
        stage: setup.stage.clone(),
        begun: Arc::clone(&setup.begun),
        cap: cap(&setup.plan),
        in_flight_max: setup.in_flight_max,
    };
    let schedule = Arc::clone(&setup.schedule);
    let publisher = Rc::new(Publisher { setup, post });
    let begin = |planned| {
        let publisher = Rc::clone(&publisher);
        async move { publisher.publish(planned).await }
    };
    pace.run(&schedule.publishes, begin).await
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a checked plan's rate is positive and far below 2^32"
)]
fn cap(plan: &Plan) -> Quota {
    let number = |value: f64| NonZeroU32::new(value.ceil() as u32).unwrap_or(NonZeroU32::MIN);
    let rate: f64 = plan.loads.iter().map(|load| load.rate_per_s).sum();
    // A planned burst is no catching up.
    let bursts = plan.loads.iter().map(|load| match load.arrival {
        Arrival::Bursts { size, .. } => f64::from(size),
        Arrival::Poisson | Arrival::Constant => 0.0,
    });
    let faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    let on_top: f64 = faults.filter_map(|fault| Some(f64::from(fault.kind.burst()?.events))).sum();
    let per_s = rate * CAP_HEADROOM + 10.0;
    let at_once = bursts.sum::<f64>() + on_top;
    Quota::per_second(number(per_s)).allow_burst(number(per_s.max(at_once)))
}

/// What is read of an acknowledgement: its payload is ours and known.
#[derive(Deserialize)]
struct Acknowledgement {
    seq: u64,
}

impl<P, F> Publisher<P>
where
    P: Fn(String, Vec<Header>, Bytes) -> F,
    F: Future<Output = Acknowledged>,
{
    async fn publish(&self, planned: PlannedPublish) -> (Published, Answer) {
        let Setup { clock, plan, target, workers, run_id, .. } = &self.setup;
        let number = first_worker(plan, planned.load) + u32::from(planned.worker);
        let worker = u16::try_from(number).unwrap_or(u16::MAX);
        let size = plan.loads[usize::from(planned.load)].payload_bytes;
        let start = clock.now();
        let marker =
            Marker { run: run_id.into(), n: planned.n, at_us: planned.at_us, begun_us: start };
        let payload = payload(plan.seed, &marker, size);
        let sent = &payload.sent;
        let body = format!(r#"{{"event":{{"event_type":"{EVENT_TYPE}","payload":{sent}}}}}"#);
        let nonce = format!("{run_id}-{}", planned.n);
        let headers = target.credentials.command_headers(&plan.fleet.publisher_id(), nonce);
        let path = worker_events_path(&workers[usize::from(worker)]);
        let reply = (self.post)(path, headers, Bytes::from(body)).await;
        let done = clock.now();
        let answer = answer_to(&reply);
        let status = match &reply {
            Ok(reply) => Some(reply.status),
            Err(error) => error.status(),
        };
        let (outcome, worker_seq) = match reply {
            Ok(reply) => {
                planned.fault.iter().for_each(|&fault| self.setup.heads.count_answered(fault, 1));
                let version = reply.document.data.seq;
                self.setup.heads.acknowledged_version(worker, version);
                (Outcome::Ok, Some(version))
            }
            Err(error) => {
                tracing::debug!(n = planned.n, %error, "publish failed");
                (error.outcome(), None)
            }
        };
        let published = Published {
            id: PublishId::Planned(planned.n),
            worker,
            intended: planned.at_us,
            start,
            done,
            outcome,
            status,
            worker_seq,
            payload: digest64(payload.canonical.as_bytes()),
        };
        (published, answer)
    }
}

/// A command's payload: the marker and a filling, `size` bytes of JSON.
struct Payload {
    /// As it is sent. The keys of every second one are not sorted: a hash over anything but the canonical
    /// form shows.
    sent: String,
    /// Its canonical form.
    canonical: String,
}

fn payload(seed: u64, marker: &Marker<'_>, size: u32) -> Payload {
    let Marker { run, n, at_us, begun_us } = marker;
    let sorted = format!(r#"{{"at_us":{at_us},"begun_us":{begun_us},"n":{n},"run":"{run}"}}"#);
    let around = r#"{"khala_harness":,"pad":""}"#.len();
    let pad = (size as usize).saturating_sub(sorted.len() + around);
    let mut random = draw::rng(seed, Purpose::Payload, u64::from(*n), 0);
    let pad: String = (0..pad).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    let canonical = format!(r#"{{"khala_harness":{sorted},"pad":"{pad}"}}"#);
    let sent = if n % 2 == 0 {
        canonical.clone()
    } else {
        format!(
            r#"{{"pad":"{pad}","khala_harness":{{"run":"{run}","n":{n},"begun_us":{begun_us},"at_us":{at_us}}}}}"#
        )
    };
    Payload { sent, canonical }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use khala_wire::canonical::canonical_json;
    use khala_wire::marker::marker_of;

    use super::*;

    #[test]
    fn a_payload_is_marked_of_its_size_and_the_same_for_the_same_seed() {
        let marker = Marker { run: "run1".into(), n: 7, at_us: 1_000_000, begun_us: 1_000_042 };
        for n in [7, 8] {
            let marker = Marker { n, ..marker.clone() };
            let Payload { sent, canonical } = payload(42, &marker, 256);
            let value = serde_json::from_str(&sent).expect("json");
            assert_eq!(canonical_json(&value), canonical);
            assert_eq!((sent.len(), canonical.len()), (256, 256));
            assert_eq!(sent == canonical, n == 8, "every second one is not sorted");
            assert_eq!(marker_of(&sent), Some(marker.clone()));
            assert_eq!(sent, payload(42, &marker, 256).sent);
        }
    }

    const SCENARIO: &str = r#"
version = 1
name = "t"
seed = 1
[auth]
mint = "hs256"
[fleet]
clients = 1
[[fleet.surface]]
name = "desktop"
share = 1.0
[[phase]]
name = "steady"
duration = "4s"
"#;

    /// Answers one connection after another with these, and closes each.
    fn answering(listener: std::net::TcpListener, answers: Vec<String>) {
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("accepts");
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn a_try_in_vain_to_create_a_worker_is_told_beside_the_one_that_did() {
        let (listener, target) = crate::testing::frozen();
        let created = r#"{"data":{"idempotentReplay":false,"latestSeq":0,"status":"running","workerId":"w"}}"#;
        answering(listener, vec![answer("503 Down", "{}"), answer("201 Created", created)]);
        let http = Http::new(&target.reach, "test", Duration::from_secs(5));
        let plan = crate::testing::plan(SCENARIO);
        let told = create_workers(&plan, &target, &http, &["w".to_owned()]).await.expect("created");
        let statuses: Vec<&str> = told.iter().map(|answer| &*answer.status).collect();
        assert_eq!(statuses, ["503", "201"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_nobody_answers_is_told_and_one_that_nobody_asked_for_is_not() {
        let (_listener, target) = crate::testing::frozen();
        let http = Http::new(&target.reach, "test", Duration::from_secs(3600));
        let plan = crate::testing::plan(SCENARIO);
        let names: Vec<String> = (0..=STOPPED_AT_ONCE).map(|n| format!("w{n}")).collect();
        let (clock, within) = (Clock::starting_in(Duration::ZERO), Duration::from_secs(2));
        let (remaining, told) = stop_workers(&plan, &target, &http, clock, &names, within).await;
        assert_eq!(remaining.len(), names.len(), "{remaining:?}");
        let of_a_stop = |record: &Record| match record {
            Record::Answered(answered) => (answered.request, answered.outcome),
            other => panic!("{other:?}"),
        };
        let told: Vec<_> = told.iter().map(of_a_stop).collect();
        assert_eq!(told, vec![(Request::StopWorker, Outcome::Timeout); STOPPED_AT_ONCE]);
    }
}
