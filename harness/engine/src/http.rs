//! A small JSON client for the command path, the control service and the operators' view.
//!
//! Every request is timed out; bodies are bounded. Secrets go into headers and never into errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::http::response::Parts;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use khala_evidence::record::{Outcome, Resource, TIMED_OUT};
use khala_wire::command::{USER_ID_HEADER, WORKERS_PATH};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, CLOSED_EARLY, connection_status};
use crate::command::{self, Place, Redactor};
use crate::contact::Contact;
use crate::reach::guard::Permit;
use crate::reach::{Connector, Reach, ReachError};
use crate::said;
use crate::target::extras::Extras;
use crate::transport::exhausted;

/// Largest answer read.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Idle connections kept to a target.
const IDLE_MAX: usize = 64;
/// Something was answered, and it is no HTTP.
const NOT_HTTP: &str = "what is no HTTP";
/// Longest code that a refusal may have.
const CODE_MAX: usize = 48;

/// Why a request has no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing answered in time.
    #[error("{0}: no answer within {1:?}")]
    Timeout(String, Duration),
    /// The connection could not be made, or broke.
    #[error("{name}: {why}")]
    Connection {
        /// What was asked.
        name: String,
        /// In what way, in a word or two.
        status: &'static str,
        /// The innermost error.
        why: String,
    },
    /// The generator has none left of something that the request needs.
    #[error("{0}: the harness has run out of {1}")]
    Exhausted(String, Resource),
    /// Another status than a success.
    #[error("{url}: HTTP {status}: {body}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The contract's word for it, where the body has one.
        code: Option<Box<str>>,
        /// The start of the body.
        body: Box<str>,
        /// Its `Retry-After`.
        retry_after: Option<Box<str>>,
    },
    /// The body is not what the contract says.
    #[error("{name}: the answer is not of the contract: {why}")]
    Body {
        /// What was asked.
        name: String,
        /// The status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
}

impl HttpError {
    /// How the operation counts.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout(..) => Outcome::Timeout,
            Self::Connection { status: NOT_HTTP, .. } => Outcome::ProtocolError,
            Self::Connection { .. } => Outcome::ConnectionFailed,
            Self::Exhausted(_, resource) => Outcome::Exhausted(*resource),
            Self::Status { status: 401 | 403, .. } => Outcome::RefusedAuth,
            Self::Status { .. } | Self::Body { .. } => Outcome::ProtocolError,
        }
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Body { status, .. } => Some(*status),
            Self::Timeout(..) | Self::Connection { .. } | Self::Exhausted(..) => None,
        }
    }

    /// How the request ended.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let outcome = self.outcome();
        match self {
            Self::Timeout(..) => Answer::of(outcome, TIMED_OUT),
            Self::Connection { status, .. } => Answer::of(outcome, *status),
            Self::Exhausted(_, resource) => Answer::of(outcome, format!("out of {resource}")),
            Self::Status { status, code, body, retry_after, .. } => {
                let status = match code {
                    Some(code) => format!("{status} {code}"),
                    None => status.to_string(),
                };
                Answer {
                    outcome,
                    status: status.into(),
                    example: Some(body.clone()).filter(|body| !body.is_empty()),
                    retry_after: retry_after.clone(),
                }
            }
            Self::Body { status, why, .. } => Answer {
                example: Some(said::text(why)),
                ..Answer::of(outcome, format!("{status}, and not of the contract"))
            },
        }
    }
}

/// The word that the contract has in a refusal's body.
#[derive(Deserialize)]
struct Coded {
    #[serde(alias = "reason_code", alias = "code")]
    error: Option<String>,
}

impl Coded {
    fn of(body: &[u8]) -> Option<Box<str>> {
        let code = serde_json::from_slice::<Self>(body).ok()?.error?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_code = !code.is_empty() && code.len() <= CODE_MAX && code.chars().all(plain);
        is_code.then(|| code.into())
    }
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// The status: a success.
    pub status: u16,
    /// The document.
    pub document: T,
}

/// A client of one base URL.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<Connector, Full<Bytes>>,
    base_url: String,
    permit: Permit,
    user_agent: String,
    timeout: Duration,
    contact: Option<Arc<Contact>>,
    /// Whether what it asks counts as asked.
    asks: bool,
    /// What its requests carry beside their own.
    extras: Extras,
}

/// Whether the body of a refusal may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bodies {
    Kept,
    /// They may hold a token.
    Dropped,
}

