//! The workers that publish: what they are called, made before the load and stopped after it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use khala_evidence::record::{Outcome, Record, Request, TIMED_OUT};
use khala_plan::Plan;
use khala_plan::schedule::PlannedPublish;
use khala_wire::command::{
    CreateWorker, Data, StopWorker, WORKERS_PATH, WorkerCreated, WorkerStopped, worker_stop_path,
};

use super::acknowledged::{self, of_another_worker};
use crate::answer::{Answer, CLOSED_EARLY, answer_to};
use crate::clock::{self, Clock};
use crate::http::{Http, HttpError};
use crate::preflight::{is_in_distress, persistently};
use crate::target::Target;

/// Workers that are stopped at once.
const STOPPED_AT_ONCE: usize = 16;

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

/// Number of the worker that a publish is sent to.
#[must_use]
pub fn addressed(plan: &Plan, planned: &PlannedPublish) -> u16 {
    let before = plan.loads.iter().take(usize::from(planned.load)).map(|spec| spec.workers);
    u16::try_from(before.sum::<u32>() + u32::from(planned.worker)).unwrap_or(u16::MAX)
}

/// What the creation of the workers came to.
#[derive(Debug, Default)]
pub struct Created {
    /// How each request ended, those too that were tried again.
    pub answers: Vec<Answer>,
    /// What their answers say of other workers.
    pub otherwise: Vec<Record>,
}

/// Creates the workers.
///
/// # Errors
/// What the target said to the first that it did not create.
pub async fn create_workers(
    plan: &Plan,
    target: &Target,
    http: &Http,
    names: &[String],
) -> Result<Created, HttpError> {
    let user = plan.fleet.publisher_id();
    let answers = Mutex::new(Vec::with_capacity(names.len()));
    let mut otherwise = Vec::new();
    for (number, name) in (0_u16..).zip(names) {
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
        let created = persistently(ask, again).await?;
        otherwise.extend(of_another_worker(&created.document.data.worker_id, name).map(|why| {
            acknowledged::record(0, number, format!("the creation of worker `{name}`"), why)
        }));
    }
    let answers = answers.into_inner().expect("nobody panics while it is held");
    Ok(Created { answers, otherwise })
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
    let stop = |(number, name): (u16, &String)| {
        let name = name.clone();
        let body = StopWorker { reason: "run ended".to_owned() };
        let body = Bytes::from(serde_json::to_vec(&body).expect("strings serialise"));
        let headers = target.credentials.command_headers(&user, format!("stop-{name}"));
        let http = http.clone();
        async move {
            // Not asked for, it remains as far as anybody knows.
            if clock::now() >= until {
                let why = format!("{within:?} were over before it was asked for");
                return (name, Some(why), Vec::new());
            }
            let start = clock.now();
            let path = worker_stop_path(&name);
            let stopped = http.post::<Data<WorkerStopped>>(&path, &headers, body);
            let mut otherwise = None;
            let (answer, why) = match tokio::time::timeout_at(until, stopped).await {
                Ok(stopped) => {
                    let said = stopped.as_ref().ok().map(|reply| &reply.document.data.worker_id);
                    otherwise = said.and_then(|said| of_another_worker(said, &name));
                    (answer_to(&stopped), stopped.err().map(|error| error.to_string()))
                }
                Err(_) => {
                    let why = format!("it was not stopped within {within:?}");
                    (Answer::of(Outcome::Timeout, TIMED_OUT), Some(why))
                }
            };
            let at = clock.now();
            let command = || format!("the stop of worker `{name}`");
            let otherwise = otherwise.map(|why| acknowledged::record(at, number, command(), why));
            let record = answer.record(Request::StopWorker, None, start, at);
            (name, why, [record].into_iter().chain(otherwise).collect())
        }
    };
    let mut remaining = BTreeMap::new();
    let mut told = Vec::with_capacity(names.len());
    let mut answers =
        stream::iter((0_u16..).zip(names).map(stop)).buffer_unordered(STOPPED_AT_ONCE);
    while let Some((name, why, record)) = answers.next().await {
        told.extend(record);
        remaining.extend(why.map(|why| (name, why)));
    }
    (remaining.into_iter().collect(), told)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

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
        let statuses: Vec<&str> = told.answers.iter().map(|answer| &*answer.status).collect();
        assert_eq!((statuses, told.otherwise), (vec!["503", "201"], Vec::new()));
    }

    #[tokio::test]
    async fn workers_that_are_made_or_stopped_as_others_are_told() {
        let (listener, target) = crate::testing::frozen();
        let created = r#"{"data":{"idempotentReplay":false,"latestSeq":0,"status":"running","workerId":"v"}}"#;
        let stopped = r#"{"data":{"idempotent_replay":false,"status":"stopped","worker_id":"v"}}"#;
        answering(listener, vec![answer("202 Made", created), answer("202 Stopped", stopped)]);
        let http = Http::new(&target.reach, "test", Duration::from_secs(5));
        let (plan, names) = (crate::testing::plan(SCENARIO), ["w".to_owned()]);
        let made = create_workers(&plan, &target, &http, &names).await.expect("created");
        let (clock, within) = (Clock::starting_in(Duration::ZERO), Duration::from_secs(5));
        let (remaining, told) = stop_workers(&plan, &target, &http, clock, &names, within).await;
        assert_eq!(remaining, []);
        let said = |record: &Record| match record {
            Record::Misacknowledged { worker: 0, command, why, .. } => {
                assert_eq!(&**why, "worker `v`'s, and was sent to worker `w`");
                command.to_string()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(said(&made.otherwise[0]), "the creation of worker `w`");
        assert_eq!(said(&told[1]), "the stop of worker `w`");
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
