//! The recording of a run (`--record`): every record that the judge was given, kept beside the journal.
//!
//! The journal is the evidence, and no command judges by a recording: it is there for judges that share no
//! code with the oracle, and to hold one build of it against another
//! ([`Bundle::settle_recording`](crate::Bundle::settle_recording)).

pub(crate) mod read;
pub(crate) mod write;

pub use khala_evidence::recording::{Begin, Chunk, End, Line, Thread};
pub use read::Lines;
