//! A small JSON client for the command path, the control service and the operators' view.
//!
//! Every request is timed out; bodies are bounded. Secrets go into headers and never into errors.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use hyper::http::response::Parts;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use khala_evidence::record::{Outcome, Resource};
use serde::de::DeserializeOwned;

use crate::transport::exhausted;

/// Largest answer read.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Idle connections kept to a target.
const IDLE_MAX: usize = 64;

/// Why a request has no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing answered in time.
    #[error("{0}: no answer within {1:?}")]
    Timeout(String, Duration),
    /// The connection could not be made, or broke.
    #[error("{0}: {1}")]
    Connection(String, String),
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
        /// The start of the body.
        body: String,
    },
    /// The body is not what the contract says.
    #[error("{0}: the answer is not of the contract: {1}")]
    Body(String, String),
}

impl HttpError {
    /// How the operation counts.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout(..) => Outcome::Timeout,
            Self::Connection(..) => Outcome::ConnectionFailed,
            Self::Exhausted(_, resource) => Outcome::Exhausted(*resource),
            Self::Status { status: 401 | 403, .. } => Outcome::RefusedAuth,
            Self::Status { .. } | Self::Body(..) => Outcome::ProtocolError,
        }
    }
}

/// A client of one base URL.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base_url: String,
    user_agent: String,
    timeout: Duration,
}

/// One header.
pub type Header = (HeaderName, String);

impl Http {
    /// A client of `base_url` (without a slash at its end).
    #[must_use]
    pub fn new(base_url: &str, user_agent: &str, timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self { client, base_url: base_url.to_owned(), user_agent: user_agent.to_owned(), timeout }
    }

    /// `GET` a JSON document.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[Header],
    ) -> Result<T, HttpError> {
        self.request(Method::GET, path, headers, Bytes::new()).await
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
    ) -> Result<T, HttpError> {
        self.request(Method::POST, path, headers, body).await
    }

    /// A header of the answer to a `GET`, if it has it.
    ///
    /// # Errors
    /// As [`HttpError`] says.
    pub async fn header(&self, path: &str, name: &str) -> Result<Option<String>, HttpError> {
        let (answer, _) = self.exchange(Method::GET, path, &[], Bytes::new()).await?;
        let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(value.map(str::to_owned))
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[Header],
        body: Bytes,
    ) -> Result<T, HttpError> {
        let name = format!("{method} {}{path}", self.base_url);
        let (_, bytes) = self.exchange(method, path, headers, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| HttpError::Body(name, error.to_string()))
    }

    /// One request and its whole answer, which is a success.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[Header],
        body: Bytes,
    ) -> Result<(Parts, Bytes), HttpError> {
        let url = format!("{}{path}", self.base_url);
        let name = format!("{method} {url}");
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header(USER_AGENT, &self.user_agent)
            .header(CONTENT_TYPE, "application/json");
        for (header, value) in headers {
            request = request.header(header, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| HttpError::Connection(name.clone(), error.to_string()))?;
        let answer = async {
            let response =
                self.client.request(request).await.map_err(|error| no_connection(&name, &error))?;
            let (parts, body) = response.into_parts();
            let bytes = Limited::new(body, BODY_MAX)
                .collect()
                .await
                .map_err(|error| HttpError::Connection(name.clone(), error.to_string()))?
                .to_bytes();
            if !parts.status.is_success() {
                let status = parts.status.as_u16();
                let body = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
                return Err(HttpError::Status { url: name.clone(), status, body });
            }
            Ok((parts, bytes))
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout(name, self.timeout)),
        }
    }
}

/// hyper wraps what happened; people want the innermost.
fn no_connection(name: &str, error: &(dyn std::error::Error + 'static)) -> HttpError {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref().and_then(exhausted) {
        Some(resource) => HttpError::Exhausted(name.to_owned(), resource),
        None => HttpError::Connection(name.to_owned(), cause.to_string()),
    }
}
