//! Sessions and devices whose joins are refused for a while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

#[derive(Clone)]
struct Revoked {
    until: Instant,
    reason: String,
}

/// What was revoked, until when, and why.
pub struct Revocations {
    hold: Duration,
    by_id: Mutex<HashMap<Id, Revoked>>,
}

/// A session's or a device's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// Of a session.
    Session(String),
    /// Of a device.
    Device(String),
}

impl Revocations {
    /// None yet; each holds for `hold`.
    pub fn new(hold: Duration) -> Self {
        Self { hold, by_id: Mutex::default() }
    }

    /// Revokes ids from now on. Lapsed ones are forgotten, so that the map stays as small as the
    /// revocations of one hold.
    pub fn revoke(&self, ids: impl Iterator<Item = Id>, reason: &str, now: Instant) {
        let mut by_id = lock(&self.by_id);
        by_id.retain(|_, revoked| revoked.until > now);
        let until = now + self.hold;
        by_id.extend(ids.map(|id| (id, Revoked { until, reason: reason.to_owned() })));
    }

    /// Why a principal may not join, if so.
    pub fn reason(&self, session: &str, device: &str, now: Instant) -> Option<String> {
        let by_id = lock(&self.by_id);
        if by_id.is_empty() {
            return None;
        }
        [Id::Session(session.to_owned()), Id::Device(device.to_owned())]
            .iter()
            .find_map(|id| by_id.get(id).filter(|revoked| revoked.until > now))
            .map(|revoked| revoked.reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_holds_for_its_time_and_for_its_id() {
        let revocations = Revocations::new(Duration::from_secs(900));
        let now = Instant::now();
        revocations.revoke([Id::Session("s".into())].into_iter(), "why", now);
        let reason = |s, d, at| revocations.reason(s, d, at);
        assert_eq!(reason("s", "d", now).as_deref(), Some("why"));
        assert_eq!(reason("other", "s", now), None, "a device is not a session");
        assert_eq!(reason("s", "d", now + Duration::from_secs(900)), None);
    }
}
