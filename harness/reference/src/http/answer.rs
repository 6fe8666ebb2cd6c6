//! Refusals of the HTTP side, and who may ask.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use khala_wire::command::CommandError;
use serde::de::DeserializeOwned;

use crate::store::CommandRefusal;

/// What a handler answers.
pub type Answer = Result<Response, Refused>;

/// A refused request: `{"error": code, …}` under a status.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    error: Box<CommandError>,
}

impl Refused {
    /// `{"error": code}`
    pub fn new(status: StatusCode, code: impl Into<String>) -> Self {
        let error = CommandError { error: code.into(), ..CommandError::default() };
        Self { status, error: Box::new(error) }
    }

    /// With words for people.
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.error.message = Some(message.into());
        self
    }

    /// With what the contract adds to a refused publish.
    pub fn rate_limited(mut self, class: &str, per_second: u64, retry_after_ms: u64) -> Self {
        self.error.max_publish_per_second = Some(per_second);
        self.error.retry_after_ms = Some(retry_after_ms);
        self.error.topic_class = Some(class.to_owned());
        self
    }

    /// Its code.
    #[cfg(test)]
    pub fn code(&self) -> &str {
        &self.error.error
    }

    /// 401
    pub fn unauthorized(code: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}

impl From<CommandRefusal> for Refused {
    fn from(refusal: CommandRefusal) -> Self {
        let status = match refusal {
            CommandRefusal::NotFound => StatusCode::NOT_FOUND,
            CommandRefusal::Stopped | CommandRefusal::SequenceConflict => StatusCode::CONFLICT,
            CommandRefusal::Full => StatusCode::INSUFFICIENT_STORAGE,
            CommandRefusal::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.to_string())
    }
}

/// Reads a JSON body; 400 when it does not have its shape.
pub fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, "invalid_body").because(error.to_string())
    })
}

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses whoever is not the operator, when an admin token is configured.
pub fn require_admin(admin_token: Option<&str>, headers: &HeaderMap) -> Result<(), Refused> {
    match admin_token {
        Some(expected) if bearer(headers) != Some(expected) => {
            Err(Refused::unauthorized("unauthorized"))
        }
        _ => Ok(()),
    }
}
