//! The closed list of defects, with what must catch each. One file a group.

mod authority;
mod cursors;
mod delivery;
mod flow;
mod latency;
mod snapshot;

use super::Kind;

/// What a defect breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Loss, order and content of what is sent.
    Delivery,
    /// Cursors, floors, budgets and seqs.
    Cursors,
    /// Snapshots.
    Snapshot,
    /// Tokens, scopes, revocations and commands.
    Authority,
    /// Slow consumers, fairness, and the life of channels and sockets.
    Flow,
    /// What is right and comes too late.
    Latency,
}

/// What one opportunity of a defect is: what its `probability` and its `after` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// An event, as it is published or as it is sent to one connection.
    Event,
    /// A batch on its way to one connection.
    Batch,
    /// A subscribe that the defect could bend.
    Subscribe,
    /// A token, a snapshot, a revocation, a heartbeat, an unsubscribe, a close, and the like.
    Request,
    /// A connection, chosen for life; `after` counts nothing.
    Connection,
    /// A stretch of time, numbered since the start.
    Period,
    /// A topic with a history, at a start from the data directory.
    Restart,
}

impl Per {
    /// Whether opportunities are as many as deliveries, so that the defect makes sense at a
    /// probability of a hundredth too.
    #[must_use]
    pub fn delivery(self) -> bool {
        matches!(self, Self::Event | Self::Batch)
    }

    /// Its name on the page of defects.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Batch => "batch",
            Self::Subscribe => "subscribe",
            Self::Request => "request",
            Self::Connection => "connection",
            Self::Period => "period",
            Self::Restart => "restart",
        }
    }
}

/// One way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defect {
    pub(crate) kind: Kind,
    /// What it breaks.
    pub group: Group,
    /// Its name, as [`super::DefectSpec`] reads it.
    pub name: &'static str,
    /// What it does, in one sentence. Times are the defaults of [`crate::config::DefectTimes`].
    pub summary: &'static str,
    /// What one opportunity is.
    pub per: Per,
    /// The oracle rule that must catch it, or `gate:NAME`.
    pub primary: &'static str,
    /// Rules and gates that may fail beside it, because they follow from it.
    pub consequences: &'static [&'static str],
    /// Share of the opportunities that it takes unless told otherwise.
    pub probability: f64,
}

impl Defect {
    /// The shipped scenario that shows it with nothing changed, in its profile `smoke`; none where it takes
    /// a scenario of `selftest`'s own, or other settings. (The command line's tests hold it against the kill
    /// matrix.)
    #[must_use]
    pub fn shows_in(&self) -> Option<&'static str> {
        match (self.name, self.group) {
            ("late_publish", _) => Some("quiet"),
            ("watermark_regress", _) => Some("smoke"),
            ("seq_reset_on_restart" | "slow_stalls_neighbours" | "starved_topic", _)
            | ("heartbeats_unanswered" | "stuck_channel" | "wrong_close_code", _)
            | (_, Group::Authority | Group::Latency) => None,
            (_, Group::Delivery) => Some("smoke"),
            (_, Group::Cursors | Group::Snapshot) => Some("stale-cursor"),
            (_, Group::Flow) => Some("slow-consumer"),
        }
    }
}

const GROUPS: [&[Defect]; 6] = [
    delivery::DEFECTS,
    cursors::DEFECTS,
    snapshot::DEFECTS,
    authority::DEFECTS,
    flow::DEFECTS,
    latency::DEFECTS,
];

const ALL: [Defect; super::KINDS] = {
    let mut all = [GROUPS[0][0]; super::KINDS];
    let (mut group, mut at) = (0, 0);
    while group < GROUPS.len() {
        let mut index = 0;
        while index < GROUPS[group].len() {
            all[at] = GROUPS[group][index];
            (index, at) = (index + 1, at + 1);
        }
        group += 1;
    }
    assert!(at == super::KINDS, "a kind without an entry");
    all
};

/// Every defect, by group.
pub const CATALOGUE: &[Defect] = &ALL;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_entry_and_every_group_is_in_one_piece() {
        let mut kinds: Vec<_> = CATALOGUE.iter().map(|defect| defect.kind as usize).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, (0..super::super::KINDS).collect::<Vec<_>>());
        assert!(CATALOGUE.is_sorted_by_key(|defect| defect.group));
    }

    #[test]
    fn names_are_unique_and_no_defect_is_its_own_consequence() {
        for (index, defect) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[..index].iter().all(|other| other.name != defect.name));
            assert!(!defect.consequences.contains(&defect.primary), "{}", defect.name);
            assert!(defect.consequences.is_sorted_by(|a, b| a < b), "{}", defect.name);
        }
    }

    #[test]
    fn a_probability_that_is_not_one_is_told_in_the_summary() {
        for defect in CATALOGUE {
            let told = defect.summary.contains("probability)");
            assert_eq!(told, defect.probability < 1.0, "{}", defect.name);
        }
    }
}
