//! A worker of a case's own, and what was published as it.

use khala_engine::clock;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use khala_engine::http::{Header, HttpError, Reply};
use khala_engine::preflight;
use khala_engine::target::Credentials;
use khala_wire::command::{WORKERS_PATH, worker_events_path, worker_stop_path};
use serde_json::{Value, json};

use crate::ctx::Ctx;
use crate::delivery::Delivered;
use crate::outcome::{Stop, not_applicable, undecided};
use crate::peer::{Msg, Peer};

/// Pause before a command that came too fast is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Pause between publishes that are to be told one by one.
pub const SLOWLY: Duration = Duration::from_millis(80);

/// A worker.
pub struct Worker {
    /// Its id.
    pub id: String,
    /// The answer to its creation.
    pub created: Reply<Value>,
    /// What was acknowledged, by the worker's seq; `worker.started` is 1.
    pub acked: Vec<(u64, Value)>,
    /// Who it belongs to.
    pub user: String,
}

impl Worker {
    /// Creates it.
    ///
    /// # Errors
    /// Not applicable, where the target takes no commands.
    pub async fn create(ctx: &Ctx) -> Result<Self, Stop> {
        Self::create_as(ctx, ctx.fresh_name("worker")).await
    }

    /// Creates it under this id.
    ///
    /// # Errors
    /// Not applicable, where the target takes no commands, or none for such an id.
    pub async fn create_as(ctx: &Ctx, id: String) -> Result<Self, Stop> {
        let user = ctx.world.plan.fleet.publisher_id();
        let body = json!({ "worker_id": id });
        let created =
            post(ctx, &user, WORKERS_PATH, &body).await.map_err(|error| match error.status() {
                Some(401 | 403 | 404 | 400 | 422) => not_applicable(
                    format!("no worker can be created: {error}"),
                    format!(
                        "a target that takes commands{}",
                        preflight::mend_worker(&ctx.world.plan, error.status())
                    ),
                ),
                _ => undecided(format!("on the way, no worker could be created: {error}")),
            })?;
        ctx.world.workers.borrow_mut().push((id.clone(), user.clone()));
        Ok(Self { id, created, acked: vec![(1, Value::Null)], user })
    }

    /// Publishes so many events, one after the other.
    ///
    /// # Errors
    /// Undecided, where one is not taken.
    pub async fn publish(&mut self, ctx: &Ctx, count: u64) -> Result<(), Stop> {
        for _ in 0..count {
            let n = self.acked.len() as u64;
            self.publish_text(ctx, &payload(ctx, n)).await?;
        }
        Ok(())
    }

    /// Publishes so many events side by side.
    ///
    /// # Errors
    /// Undecided, where one is not taken.
    pub async fn publish_at_once(&mut self, ctx: &Ctx, count: u64) -> Result<(), Stop> {
        let texts: Vec<_> =
            (0..count).map(|nth| payload(ctx, self.acked.len() as u64 + nth)).collect();
        let asked = texts.iter().map(|text| self.try_publish(ctx, text));
        let answers = future::join_all(asked).await;
        for (answer, text) in answers.into_iter().zip(&texts) {
            self.taken(ctx, answer, text)?;
        }
        Ok(())
    }

    /// The same one after the other, with a pause after each: so that a state is told in between.
    ///
    /// # Errors
    /// Undecided, where one is not taken.
    pub async fn publish_slowly(&mut self, ctx: &Ctx, count: u64) -> Result<(), Stop> {
        for _ in 0..count {
            self.publish(ctx, 1).await?;
            tokio::time::sleep(SLOWLY).await;
        }
        Ok(())
    }

    /// Publishes an event whose payload is this JSON; the answer.
    ///
    /// # Errors
    /// Undecided, where it is not taken.
    pub async fn publish_text(&mut self, ctx: &Ctx, payload: &str) -> Result<Reply<Value>, Stop> {
        let answer = self.try_publish(ctx, payload).await;
        self.taken(ctx, answer, payload)
    }

    /// Keeps what was acknowledged of a publish; the answer.
    ///
    /// # Errors
    /// Undecided, where it was not taken.
    pub fn taken(
        &mut self,
        ctx: &Ctx,
        answer: Result<Reply<Value>, HttpError>,
        payload: &str,
    ) -> Result<Reply<Value>, Stop> {
        let answer = answer.map_err(not_taken)?;
        let seq = answer.document["data"]["seq"].as_u64().ok_or_else(|| {
            undecided("on the way, the answer to a publish had no seq".to_owned())
        })?;
        let payload = serde_json::from_str(payload).unwrap_or(Value::Null);
        self.acked.push((seq, payload));
        ctx.world.published.set(ctx.world.published.get() + 1);
        Ok(answer)
    }

    /// Publishes once, whatever comes.
    ///
    /// # Errors
    /// What the target said.
    pub async fn try_publish(&self, ctx: &Ctx, payload: &str) -> Result<Reply<Value>, HttpError> {
        self.try_publish_as(ctx, "worker.progress", payload).await
    }

    /// The same, as an event of this type.
    ///
    /// # Errors
    /// What the target said.
    pub async fn try_publish_as(
        &self,
        ctx: &Ctx,
        kind: &str,
        payload: &str,
    ) -> Result<Reply<Value>, HttpError> {
        let path = worker_events_path(&self.id);
        post_as(ctx, &ctx.world.target.credentials, &self.user, &path, of_type(kind, payload)).await
    }

