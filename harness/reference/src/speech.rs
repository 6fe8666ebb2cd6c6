//! How the runtime writes events and batches, and how its HTTP side answers: what another server needs that
//! speaks as it does, and is none (the null server of the self-test).

pub use crate::clock::rfc3339;
pub use crate::fanout::{Batch, BatchKey};
pub use crate::http::answer::{Answer, Refused, read_body};
pub use crate::store::{Draft, WorkerEvent, event_key};
