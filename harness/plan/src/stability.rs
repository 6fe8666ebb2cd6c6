//! What may befall a run although nobody planned it, and how much of it is too much.
//!
//! Each kind of incident is declared here once: its name, what it is, and the limit that operators
//! already hold a runtime to, where they do. A limit is the scenario's, else the target's, else the
//! contract's, else an assumption, and says which.

use std::time::Duration;

use crate::units::{self, NotAQuantity};

/// For how long a target may answer nobody although it is asked, where nobody says: an assumption.
pub const ABSENCE: Duration = Duration::from_secs(3);

macro_rules! incidents {
    ($($variant:ident $name:literal $of:literal $contract:expr, $doc:literal;)*) => {
        /// A kind of single incident.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum Incident {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl Incident {
            /// Every kind, in the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that scenarios and reports use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is, in a sentence.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// What there had to be for it to happen, in the plural.
            #[must_use]
            pub fn occasions(self) -> &'static str {
                match self { $(Self::$variant => $of,)* }
            }

            /// What operators already hold a runtime to (contract, section 7).
            #[must_use]
            pub fn contract(self) -> Option<Allowance> {
                match self { $(Self::$variant => $contract,)* }
            }
        }
    };
}

incidents! {
    SocketEnds "socket_ends" "sockets" None,
        "Sockets that the target ended or that broke.";
    ChannelEnds "channel_ends" "joins" None,
        "Channels that the target closed or crashed.";
    HeartbeatTimeouts "heartbeat_timeouts" "heartbeats" Some(Allowance::PerSecond(0.05)),
        "Heartbeats without an answer by the next one.";
    Rejoins "rejoins" "joins" Some(Allowance::PerSecond(1.5)),
        "Joins of a client after its first.";
    ConnectErrors "connect_errors" "connects" None,
        "Connects that were refused otherwise than for the token, broke or were not answered.";
    AuthErrors "auth_errors" "connects" Some(Allowance::Share(0.03)),
        "Upgrades and joins that were refused for the token or the session.";
    MintErrors "mint_errors" "token requests" Some(Allowance::Share(0.01)),
        "Token requests that were refused or not answered.";
    JoinErrors "join_errors" "joins" None,
        "Joins that were refused otherwise than for the session, or not answered.";
    SubscribeErrors "subscribe_errors" "subscribes" None,
        "Subscribes that were refused otherwise than as stale, or not answered, and unsubscribes that were not answered.";
    SnapshotErrors "snapshot_errors" "snapshots" None,
        "Snapshots that were refused or not answered.";
    PublishErrors "publish_errors" "commands" None,
        "Commands that were refused otherwise than for a publish limit, or not answered.";
}

impl Incident {
    /// The kind of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|incident| incident.name() == name)
    }
}

/// What may follow from a fault: an incident of a kind, sockets that end in one way, or that the target
/// answers nobody for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The target is away for longer than the bound.
    Absence,
    /// Sockets end, each by a close frame of a graceful stop: 1012, or 1000 before the join (contract,
    /// section 3, closes). Any other end of theirs is none of its doing.
    SocketCloses,
    /// An incident of this kind.
    Incident(Incident),
}

impl Consequence {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        let incidents = Incident::ALL.iter().copied().map(Self::Incident);
        [Self::Absence, Self::SocketCloses].into_iter().chain(incidents)
    }

    /// The name that scenarios use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Absence => "absence",
            Self::SocketCloses => "socket_closes",
            Self::Incident(incident) => incident.name(),
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::all().find(|consequence| consequence.name() == name)
    }
}

/// How many incidents of a kind a run may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// So many.
    Count(u64),
    /// This share of the occasions, 0 to 1.
    Share(f64),
    /// So many a second of the run, over the fleet.
    PerSecond(f64),
    /// As many an hour of the run as this share of the clients is, 0 to 1.
    ClientsPerHour(f64),
}

impl Allowance {
    /// Reads one that is no plain number: `1%` of the occasions, `0.05/s`, `0.1%/h` of the clients.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let text = text.trim();
        match (text.rsplit_once('/'), text.contains('%')) {
            (Some((share, per)), true) if per.trim() == "h" => {
                units::share(share).map(Self::ClientsPerHour)
            }
            (Some((_, per)), true) => {
                let per = per.trim();
                Err(NotAQuantity::of(format!("is a share per `{per}`; a share is per `h`")))
            }
            (Some(_), false) => units::rate_per_s(text).map(Self::PerSecond),
            (None, true) => units::share(text).map(Self::Share),
            (None, false) => Err(NotAQuantity::of(
                "is no limit, such as `1%` of the occasions, `0.05/s`, or `0.1%/h` of the clients; \
                 a plain number stands without quotes",
            )),
        }
    }

    /// How many that is, of so many occasions and clients, over this time.
    #[must_use]
    pub fn count(self, occasions: u64, clients: u64, over: Duration) -> u64 {
        let seconds = over.as_secs_f64();
        // What is exactly whole must not fall below it by a rounding.
        let whole = |amount: f64| (amount * (1.0 + 1e-9)).floor() as u64;
        match self {
            Self::Count(count) => count,
            Self::Share(share) => whole(share * occasions as f64),
            Self::PerSecond(rate) => whole(rate * seconds),
            Self::ClientsPerHour(share) => whole(share * clients as f64 * seconds / 3_600.0),
        }
    }
}