/// What tells one request from another in a target's log: the run's id, as the `User-Agent` has it, and a number.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the next request of whom a `User-Agent` names in its comment, such as `(run 1a2b3c4d)` or `(stage)`.
fn request_id(user_agent: &str) -> String {
    /// Over all clients of HTTP of this process, for they share the run's id.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let comment = user_agent.rsplit_once([' ', '(']).map_or(user_agent, |(_, last)| last);
    format!("{}-{}", comment.trim_end_matches(')'), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One header.
pub type Header = (HeaderName, String);

impl Http {
    /// `User-Agent` of its requests.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// A client of what lies at the end of a way.
    #[must_use]
    pub fn new(reach: &Reach, user_agent: &str, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(Connector(reach.clone()));
        let (base_url, user_agent) = (reach.place().origin(), user_agent.to_owned());
        Self {
            client,
            base_url,
            permit: reach.permit().clone(),
            user_agent,
            timeout,
            contact: None,
            asks: true,
            extras: Extras::default(),
        }
    }

    /// The same, whose requests carry these beside their own.
    #[must_use]
    pub fn carrying(mut self, extras: Extras) -> Self {
        self.extras = extras;
        self
    }

    /// The same, and what it hears is heard.
    #[must_use]
    pub fn heard_by(mut self, contact: Arc<Contact>) -> Self {
        self.contact = Some(contact);
        self
    }

    /// The same for what a target need not have: an answer is heard, and none says nothing.
    #[must_use]
    pub fn in_doubt(mut self) -> Self {
        self.asks = false;
        self
    }

    /// `GET` a JSON document.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[Header],
    ) -> Result<Reply<T>, HttpError> {
        self.request(Method::GET, path, headers, Bytes::new(), Bodies::Kept).await
    }

    /// `POST` a JSON document.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[Header],
        body: Bytes,
    ) -> Result<Reply<T>, HttpError> {
        self.request(Method::POST, path, headers, body, Bodies::Kept).await
    }

    /// `POST` where answers may hold a token: nothing of a refusal is kept but its status.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn post_for_token<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[Header],
        body: Bytes,
    ) -> Result<Reply<T>, HttpError> {
        self.request(Method::POST, path, headers, body, Bodies::Dropped).await
    }

    /// `POST` what is only told: whatever a success says is not read. Its status.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn tell(&self, path: &str, body: Bytes) -> Result<u16, HttpError> {
        let (answer, _) = self.exchange(Method::POST, path, &[], body, Bodies::Kept).await?;
        Ok(answer.status.as_u16())
    }

    /// A header of the answer to a `GET`, if it has it.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn header(&self, path: &str, name: &str) -> Result<Option<String>, HttpError> {
        let (answer, _) = self.exchange(Method::GET, path, &[], Bytes::new(), Bodies::Kept).await?;
        let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(value.map(str::to_owned))
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[Header],
        body: Bytes,
        bodies: Bodies,
    ) -> Result<Reply<T>, HttpError> {
        let name = format!("{method} {}{path}", self.base_url);
        let (parts, bytes) = self.exchange(method, path, headers, body, bodies).await?;
        let status = parts.status.as_u16();
        let document = serde_json::from_slice(&bytes).map_err(|error| {
            // serde tells what it found, which may be what must not be told.
            let why = match bodies {
                Bodies::Kept => error.to_string(),
                Bodies::Dropped => "it is no document of the expected shape".to_owned(),
            };
            HttpError::Body { name, status, why }
        })?;
        Ok(Reply { status, document })
    }

    /// One request and its whole answer, which is a success.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[Header],
        body: Bytes,
        bodies: Bodies,
    ) -> Result<(Parts, Bytes), HttpError> {
        let url = format!("{}{path}", self.base_url);
        let name = format!("{method} {url}");
        // Tokens are what a connect needs; all else that is posted changes something.
        if method == Method::POST && bodies == Bodies::Kept {
            self.permit.write().await.map_err(|refused| {
                self.contact.iter().for_each(|contact| contact.not_asked());
                no_way(name.clone(), &refused.into())
            })?;
        }
        if method == Method::POST
            && path.starts_with(WORKERS_PATH)
            && let Some(words) = self.extras.command()
        {
            return self.by_command(words, name, path, headers, body).await;
        }
        let request = self.outgoing(method, (&name, &url), headers, body)?;
        let asking = self.contact.as_ref().filter(|_| self.asks).map(Contact::ask);
        let answer = async {
            let response =
                self.client.request(request).await.map_err(|error| no_connection(&name, &error))?;
            let (parts, body) = response.into_parts();
            if let Some(contact) = &self.contact {
                contact.heard();
            }
            let bytes = Limited::new(body, BODY_MAX)
                .collect()
                .await
                .map_err(|error| no_connection(&name, &*error))?
                .to_bytes();
            if !parts.status.is_success() {
                return Err(no_success(name.clone(), &parts, &bytes, bodies));
            }
            Ok((parts, bytes))
        };
        let result = match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout(name, self.timeout)),
        };
        match (&result, &self.contact) {
            (Err(HttpError::Exhausted(..)), Some(contact)) => contact.not_asked(),
            (Err(HttpError::Connection { status: NOT_HTTP, .. }), Some(contact)) => contact.heard(),
            (Err(HttpError::Timeout(..) | HttpError::Connection { .. }), Some(contact))
                if self.asks =>
            {
                contact.unheard();
            }
            _ => {}
        }
        drop(asking);
        result
    }
}

