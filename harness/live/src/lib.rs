//! A run shown while it goes on: what it comes to so far, as a page, as metrics, in words.
//!
//! Everything here is made of what the run's observer is told and of [`khala_evidence::standing`], which the
//! journal's writer adds up: there is one source for the terminal, the page and the metrics. Nobody who
//! runs anything waits for anybody who watches, and nothing here decides anything: verdicts are the
//! judge's, at the end.

mod curves;
pub mod frame;
pub mod gates;
pub mod server;
pub mod words;

pub use frame::{Frame, Run, Watch};
pub use server::{Dashboard, Settings, VIEWER};
