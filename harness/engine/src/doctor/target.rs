//! What the target answers: from its addresses to an event that comes back.

use std::time::Duration;

use bytes::Bytes;
use khala_plan::model::{FirstSubscribe, Mint};
use khala_plan::{Plan, Schedule};
use khala_wire::command::{CreateWorker, StopWorker, TOKEN_PATH, worker_stop_path};
use khala_wire::message::event;
use khala_wire::payload::{Subscribe, error_code};
use khala_wire::topic::WORKER_EVENTS;

use super::facts;
use super::lines::Line;
use super::profile::Fact;
use super::{Options, http, took, user_agent};
use crate::clock;
use crate::http::{Http, HttpError};
use crate::preflight::heads::{self, Learnt};
use crate::preflight::{self, Stop, lacks};
use crate::reach::{Outgoing, Reach};
use crate::said;
use crate::talk::Reply;
use crate::target::window::windows;
use crate::target::{Target, keys, scopes};

/// Where the runtime serves its socket, and where the public edge does (contract, section 3).
const SOCKET_PATHS: [&str; 2] = ["/sync/socket/websocket", "/socket/websocket"];
/// Clocks that differ by no more are alike: the `Date` of an answer counts whole seconds.
const CLOCK_ALIKE_S: f64 = 2.0;

/// Tries one thing after the other; stops where nothing further can come.
pub(super) async fn examine(
    plan: &Plan,
    schedule: &Schedule,
    target: &Target,
    options: &Options,
    told: &mut dyn FnMut(Line),
) {
    if !reached(plan, &target.reach, &target.control, told).await {
        return;
    }
    let http = http(plan, target, options);
    health(&http, told).await;
    if !mints(plan, target, options, told).await || !enters(plan, target, options, told).await {
        return;
    }
    metrics(plan, target, &http, options, told).await;
    facts::examine(plan, target, options, told).await;
    let heads = past(plan, target, options, told).await;
    for what in lacks::of(plan, schedule, target, &http, &user_agent(options)).await {
        let advice = "a run goes without it, and does not decide what hangs on it";
        told(Line::less("for this scenario", "what its faults ask of the target", what, advice));
    }
    round_trip(plan, target, &http, options, heads, told).await;
}

/// Whether somebody is there, at the target and where its tokens are made: no secret is needed to find that out.
pub(super) async fn reached(
    plan: &Plan,
    reach: &Reach,
    control: &Reach,
    told: &mut dyn FnMut(Line),
) -> bool {
    connects(plan, reach, "connect", told).await
        && (plan.target.way.control_url.is_none()
            || connects(plan, control, "control service", told).await)
}

/// Addresses, a connection, and TLS where the URL says so.
async fn connects(
    plan: &Plan,
    reach: &Reach,
    what: &'static str,
    told: &mut dyn FnMut(Line),
) -> bool {
    let within = plan.target.connect_timeout;
    match preflight::address(reach, within).await {
        Ok(_) => {
            let all = reach.addresses().await.unwrap_or_default();
            let all = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let seen = match reach.proxy() {
                Some(proxy) => format!("the proxy {proxy} looks it up itself"),
                None => all,
            };
            told(Line::good("addresses", "its host, looked up", seen));
        }
        Err(error) => {
            told(Line::wrong("addresses", "its host, looked up", &error).mended(
                "see whether the name is written as it should be, which addresses this machine's name server has for it, \
                 and which of them the allow file grants",
            ));
            return false;
        }
    }
    let tried = format!("a connection to {}", reach.place().authority());
    let began = clock::now();
    let link = match tokio::time::timeout(within, reach.connect(Outgoing::default())).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => {
            told(Line::wrong(what, &tried, &error).mended(error.mend().unwrap_or_default()));
            return false;
        }
        Err(_) => {
            told(
                Line::wrong(
                    what,
                    &tried,
                    format!("none within {within:?} (target.connect_timeout)"),
                )
                .mended(
                    "see whether the host and its port are right, and what a firewall lets through",
                ),
            );
            return false;
        }
    };
    told(Line::good(what, &tried, format!("there after {}", took(began))));
    if let Some((began, there)) = link.tls {
        let how = link.stream.how_secured().unwrap_or_default();
        let seen = format!("{how}, {:.1} ms", (there - began).as_secs_f64() * 1e3);
        told(match plan.target.way.tls.insecure {
            false => Line::good("TLS", "its certificate, verified", seen),
            true => Line::less(
                "TLS",
                "its certificate, not verified",
                seen,
                "leave out target.tls.insecure",
            ),
        });
    }
    true
}

