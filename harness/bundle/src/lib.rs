//! The folder of evidence that a run leaves: written, read, settled, verified, pruned.
//!
//! A bundle has sources, which the run writes as it goes on (the journal, the plan and its
//! schedule, the events, the target's metrics), and what is made of them: the
//! [report](khala_evidence::report::RunReport) in `run.json`, its renderings, and the [`manifest`] with a
//! digest of each file. There is one way to a report: [`Bundle::settle`] reads the sources and judges them. A
//! run ends with it too, so that what is judged is what is on disk.
//!
//! ```
//! use std::path::Path;
//!
//! let bundle = khala_bundle::Bundle::open(Path::new("tests/data/go"))?;
//! let report = bundle.settle()?.report();
//! println!("{}: {}", report.scenario.name, report.decision);
//! assert_eq!(report.decision.to_string(), "GO");
//! # Ok::<(), khala_bundle::Error>(())
//! ```
//!
//! Who runs something begins with [`Writer::create`]: its [`Writer::logs`] give each thread a [`LogSink`],
//! [`Writer::finish`] ends them, and [`Evidence::derive`] writes what follows.
//!
//! No socket is opened here, nothing is printed and no code is chosen to exit with: that is the command
//! line's.

mod bundle;
mod clock;
mod error;
mod evidence;
mod files;
mod hlog_file;
mod host;
mod journal;
mod keeper;
mod logs;
pub mod manifest;
pub mod names;
mod prune;
pub mod recording;
mod run_json;
mod runs;
pub mod seal;
mod spare;
pub mod statement;
mod verify;
mod writer;

pub use bundle::{Bundle, is_bundle, under_gates};
pub use clock::utc_now;
pub use error::Error;
pub use evidence::{Derived, Evidence, Leftover, Reading};
pub use files::{Lock, open_own, write};
pub use host::this as this_host;
pub use logs::{LogSink, Logs, Wanted};
pub use manifest::{Maker, Manifest, sha256};
pub use prune::{Keep, Pruned, prune};
pub use run_json::summary;
pub use runs::{INDEX, INDEX_PAGE, LATEST, drop_dangling_latest, point_latest, write_index};
pub use spare::{Spare, try_out};
pub use verify::{Verified, verify};
pub use writer::{Writer, can_keep, room_for};
