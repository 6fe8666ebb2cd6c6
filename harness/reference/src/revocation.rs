//! Sessions and devices whose joins are refused for a while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

#[derive(Clone)]
struct Revoked {
    until: Instant,
    /// Defect `revocation_forgotten`: from when on nothing is known of it.
    forgotten_at: Option<Instant>,
    reason: String,
}

/// What is known of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing against it.
    Free,
    /// It may not join, for this reason.
    Revoked(String),
    /// It may not join, and a defect has forgotten that.
    Forgotten,
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

    /// Revokes ids from now on. Lapsed ones are dropped, so that the map stays as small as the
    /// revocations of one hold. `memory` is for how long a defect remembers it, if one does not.
    pub fn revoke(
        &self,
        ids: impl Iterator<Item = Id>,
        reason: &str,
        now: Instant,
        memory: Option<Duration>,
    ) {
        let mut by_id = lock(&self.by_id);
        by_id.retain(|_, revoked| revoked.until > now);
        let until = now + self.hold;
        let forgotten_at = memory.map(|memory| now + memory);
        let revoked = || Revoked { until, forgotten_at, reason: reason.to_owned() };
        by_id.extend(ids.map(|id| (id, revoked())));
    }

    /// Whether a principal may join.
    pub fn standing(&self, session: &str, device: &str, now: Instant) -> Standing {
        let by_id = lock(&self.by_id);
        if by_id.is_empty() {
            return Standing::Free;
        }
        let revoked = [Id::Session(session.to_owned()), Id::Device(device.to_owned())]
            .iter()
            .find_map(|id| by_id.get(id).filter(|revoked| revoked.until > now))
            .cloned();
        match revoked {
            None => Standing::Free,
            Some(revoked) if revoked.forgotten_at.is_some_and(|at| at <= now) => {
                Standing::Forgotten
            }
            Some(revoked) => Standing::Revoked(revoked.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_revocation_holds_for_its_time_and_for_its_id() {
        let revocations = Revocations::new(Duration::from_secs(900));
        let now = clock::now();
        let session = || [Id::Session("s".into())].into_iter();
        revocations.revoke(session(), "why", now, None);
        let standing = |s, d, after| revocations.standing(s, d, now + Duration::from_secs(after));
        assert_eq!(standing("s", "d", 0), Standing::Revoked("why".into()));
        assert_eq!(standing("other", "s", 0), Standing::Free, "a device is not a session");
        assert_eq!(standing("s", "d", 899), Standing::Revoked("why".into()));
        assert_eq!(standing("s", "d", 900), Standing::Free);
        revocations.revoke(session(), "why", now, Some(Duration::from_secs(5)));
        assert_eq!(standing("s", "d", 4), Standing::Revoked("why".into()));
        assert_eq!(standing("s", "d", 5), Standing::Forgotten);
        assert_eq!(standing("s", "d", 900), Standing::Free);
    }
}