/// `GET /healthz`, and by its `Date` how far the clocks are apart.
async fn health(http: &Http, told: &mut dyn FnMut(Line)) {
    let (began, began_utc) = (clock::now(), clock::utc_now());
    let answer = http.header("/healthz", "date").await;
    let trip = clock::now() - began;
    match &answer {
        Ok(_) => {
            told(Line::good("health", "GET /healthz", format!("a success after {}", took(began))))
        }
        Err(error) => {
            told(Line::less("health", "GET /healthz", error, "a run does not ask for it"))
        }
    }
    let Some(said) = answer.ok().flatten() else { return };
    let Ok(said) = jiff::fmt::rfc2822::parse(&said) else {
        let seen = format!("`{}` is no date", said::word(&said));
        let advice =
            "see by hand that its clock is this machine's: tokens are good from and until a time";
        told(Line::less("clock", "the Date of its answer", seen, advice));
        return;
    };
    let ours = began_utc.as_millisecond() as f64 / 1e3 + trip.as_secs_f64() / 2.0;
    // It counts whole seconds, cut off: half of one is added, and doubted.
    let theirs = said.timestamp().as_millisecond() as f64 / 1e3 + 0.5;
    let (apart, doubt) = (theirs - ours, 0.5 + trip.as_secs_f64() / 2.0);
    let seen = format!("its clock is {apart:+.1} s beside ours, give or take {doubt:.1} s");
    told(match apart.abs() - doubt <= CLOCK_ALIKE_S {
        true => Line::good("clock", "the Date of its answer", seen),
        false => {
            let advice = "tokens are good from and until a time: set the clocks";
            Line::less("clock", "the Date of its answer", seen, advice)
        }
    });
}

/// A sync token, from where the plan has them.
async fn mints(
    plan: &Plan,
    target: &Target,
    options: &Options,
    told: &mut dyn FnMut(Line),
) -> bool {
    const WHAT: &str = "minting";
    let (tried, seen, elsewhere) = match &plan.auth.mint {
        Mint::Hs256 { .. } => (
            "a sync token, signed here with auth.secret".to_owned(),
            "signed; whether the target takes it, the join shows",
            "see auth.secret: HS256 wants a key",
        ),
        Mint::Control { .. } => (
            format!("POST {}{TOKEN_PATH}", target.control.place().origin()),
            "a token, as the control service makes it",
            "see target.control_url: what answers there may be no control service; and auth.session_token",
        ),
        Mint::Static { .. } => (
            "a sync token, made elsewhere (auth.token)".to_owned(),
            "read; whether the target takes it, the join shows",
            "see auth.token",
        ),
    };
    let began = clock::now();
    let (agent, scopes) = (user_agent(options), scopes(plan, 0));
    let token = preflight::token(plan, target, &agent, &scopes, &mut Vec::new()).await;
    let minted = token.is_ok();
    told(match token {
        Ok(_) => Line::good(WHAT, &tried, format!("{seen} ({})", took(began))),
        Err(Stop::Nobody(why)) => Line::wrong(WHAT, &tried, why).mended(elsewhere),
        Err(Stop::Unreachable(why, mend)) => Line::wrong(WHAT, &tried, why).mended(mend),
        Err(Stop::Refused(what, why)) => {
            let seen = format!("it refuses {what}: {why}");
            Line::wrong(WHAT, &tried, seen).mended(keys::mend_token(plan))
        }
    });
    minted
}

