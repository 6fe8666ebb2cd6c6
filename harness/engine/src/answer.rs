//! How a request of the harness ended, as a report can tell it.

use khala_evidence::record::{Answered, Micros, Outcome, Record, Request, TIMED_OUT};

use crate::http::{HttpError, Reply};

/// How a request ended. Its texts are harmless already ([`crate::said`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it counts.
    pub outcome: Outcome,
    /// The status, or what came in its stead.
    pub status: Box<str>,
    /// What stood in a refusal.
    pub example: Option<Box<str>>,
    /// Its `Retry-After`.
    pub retry_after: Option<Box<str>>,
}

impl Answer {
    /// One that says nothing but how it counts.
    #[must_use]
    pub fn of(outcome: Outcome, status: impl Into<Box<str>>) -> Self {
        Self { outcome, status: status.into(), example: None, retry_after: None }
    }

    /// What was asked for, with this status.
    #[must_use]
    pub fn ok(status: u16) -> Self {
        Self::of(Outcome::Ok, status.to_string())
    }

    /// The request that it ended, as a record.
    #[must_use]
    pub fn record(
        self,
        request: Request,
        client: Option<u32>,
        start: Micros,
        at: Micros,
    ) -> Record {
        let Self { outcome, status, example, retry_after } = self;
        Record::Answered(Answered {
            client,
            request,
            start,
            at,
            outcome,
            status,
            example,
            retry_after,
        })
    }
}

/// How a request for a document ended.
#[must_use]
pub fn answer_to<T>(reply: &Result<Reply<T>, HttpError>) -> Answer {
    match reply {
        Ok(reply) => Answer::ok(reply.status),
        Err(error) => error.answer(),
    }
}

/// A connection that ended before the answer had come.
pub const CLOSED_EARLY: &str = "closed before it answered";

/// How an error of a connection is told.
#[must_use]
pub fn connection_status(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::ConnectionAborted => "connection aborted",
        ErrorKind::BrokenPipe => "connection closed while it was asked",
        ErrorKind::UnexpectedEof => CLOSED_EARLY,
        ErrorKind::TimedOut => TIMED_OUT,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => "no address or port to connect from",
        _ => "connection failed",
    }
}