    /// Creates it once more; the answer.
    ///
    /// # Errors
    /// What the target said.
    pub async fn create_again(&self, ctx: &Ctx) -> Result<Reply<Value>, HttpError> {
        post(ctx, &self.user, WORKERS_PATH, &json!({ "worker_id": self.id })).await
    }

    /// Stops it; the answer.
    ///
    /// # Errors
    /// What the target said.
    pub async fn stop(&self, ctx: &Ctx) -> Result<Reply<Value>, HttpError> {
        let path = worker_stop_path(&self.id);
        post(ctx, &self.user, &path, &json!({ "reason": "conform" })).await
    }

    /// Its events among what was delivered, by its own seq.
    pub fn of<'d>(&self, delivered: &'d [Rc<Delivered>]) -> Vec<(u64, &'d Delivered)> {
        let own = delivered.iter().filter_map(|it| Some((it.event()?, &**it)));
        own.filter(|((worker, _), _)| *worker == self.id).map(|((_, seq), it)| (seq, it)).collect()
    }

    /// Its acknowledged seqs that are not among what a socket was delivered from a place of its log on,
    /// and above `after`.
    #[must_use]
    pub fn missing(&self, peer: &Peer, from: usize, after: u64) -> Vec<u64> {
        let delivered = peer.delivered(from);
        let own = self.of(&delivered);
        let found: HashSet<u64> = own.into_iter().map(|(seq, _)| seq).collect();
        let acked = self.acked.iter().map(|(seq, _)| *seq).filter(|seq| *seq > after);
        let mut missing: Vec<u64> = acked.filter(|seq| !found.contains(seq)).collect();
        missing.sort_unstable();
        missing
    }

    /// Whether a socket is delivered all of them in time.
    pub async fn arrives_within(&self, within: Duration, peer: &mut Peer) -> bool {
        peer.until(within, |peer| self.missing(peer, 0, 0).is_empty()).await
    }

    /// Waits until a socket was delivered all of them; those that never came. Where such waits are in vain, the case is
    /// given up.
    pub async fn arrives(&self, ctx: &Ctx, peer: &mut Peer, from: usize, after: u64) -> Vec<u64> {
        if !self.missing(peer, from, after).is_empty() {
            ctx.may_give_up().await;
            peer.until(ctx.patience(), |peer| self.missing(peer, from, after).is_empty()).await;
        }
        self.comes_back(ctx, peer);
        self.missing(peer, from, after)
    }

    /// Notes whether what was published, beside the worker's beginning, has come live to a socket that waited for it.
    fn comes_back(&self, ctx: &Ctx, peer: &Peer) {
        let is_published = |msg: &Msg| self.of(&msg.delivers).iter().any(|(seq, _)| *seq > 1);
        let is_reply = |msg: &Msg| msg.response().get("current_watermarks").is_some();
        let live = peer.log.iter().rposition(is_reply).unwrap_or_default();
        if peer.log[live..].iter().any(is_published) {
            ctx.world.came_back.set(true);
        } else if self.last() > 1 && !peer.log.iter().any(is_published) {
            ctx.world.in_vain.set(ctx.world.in_vain.get() + 1);
        }
    }

    /// The highest seq that was acknowledged.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.acked.iter().map(|(seq, _)| *seq).max().unwrap_or_default()
    }
}

fn not_taken(error: HttpError) -> Stop {
    undecided(format!("on the way, a publish was not taken: {error}"))
}

/// The payload of an event: keys that are not in order, and letters that are not ASCII.
#[must_use]
pub fn payload(ctx: &Ctx, n: u64) -> String {
    format!("{{\"z\":{n},\"conform\":\"{}\",\"a\":\"\u{e9}\u{4e16}\"}}", ctx.world.run_id)
}

/// The body of a command that publishes this payload.
#[must_use]
pub fn progress(payload: &str) -> String {
    of_type("worker.progress", payload)
}

fn of_type(kind: &str, payload: &str) -> String {
    format!("{{\"event\":{{\"event_type\":\"{kind}\",\"payload\":{payload}}}}}")
}

/// Sends a command of a user; the answer.
///
/// # Errors
/// What the target said.
pub async fn post(
    ctx: &Ctx,
    user: &str,
    path: &str,
    body: &Value,
) -> Result<Reply<Value>, HttpError> {
    post_as(ctx, &ctx.world.target.credentials, user, path, body.to_string()).await
}

/// Sends a command with these credentials; the answer.
///
/// # Errors
/// What the target said.
pub async fn post_as(
    ctx: &Ctx,
    credentials: &Credentials,
    user: &str,
    path: &str,
    body: String,
) -> Result<Reply<Value>, HttpError> {
    let headers = || credentials.command_headers(user, ctx.fresh_name("nonce"));
    post_headed(ctx, path, body, headers).await
}

/// Sends a command with headers that are made anew each time; the answer. One that came too fast (429) is sent again: the
/// publish limit is one for all cases.
///
/// # Errors
/// What the target said.
pub async fn post_headed(
    ctx: &Ctx,
    path: &str,
    body: String,
    headers: impl Fn() -> Vec<Header>,
) -> Result<Reply<Value>, HttpError> {
    let until = clock::now() + 3 * ctx.patience();
    let body = Bytes::from(body);
    loop {
        match ctx.world.http.post::<Value>(path, &headers(), body.clone()).await {
            Err(HttpError::Status { status: 429, .. }) if clock::now() < until => {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            answer => return answer,
        }
    }
}
