//! Incidents of auth failures: open over 3 % in ten minutes, closed again below 2 % for fifteen (contract,
//! section 7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::judge::Sums;
use super::{CLOSE_SHARE, Indicator, Limit, Settings};

/// A time of too many auth failures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Second of observed time at which the share went over 3 %.
    pub opened_s: u64,
    /// Second at which it had been below 2 % for long enough; `None` where the hold ended before.
    pub closed_s: Option<u64>,
    /// The largest share of a window in it, 0 to 1.
    pub peak: f64,
}

pub(super) fn of(auth: &Sums, len: usize, window: usize, settings: &Settings) -> Vec<Incident> {
    let Limit::Share(open_over) = Indicator::AuthFailures.limit() else { return Vec::new() };
    let close = usize::try_from(settings.close_s).unwrap_or(usize::MAX);
    #[expect(clippy::cast_precision_loss, reason = "counts of a hold")]
    let share = |from: usize, until: usize| {
        let counts = auth.within(from, until);
        (counts.all > 0).then(|| counts.bad as f64 / counts.all as f64)
    };
    let mut incidents: Vec<Incident> = Vec::new();
    let mut low_since: Option<usize> = None;
    for until in window.min(len).max(1)..=len {
        let now = share(until.saturating_sub(window), until).unwrap_or(0.0);
        match incidents.last_mut().filter(|incident| incident.closed_s.is_none()) {
            None if now > open_over => {
                incidents.push(Incident { opened_s: until as u64, closed_s: None, peak: now });
                low_since = None;
            }
            None => {}
            Some(incident) => {
                incident.peak = incident.peak.max(now);
                match low_since {
                    _ if now >= CLOSE_SHARE => low_since = None,
                    None => low_since = Some(until),
                    Some(since) if until - since >= close => {
                        incident.closed_s = Some(until as u64);
                    }
                    Some(_) => {}
                }
            }
        }
    }
    incidents
}