/// What an answer says whose status is that of no success.
fn no_success(url: String, parts: &Parts, bytes: &Bytes, bodies: Bodies) -> HttpError {
    let status = parts.status.as_u16();
    let header = parts.headers.get(RETRY_AFTER);
    let retry_after = header.map(|value| said::word(&lossy(value.as_bytes())));
    let (code, body) = match bodies {
        Bodies::Kept => (Coded::of(bytes), said::body(bytes).unwrap_or_default()),
        Bodies::Dropped => (None, Box::default()),
    };
    HttpError::Status { url, status, code, body, retry_after }
}

impl Http {
    /// A request with all that this client's carry; `name` is its own, for messages.
    fn outgoing(
        &self,
        method: Method,
        (name, url): (&str, &str),
        headers: &[Header],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        // What they are is in no error's name.
        let uri = self.extras.with_query(url);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(USER_AGENT, &self.user_agent)
            .header(CONTENT_TYPE, "application/json");
        let theirs = headers.iter().map(|(name, _)| name);
        let theirs = theirs.chain(self.extras.headers().iter().map(|(name, _)| name));
        if !theirs.into_iter().any(|name| *name == REQUEST_ID) {
            request = request.header(&REQUEST_ID, request_id(&self.user_agent));
        }
        for (header, value) in headers {
            request = request.header(header, value);
        }
        for (name, value) in self.extras.headers() {
            if !headers.iter().any(|(own, _)| own == name) {
                request = request.header(name, value);
            }
        }
        request.body(Full::new(body)).map_err(|error| not_asked(name, error.to_string()))
    }

    /// Has a command of the contract's carried out by a program of the user's; what that sends is its own.
    async fn by_command(
        &self,
        words: &[String],
        name: String,
        path: &str,
        headers: &[Header],
        body: Bytes,
    ) -> Result<(Parts, Bytes), HttpError> {
        let user = headers.iter().find(|(name, _)| name == USER_ID_HEADER);
        let user = user.map(|(_, user)| user.clone()).unwrap_or_default();
        let mut place = Place::here(self.timeout);
        place.variables = vec![
            ("KHALA_COMMAND_PATH", path.into()),
            ("KHALA_COMMAND_USER", user.into()),
            ("KHALA_TARGET_URL", self.base_url.clone().into()),
        ];
        let redactor = Redactor::of_environment([]);
        let answer = command::answered(words, &place, body, &redactor).await;
        if let Some(contact) = self.contact.as_ref().filter(|_| answer.is_ok()) {
            contact.heard();
        }
        let answer = answer.map_err(|why| HttpError::Connection {
            name,
            status: "the command failed",
            why: format!("target.command: {why}"),
        })?;
        let mut taken = hyper::Response::new(()).into_parts().0;
        taken.status = hyper::StatusCode::ACCEPTED;
        Ok((taken, answer.into()))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn not_asked(name: &str, why: String) -> HttpError {
    HttpError::Connection { name: name.to_owned(), status: "not sent", why }
}

/// There is no connection.
fn no_way(name: String, error: &ReachError) -> HttpError {
    match error.exhausted() {
        Some(resource) => HttpError::Exhausted(name, resource),
        None => HttpError::Connection { name, status: error.status(), why: error.to_string() },
    }
}

/// hyper wraps what happened; people want the innermost.
fn no_connection(name: &str, error: &(dyn std::error::Error + 'static)) -> HttpError {
    let name = name.to_owned();
    let mut cause = error;
    let mut status = None;
    loop {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            let parsing = error.is_parse().then_some(NOT_HTTP);
            status = error.is_incomplete_message().then_some(CLOSED_EARLY).or(parsing).or(status);
        }
        if let Some(error) = cause.downcast_ref::<ReachError>() {
            return no_way(name, error);
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    let io = cause.downcast_ref::<std::io::Error>();
    if let Some(resource) = io.and_then(exhausted) {
        return HttpError::Exhausted(name, resource);
    }
    let status = status.or_else(|| io.map(connection_status)).unwrap_or("connection failed");
    HttpError::Connection { name, status, why: cause.to_string() }
}

#[cfg(test)]
mod tests;