/// An upgrade with a token, and a join.
async fn enters(
    plan: &Plan,
    target: &Target,
    options: &Options,
    told: &mut dyn FnMut(Line),
) -> bool {
    let mut tried = Vec::new();
    let began = clock::now();
    let entered =
        preflight::enter(plan, target, &user_agent(options), &scopes(plan, 0), &mut tried).await;
    let tried = tried.join("; ");
    let stop = match entered {
        Ok(Some(talk)) => {
            talk.leave(plan.target.connect_timeout).await;
            told(Line::good("join", &tried, format!("taken in after {}", took(began))));
            return true;
        }
        Ok(None) => {
            let line = Line::wrong("join", &tried, "its upgrade breaks RFC 6455");
            told(line.mended("a run says in which way, by the rule ws_protocol"));
            return false;
        }
        Err(stop) => stop,
    };
    told(match stop {
        Stop::Nobody(why) => {
            let line = Line::wrong("join", &tried, why);
            match other_path(plan, target, options).await {
                Some(path) => {
                    let key = format!("target.socket_path = \"{path}\"");
                    let facts = vec![Fact::Open(key.clone(), "a socket opens there".to_owned())];
                    line.mended(format!("a socket opens at {path}: set {key}"))
                        .of_the_profile(facts)
                }
                None => line.mended(
                    "see target.url and target.socket_path: what is there may be no Khala runtime",
                ),
            }
        }
        Stop::Unreachable(why, mend) => Line::wrong("join", &tried, why).mended(mend),
        Stop::Refused(what, why) => {
            let seen = format!("it refuses {what}: {why}");
            Line::wrong("join", &tried, seen).mended(keys::mend_token(plan))
        }
    });
    false
}

/// The other of the contract's two paths of a socket, if one opens there.
async fn other_path(plan: &Plan, target: &Target, options: &Options) -> Option<&'static str> {
    let mut other = target.clone();
    let path = SOCKET_PATHS.into_iter().find(|path| *path != target.socket_path)?;
    path.clone_into(&mut other.socket_path);
    let (agent, scopes) = (user_agent(options), scopes(plan, 0));
    let entered = preflight::enter(plan, &other, &agent, &scopes, &mut Vec::new()).await;
    entered.ok()??.leave(plan.target.connect_timeout).await;
    Some(path)
}

/// The operators' view.
async fn metrics(
    plan: &Plan,
    target: &Target,
    http: &Http,
    options: &Options,
    told: &mut dyn FnMut(Line),
) {
    let tried = format!("GET {}", khala_wire::metrics::METRICS_PATH);
    let error = match target.metrics(http).await {
        Ok(metrics) => {
            let topics = windows(&metrics.document).len();
            told(Line::good("fan-out metrics", &tried, format!("they tell of {topics} topics")));
            return facts::limits(plan, &metrics.document, told);
        }
        Err(error) => error,
    };
    let mend = match error.status() {
        Some(401 | 403) => keys::mend_admin(plan),
        _ => "without them faults are proven by answers and sockets".to_owned(),
    };
    let facts = match error.status() {
        Some(status @ (401 | 403)) => vec![Fact::Open(
            "target.admin_token = { env = \"NAME\" }".to_owned(),
            format!("the fan-out metrics were answered with {status}"),
        )],
        _ => Vec::new(),
    };
    told(Line::less("fan-out metrics", &tried, error, mend).of_the_profile(facts));
    facts::untold_limits(plan, target, options, told).await;
}

/// A subscribe from the start: how much there is to replay, and where the topics stand.
async fn past(plan: &Plan, target: &Target, options: &Options, told: &mut dyn FnMut(Line)) -> bool {
    let tried = "a subscribe without a cursor to all topics of the fleet";
    let began = clock::now();
    match heads::learn(plan, target, &user_agent(options)).await {
        Ok(Learnt::Heads(heads)) => {
            let stand = heads.iter().map(|(topic, head)| format!("{} at {head}", topic.name()));
            let seen =
                format!("replayed in {}; {}", took(began), stand.collect::<Vec<_>>().join(", "));
            let far = clock::now() - began > Duration::from_secs(1);
            told(match far {
                false => Line::good("subscribe", tried, seen),
                true => Line::less(
                    "subscribe",
                    tried,
                    seen,
                    "fleet.first_subscribe = \"from-now\" spares all clients but one the past",
                )
                .of_the_profile(from_now(plan, "the past took longer than a second")),
            });
            true
        }
        Ok(Learnt::Ended(why)) => {
            let advice = "its past is longer than a client that reads at once may replay";
            told(
                Line::less("subscribe", tried, why, advice).of_the_profile(from_now(plan, advice)),
            );
            false
        }
        Err(error) => {
            told(Line::wrong("subscribe", tried, &error).mended(
                "the join was taken and this is not: see in the target's log why, and which topics the token's scopes open",
            ));
            false
        }
    }
}

/// What spares clients a long past, and has them try less.
fn from_now(plan: &Plan, seen: &str) -> Vec<Fact> {
    if plan.fleet.first_subscribe == FirstSubscribe::FromNow {
        return Vec::new();
    }
    let why = format!("{seen}; with it clients do not replay what is there when they come first");
    vec![Fact::Open("fleet.first_subscribe = \"from-now\"".to_owned(), why)]
}

