//! The surfaces: the real clients that cohorts behave like (contract, section 6).

use std::time::Duration;

use khala_wire::topic::{self, TopicId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// Which real client a cohort behaves like.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Surface {
    /// The web shell.
    WebShell,
    /// The desktop application.
    Desktop,
    /// The phone application.
    Ios,
}

impl Surface {
    /// All surfaces of the WebSocket lane.
    pub const ALL: [Self; 3] = [Self::WebShell, Self::Desktop, Self::Ios];

    /// The surface of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|surface| surface.name() == name)
    }

    /// `oa_client_surface`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebShell => "web-shell",
            Self::Desktop => "desktop",
            Self::Ios => "ios",
        }
    }

    /// Topics that the surface subscribes to when nothing else is said.
    #[must_use]
    pub fn default_topics(self) -> Vec<TopicId> {
        let name = match self {
            Self::WebShell => topic::WORKER_SUMMARIES,
            Self::Desktop | Self::Ios => topic::WORKER_EVENTS,
        };
        TopicId::of(name).into_iter().collect()
    }

    /// The surface's reconnect delay.
    #[must_use]
    pub fn default_backoff(self) -> Backoff {
        let ms = Duration::from_millis;
        match self {
            // The web shell counts attempts from 0, so its first reconnect waits 750 ms.
            Self::WebShell => Backoff::exponential(ms(750), 1, 6, ms(8_000), 0.0),
            Self::Desktop => Backoff::fixed(ms(2_000)),
            Self::Ios => Backoff::exponential(ms(250), 1, 10, ms(8_000), 0.5),
        }
    }

    /// How often every surface heartbeats.
    pub const HEARTBEAT: Duration = Duration::from_secs(20);
    /// `replay_batch_size` of every surface.
    pub const REPLAY_BATCH_SIZE: u32 = 200;
}
