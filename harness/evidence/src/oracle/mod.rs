//! The oracle: rules that a correct runtime cannot break, judged over what clients saw.
//!
//! Streaming, with constant memory per client and topic. A client cannot know the server's head at
//! an instant, so rules judge with bounds, and what the bounds leave open is counted as undecided.
//! Never reads a clock, never opens a socket, and shares no code with the reference runtime beyond
//! the wire's shapes. How to add a rule: `ADDING_A_RULE.md` in this crate.

pub mod after_unsubscribe;
pub mod authz_leak;
pub mod bad_duplicate;
pub mod bad_snapshot;
pub mod baseline;
pub mod command_accepted;
pub mod cursors;
pub mod divergent_value;
pub mod false_replay_complete;
pub mod false_stale;
pub mod frame_mismatch;
pub mod future_cursor;
pub mod gap;
pub mod heads_told;
pub mod late_publish;
pub mod ledger;
pub mod lost_publish;
pub mod malformed_message;
pub mod misaddressed;
pub mod missing;
pub mod no_convergence;
pub mod no_eviction;
pub mod nonmonotonic;
pub mod phantom;
pub mod rule;
pub mod slow;
pub mod stale_not_signalled;
pub mod stands;
pub mod starved_topic;
pub mod state_late;
pub mod state_regress;
pub mod state_stale;
pub mod stuck_channel;
pub mod successor;
pub mod tail_before_snapshot;
pub mod tally;
pub mod track;
pub mod unbounded_buffer;
pub mod windows;
pub mod wrong_close_or_error;
pub mod wrong_reason;
pub mod wrongful_eviction;
pub mod ws_protocol;

pub use lost_publish::End;
pub use rule::{Rule, RuleKind};
pub use tally::{RuleTally, Tally, Violation};