/// A worker, one event, and back: from the command to the delivery.
async fn round_trip(
    plan: &Plan,
    target: &Target,
    http: &Http,
    options: &Options,
    subscribes: bool,
    told: &mut dyn FnMut(Line),
) {
    const WHAT: &str = "round trip";
    if plan.is_passive() {
        let why = "it writes, and target.commands is none";
        told(Line::skipped(WHAT, why, "nothing has it tried"));
        return;
    }
    if plan.target.allows.as_ref().is_some_and(|allows| !allows.contains(&"writes")) {
        let why = "it writes, and the target's profile does not allow that (target.allows)";
        told(Line::skipped(WHAT, why, "nothing has it tried"));
        return;
    }
    if !options.writes {
        let why = "it writes: a worker, one event, the worker's end";
        told(Line::skipped(WHAT, why, "--allow-writes has it tried"));
        return;
    }
    if !subscribes {
        return;
    }
    let worker = format!("doctor-{}", options.id);
    let tried =
        format!("POST {}, a subscribe, and the worker's end", khala_wire::command::WORKERS_PATH);
    let came = returns(plan, target, http, options, &worker).await;
    told(match came {
        Ok(after) => Line::good(
            WHAT,
            &tried,
            format!(
                "the event came {:.1} ms after its command was sent",
                after.as_secs_f64() * 1e3
            ),
        ),
        Err(Fell::Command(error)) => {
            let mend = preflight::mend_worker(plan, error.status());
            let why = format!("the first command came to {error}");
            let facts = vec![Fact::Open("target.commands = \"none\"".to_owned(), why)];
            let line = Line::wrong(WHAT, &tried, error);
            line.mended(mend.trim_start_matches("; ")).of_the_profile(facts)
        }
        Err(Fell::Delivery(why)) => Line::wrong(WHAT, &tried, why).mended(
            "commands are taken and come out nowhere: see what stands between them and the fan-out",
        ),
    });
}

/// Where a round trip fell.
enum Fell {
    Command(HttpError),
    Delivery(String),
}

async fn returns(
    plan: &Plan,
    target: &Target,
    http: &Http,
    options: &Options,
    worker: &str,
) -> Result<Duration, Fell> {
    let delivery = |why: &str| Fell::Delivery(why.to_owned());
    let topics = vec![WORKER_EVENTS.to_owned()];
    let entered =
        preflight::enter(plan, target, &user_agent(options), &topics, &mut Vec::new()).await;
    let Ok(Some(mut talk)) = entered else {
        return Err(delivery("a second socket was not let in"));
    };
    let within = Duration::from_secs(120).max(plan.target.request_timeout);
    let subscribe = Subscribe { topics, resume_after: None, replay_batch_size: None };
    match talk.request(event::SUBSCRIBE, &subscribe, within).await {
        Ok(Reply::Ok(_)) => {}
        Ok(Reply::Error(response)) => {
            return Err(Fell::Delivery(format!(
                "the subscribe was refused: {}",
                said::word(&error_code(&response))
            )));
        }
        Err(_) => return Err(delivery("the subscribe was not answered")),
    }
    let user = plan.fleet.publisher_id();
    let sent = clock::now();
    let body = CreateWorker { worker_id: worker.to_owned(), workspace_ref: None };
    let headers = target.credentials.command_headers(&user, format!("create-{worker}"));
    let body = Bytes::from(serde_json::to_vec(&body).unwrap_or_default());
    http.post::<serde_json::Value>(khala_wire::command::WORKERS_PATH, &headers, body)
        .await
        .map_err(Fell::Command)?;
    let until = clock::now() + plan.target.request_timeout;
    let came = talk.hears(worker, until).await.then(|| clock::now() - sent);
    talk.leave(plan.target.connect_timeout).await;
    let path = worker_stop_path(worker);
    let headers = target.credentials.command_headers(&user, format!("stop-{worker}"));
    let stop = Bytes::from(
        serde_json::to_vec(&StopWorker { reason: "doctor".to_owned() }).unwrap_or_default(),
    );
    http.post::<serde_json::Value>(&path, &headers, stop).await.map_err(Fell::Command)?;
    came.ok_or_else(|| {
        Fell::Delivery(format!("nothing came within {:?}", plan.target.request_timeout))
    })
}