/// As a scenario would write it, quotes left out.
impl std::fmt::Display for Allowance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{}%", percent(*share)),
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::ClientsPerHour(share) => write!(f, "{}%/h", percent(*share)),
        }
    }
}

/// A share in percent, without what binary fractions add to it.
fn percent(share: f64) -> f64 {
    (share * 1e11).round() / 1e9
}

/// Whose word a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitFrom {
    /// The scenario's own.
    Scenario,
    /// What the target is known for.
    Target,
    /// The contract's.
    Contract,
    /// Nobody's: it is assumed.
    Assumed,
}

impl std::fmt::Display for LimitFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scenario => "the scenario's",
            Self::Target => "the target's",
            Self::Contract => "contract, section 7",
            Self::Assumed => "an assumption",
        })
    }
}

/// The limit of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What is allowed.
    pub allowance: Allowance,
    /// What is allowed however little `allowance` comes to: one incident proves no rate.
    pub at_least: u64,
    /// Whose word it is.
    pub from: LimitFrom,
}

impl Limit {
    /// The limit of a kind for which nobody gives one.
    #[must_use]
    pub fn by_default(incident: Incident, reference: bool) -> Self {
        let at_least = u64::from(!reference);
        let (allowance, from) = match incident.contract() {
            Some(allowance) => (allowance, LimitFrom::Contract),
            None if reference => (Allowance::Count(0), LimitFrom::Assumed),
            None => (Allowance::ClientsPerHour(0.001), LimitFrom::Assumed),
        };
        Self { allowance, at_least, from }
    }

    /// A limit that somebody gives.
    #[must_use]
    pub fn given(allowance: Allowance, from: LimitFrom) -> Self {
        Self { allowance, at_least: 0, from }
    }

    /// How many incidents that is; see [`Allowance::count`].
    #[must_use]
    pub fn count(&self, occasions: u64, clients: u64, over: Duration) -> u64 {
        self.allowance.count(occasions, clients, over).max(self.at_least)
    }

    /// What is allowed and whose word that is, in a clause; `of`: what the occasions are.
    #[must_use]
    pub fn told(&self, of: &str) -> String {
        let allowed = match self.allowance {
            Allowance::Count(0) => "none".to_owned(),
            Allowance::Count(count) => count.to_string(),
            Allowance::Share(_) => format!("{} of the {of}", self.allowance),
            Allowance::PerSecond(_) => self.allowance.to_string(),
            Allowance::ClientsPerHour(share) => {
                format!("{}% of the clients an hour", percent(share))
            }
        };
        let at_least = match self.at_least {
            0 => String::new(),
            some => format!(", at least {some}"),
        };
        format!("{allowed}{at_least}; {}", self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn names_resolve() {
        for &incident in Incident::ALL {
            assert_eq!(Incident::of(incident.name()), Some(incident));
        }
        assert_eq!(Incident::of("socket_end"), None);
    }

    #[test]
    fn limits_are_read_as_they_are_written() {
        for (text, allowance) in [
            ("1%", Allowance::Share(0.01)),
            (" 7 % ", Allowance::Share(0.07)),
            ("0.05/s", Allowance::PerSecond(0.05)),
            ("0.1%/h", Allowance::ClientsPerHour(0.001)),
        ] {
            let read = Allowance::parse(text).expect("a limit");
            assert_eq!(read, allowance, "{text}");
            assert_eq!(read.to_string(), text.replace(' ', ""));
        }
        for text in ["", "3", "1%/s", "101%", "x/s", "1%/h/h"] {
            assert!(Allowance::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_comes_to_whole_incidents() {
        let of = |allowance: Allowance, over| allowance.count(300, 1_000, over);
        assert_eq!(of(Allowance::Count(4), HOUR), 4);
        assert_eq!(of(Allowance::Share(0.01), HOUR), 3);
        assert_eq!(of(Allowance::Share(0.0133), HOUR), 3);
        assert_eq!(of(Allowance::PerSecond(0.05), Duration::from_secs(20)), 1);
        assert_eq!(of(Allowance::PerSecond(0.05), Duration::from_secs(19)), 0);
        assert_eq!(of(Allowance::ClientsPerHour(0.001), HOUR), 1);
        assert_eq!(of(Allowance::ClientsPerHour(0.001), HOUR * 2), 2);
        assert_eq!(of(Allowance::ClientsPerHour(0.001), HOUR / 2), 0);
    }

    #[test]
    fn where_nobody_says_the_contract_does_and_else_it_is_assumed() {
        let minute = Duration::from_secs(60);
        let of = |incident, reference| Limit::by_default(incident, reference);
        let ends = of(Incident::SocketEnds, true);
        assert_eq!((ends.count(500, 1_000, HOUR), ends.from), (0, LimitFrom::Assumed));
        let elsewhere = of(Incident::SocketEnds, false);
        assert_eq!(elsewhere.count(500, 1_000, minute), 1, "at least one");
        assert_eq!(elsewhere.count(500, 5_000, HOUR), 5);
        assert_eq!(
            elsewhere.told("sockets"),
            "0.1% of the clients an hour, at least 1; an assumption"
        );
        let mints = of(Incident::MintErrors, true);
        assert_eq!((mints.count(200, 9, minute), mints.from), (2, LimitFrom::Contract));
        assert_eq!(mints.told("token requests"), "1% of the token requests; contract, section 7");
        let given = Limit::given(Allowance::Count(0), LimitFrom::Scenario);
        assert_eq!(given.told("sockets"), "none; the scenario's");
    }
}
