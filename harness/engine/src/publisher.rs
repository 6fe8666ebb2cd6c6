//! Open-loop publishers: every command starts when it is due, whatever became of the others.
//!
//! One thread of its own, so that a storm among the clients does not delay the commands. Commands
//! under way are bounded, and a cap on begun commands per second keeps a stalled generator from
//! making up for lost time with a burst; what waits for either is late, and its latency says so,
//! because it runs from the intended start. Whose lateness it is `pace` tells.

mod acknowledged;
#[cfg(test)]
mod frozen_tests;
mod pace;
mod workers;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use bytes::Bytes;
use governor::Quota;
use khala_evidence::record::{Outcome, PublishId, Published, Record, Sink};
use khala_plan::Plan;
use khala_plan::draw::{self, Purpose};
use khala_plan::model::Arrival;
use khala_plan::schedule::{PlannedPublish, Schedule};
use khala_wire::canonical::digest64;
use khala_wire::command::{Data, worker_events_path};
use khala_wire::marker::Marker;
use rand::RngExt;
use tokio::sync::watch;
use tokio::task::LocalSet;

use self::acknowledged::Acknowledgement;
use self::pace::{Command, Pace};
pub use self::workers::{Created, addressed, create_workers, stop_workers, worker_names};
use crate::answer::answer_to;
use crate::clock::Clock;
use crate::contact::Contact;
use crate::heads::Heads;
use crate::http::{Header, Http, HttpError, Reply};
use crate::stall::Watch;
use crate::target::Target;
use crate::worker::Stage;

/// Commands under way at once.
pub const IN_FLIGHT_MAX: usize = 1_024;
/// Commands begun in a second, over the plan's own rate: headroom for catching up.
const CAP_HEADROOM: f64 = 4.0;
/// Type of every event.
pub(crate) const EVENT_TYPE: &str = "worker.progress";

/// Name of the publishers' thread.
pub const THREAD_NAME: &str = "khala-publisher";

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

impl<P, F> Publisher<P>
where
    P: Fn(String, Vec<Header>, Bytes) -> F,
    F: Future<Output = Acknowledged>,
{
    async fn publish(&self, planned: PlannedPublish) -> Command {
        let Setup { clock, plan, target, workers, run_id, .. } = &self.setup;
        let worker = addressed(plan, &planned);
        let size = plan.loads[usize::from(planned.load)].payload_bytes;
        let start = clock.now();
        let marker =
            Marker { run: run_id.into(), n: planned.n, at_us: planned.at_us, begun_us: start };
        let payload = payload(plan.seed, &marker, size);
        let sent = &payload.sent;
        let body = format!(r#"{{"event":{{"event_type":"{EVENT_TYPE}","payload":{sent}}}}}"#);
        let nonce = format!("{run_id}-{}", planned.n);
        let headers = target.credentials.command_headers(&plan.fleet.publisher_id(), nonce);
        let name = &workers[usize::from(worker)];
        let path = worker_events_path(name);
        let reply = (self.post)(path, headers, Bytes::from(body)).await;
        let done = clock.now();
        let answer = answer_to(&reply);
        let status = match &reply {
            Ok(reply) => Some(reply.status),
            Err(error) => error.status(),
        };
        let mut otherwise = None;
        let (outcome, worker_seq) = match reply {
            Ok(reply) => {
                let acknowledgement = &reply.document.data;
                otherwise = acknowledgement.otherwise(name, &marker).map(|why| {
                    acknowledged::record(done, worker, format!("publish {}", planned.n), why)
                });
                planned.fault.iter().for_each(|&fault| self.setup.heads.count_answered(fault, 1));
                let version = acknowledgement.seq;
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
        Command { published, answer, otherwise }
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
}
