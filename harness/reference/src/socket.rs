//! The WebSocket lane: one task per connection.
//!
//! [`mod@upgrade`] decides who gets in, [`connection`] waits, [`inbound`] answers, [`deliver`] sends
//! what lies between a position and its head. No module in here holds a queue: what a socket has
//! yet to be sent is a position in a topic's log.

mod bend;
mod channel;
mod compat;
mod connection;
mod deliver;
mod end;
mod hoard;
mod hold;
mod inbound;
mod lag;
mod link;
mod next;
mod obey;
mod registry;
mod serve;
mod stale;
mod subscribe;
mod tail;
mod turnstile;
mod upgrade;

pub use registry::Sockets;
pub use turnstile::{Door, Turnstile};
pub use upgrade::upgrade;
