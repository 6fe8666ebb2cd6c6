//! Who may be spoken to: this machine freely, any other host as its entry in an allow file says.
//!
//! ```toml
//! [[host]]
//! name = "sync.staging.example.com"   # as the base URL has it
//! addresses = ["10.20.0.0/16"]        # what the name may stand for
//! ports = [443]                       # left out: any
//! clients = 500
//! connects_per_second = 100
//! messages_per_second = 20            # commands and other writes, over HTTP
//! hours = "08:00-18:00"               # UTC; left out: any
//! owner = "sync-team@example.com"
//! expires = "2027-01-31"              # the last day, UTC
//! ```
//!
//! An entry is looked at before a name is looked up, and at every connect again: an address that a name did not
//! have when the run began is refused like any other. What goes beyond the limits of an entry is not sent; the
//! run then lacks it, as it would lack descriptors. What has time (`doctor`, `conform`) waits for its turn.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::place::{Host, Place};
use super::rate::Rate;
use crate::error::SetupError;

/// Most clients that any entry may grant: what one process carries.
pub const CLIENTS_MAX: u32 = 20_000;
/// Most connects a second that any entry may grant.
pub const CONNECTS_MAX: u32 = 2_000;
/// Most writes a second that any entry may grant.
pub const MESSAGES_MAX: u32 = 1_000;

/// The entries of an allow file.
#[derive(Debug, Default)]
pub struct Guard {
    entries: Vec<Arc<Entry>>,
    /// Whether what is beyond a rate waits for its turn.
    waits: bool,
}

/// An allow file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: Vec<Written>,
}

/// One of its entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    addresses: Vec<IpNet>,
    ports: Option<Vec<u16>>,
    #[serde(default)]
    through_proxy: bool,
    clients: u32,
    connects_per_second: NonZeroU32,
    messages_per_second: u32,
    hours: Option<String>,
    owner: String,
    expires: Date,
}

/// One entry, with what is left of its rates.
#[derive(Debug)]
pub struct Entry {
    /// The host as base URLs name it.
    pub name: String,
    addresses: Vec<IpNet>,
    ports: Option<Vec<u16>>,
    through_proxy: bool,
    /// Most clients at once.
    pub clients: u32,
    /// Most connects a second.
    pub connects_per_second: u32,
    /// Most writes a second.
    pub messages_per_second: u32,
    hours: Option<(Time, Time)>,
    /// Who answers for it.
    pub owner: String,
    /// Its last day.
    pub expires: Date,
    connects: Rate,
    messages: Rate,
}

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No entry names the host.
    #[error(
        "{0} is not this machine, and no entry of an allow file names it: nothing was sent, not even a question \
         for its address; --allow FILE names one (see SECURITY.md)"
    )]
    NoEntry(String),
    /// A name of this machine is no address of it.
    #[error("{0} stands for {1}, which is not this machine")]
    NotLoopback(String, IpAddr),
    /// The entry names other addresses.
    #[error("{0} stands for {1}, which is none of the addresses of its entry in the allow file")]
    Address(String, IpAddr),
    /// The entry names other ports.
    #[error("port {1} is none of the ports of the entry for {0} in the allow file")]
    Port(String, u16),
    /// A proxy would look the name up.
    #[error(
        "the way to {0} is through a proxy, which looks its address up itself: its entry in the allow file says \
         through_proxy = true where that may be"
    )]
    ThroughProxy(String),
    /// It has expired.
    #[error("the entry for {0} in the allow file expired on {1}; its owner is {2}")]
    Expired(String, Date, String),
    /// Not at this time of day.
    #[error("the entry for {0} in the allow file is for {1} UTC")]
    Hours(String, String),
    /// More clients than it grants.
    #[error(
        "it takes up to {1} clients at once, and the entry for {0} in the allow file grants {2}"
    )]
    Clients(String, u32, u32),
    /// More writes than it grants.
    #[error(
        "it publishes up to {1} times a second, and the entry for {0} in the allow file grants {2} writes a second"
    )]
    Messages(String, u32, u32),
    /// No more connects in this second.
    #[error("more connects than the entry for {0} in the allow file grants, {1} a second")]
    ConnectRate(String, u32),
    /// No more writes in this second.
    #[error("more writes than the entry for {0} in the allow file grants, {1} a second")]
    MessageRate(String, u32),
}

impl Refused {
    /// Whether the rates of the entry are used up, and nothing else is wrong.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::ConnectRate(..) | Self::MessageRate(..))
    }
}

/// What may be sent to one place.
#[derive(Clone, Debug)]
pub struct Permit {
    place: Place,
    /// `None`: this machine.
    entry: Option<Arc<Entry>>,
    waits: bool,
}

/// An allow file by where it lies and what stood in it.
type FileAsRead = (PathBuf, String);

impl Guard {
    /// Reads an allow file. However often one is read in a process: while its text is the same, its entries are, and so
    /// what is left of their rates.
    ///
    /// # Errors
    /// When it cannot be read, or an entry cannot be granted.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        static READ: Mutex<BTreeMap<FileAsRead, Vec<Arc<Entry>>>> = Mutex::new(BTreeMap::new());
        let wrong = |why: String| SetupError::AllowFile { path: path.display().to_string(), why };
        let text = khala_plan::text(std::fs::File::open(path))
            .map_err(|error| wrong(error.to_string()))?;
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = match read.entry((place, text)) {
            std::collections::btree_map::Entry::Occupied(known) => known.get().clone(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let guard = Self::parse(&new.key().1).map_err(wrong)?;
                new.insert(guard.entries).clone()
            }
        };
        Ok(Self { entries, waits: false })
    }

    /// The entries of an allow file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let entries = file.host.into_iter().map(|written| Entry::of(written).map(Arc::new));
        let entries: Vec<Arc<Entry>> = entries.collect::<Result<_, _>>()?;
        let mut names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("two entries for `{}`: which of them holds?", pair[0])),
            None => Ok(Self { entries, waits: false }),
        }
    }

    /// The same for what has all the time that it needs: what is beyond a rate waits for its turn, and is not refused.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }

    /// What may be sent to a place, by its name alone: nobody is asked.
    ///
    /// # Errors
    /// When nothing may.
    pub fn permit(&self, place: &Place) -> Result<Permit, Refused> {
        let entry = match place.is_loopback() {
            true => None,
            false => {
                let name = place.host.to_string();
                let found = self.entries.iter().find(|entry| entry.name == name);
                Some(Arc::clone(found.ok_or(Refused::NoEntry(name))?))
            }
        };
        let permit = Permit { place: place.clone(), entry, waits: self.waits };
        permit.holds_now()?;
        Ok(permit)
    }
}

impl Entry {
    fn of(written: Written) -> Result<Self, String> {
        let Written {
            name,
            addresses,
            ports,
            through_proxy,
            clients,
            messages_per_second,
            owner,
            expires,
            ..
        } = written;
        let connects_per_second = written.connects_per_second;
        let within = |what: &str, value: u32, most: u32| match value <= most {
            true => Ok(()),
            false => Err(format!("`{name}`: {what} = {value}; no entry grants more than {most}")),
        };
        within("clients", clients, CLIENTS_MAX)?;
        within("connects_per_second", connects_per_second.get(), CONNECTS_MAX)?;
        within("messages_per_second", messages_per_second, MESSAGES_MAX)?;
        if addresses.is_empty() {
            return Err(format!(
                "`{name}`: no addresses; name what it may stand for, such as 10.20.0.0/16"
            ));
        }
        if owner.trim().is_empty() {
            return Err(format!("`{name}`: nobody answers for it; name an owner"));
        }
        let hours = written.hours.map(|text| hours(&text)).transpose();
        let hours = hours.map_err(|why| format!("`{name}`: hours: {why}"))?;
        let host = match Host::of(name.trim()) {
            Host::Name(host) if host.is_empty() || host.contains(OF_NO_NAME) => {
                return Err(format!(
                    "`{name}`: a name is one host's, as the url has it between its slashes, without scheme, port and path"
                ));
            }
            host => host.to_string(),
        };
        Ok(Self {
            name: host,
            addresses: addresses.into_iter().map(canonical).collect(),
            ports,
            through_proxy,
            clients,
            connects_per_second: connects_per_second.get(),
            messages_per_second,
            hours,
            owner,
            expires,
            connects: Rate::new(connects_per_second.get()),
            messages: Rate::new(messages_per_second),
        })
    }

    fn hours_said(&self) -> String {
        self.hours.map_or_else(String::new, |(from, to)| {
            format!("{}-{}", from.strftime("%H:%M"), to.strftime("%H:%M"))
        })
    }

    fn holds_at(&self, day: Date, time: Time) -> Result<(), Refused> {
        if day > self.expires {
            return Err(Refused::Expired(self.name.clone(), self.expires, self.owner.clone()));
        }
        let within = self.hours.is_none_or(|(from, to)| match from <= to {
            true => (from..to).contains(&time),
            // Over midnight.
            false => time >= from || time < to,
        });
        if within { Ok(()) } else { Err(Refused::Hours(self.name.clone(), self.hours_said())) }
    }
}

/// What no host's name has.
const OF_NO_NAME: &[char] = &[':', '/', '?', '#', '@', '*', '[', ']', ' '];

/// A range of IPv4 that is written in IPv6 (`::ffff:10.0.0.0/104`) as what it is: so are addresses compared.
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4.map_or(range, IpNet::V4)
}

/// `08:00-18:00`
fn hours(text: &str) -> Result<(Time, Time), String> {
    let time = |text: &str| {
        Time::strptime("%H:%M", text.trim())
            .map_err(|_| format!("`{text}` is no time, such as 08:00"))
    };
    let (from, to) = text.split_once('-').ok_or("write such as 08:00-18:00")?;
    Ok((time(from)?, time(to)?))
}

impl Permit {
    /// The entry; `None` of this machine.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_deref()
    }

    /// Whether it holds today, at this hour, for this port.
    fn holds_now(&self) -> Result<(), Refused> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let now = TimeZone::UTC.to_datetime(crate::clock::utc_now());
        entry.holds_at(now.date(), now.time())?;
        let port = self.place.port;
        match entry.ports.as_ref().is_none_or(|ports| ports.contains(&port)) {
            true => Ok(()),
            false => Err(Refused::Port(entry.name.clone(), port)),
        }
    }

    /// Whether a plan of so many clients and writes a second may begin.
    ///
    /// # Errors
    /// When the entry grants fewer.
    pub fn covers(&self, clients: u32, messages_per_second: u32) -> Result<(), Refused> {
        let Some(entry) = &self.entry else { return Ok(()) };
        if clients > entry.clients {
            return Err(Refused::Clients(entry.name.clone(), clients, entry.clients));
        }
        if messages_per_second > entry.messages_per_second {
            let granted = entry.messages_per_second;
            return Err(Refused::Messages(entry.name.clone(), messages_per_second, granted));
        }
        Ok(())
    }

    /// Whether the host may stand for an address.
    ///
    /// # Errors
    /// When not.
    pub fn stands_for(&self, address: SocketAddr) -> Result<(), Refused> {
        let ip = address.ip().to_canonical();
        let name = || self.place.host.to_string();
        match &self.entry {
            None if ip.is_loopback() => Ok(()),
            None => Err(Refused::NotLoopback(name(), ip)),
            Some(entry) if entry.addresses.iter().any(|range| range.contains(&ip)) => Ok(()),
            Some(_) => Err(Refused::Address(name(), ip)),
        }
    }

    /// Whether it may be connected to now. Counts as a connect.
    ///
    /// # Errors
    /// When not.
    pub async fn connect(&self) -> Result<(), Refused> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let granted = match self.waits {
            true => entry.connects.take_in_turn().await,
            false => entry.connects.take(),
        };
        self.holds_now()?;
        let refused = || Refused::ConnectRate(entry.name.clone(), entry.connects_per_second);
        if granted { Ok(()) } else { Err(refused()) }
    }

    /// Whether it may be gone through a proxy, which looks the address up itself.
    ///
    /// # Errors
    /// When not.
    pub fn through_proxy(&self) -> Result<(), Refused> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let by_address = matches!(self.place.host, Host::Address(address)
            if entry.addresses.iter().any(|range| range.contains(&address.to_canonical())));
        match entry.through_proxy || by_address {
            true => Ok(()),
            false => Err(Refused::ThroughProxy(self.place.host.to_string())),
        }
    }

    /// Whether something may be written now. Counts as written.
    ///
    /// # Errors
    /// When not.
    pub async fn write(&self) -> Result<(), Refused> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let granted = match self.waits {
            true => entry.messages.take_in_turn().await,
            false => entry.messages.take(),
        };
        self.holds_now()?;
        let refused = || Refused::MessageRate(entry.name.clone(), entry.messages_per_second);
        if granted { Ok(()) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[host]]\nname = \"Sync.example.com\"\naddresses = [\"10.20.0.0/16\", \"2001:db8::/32\"]\n\
                         clients = 10\nconnects_per_second = 3\nmessages_per_second = 2\n\
                         owner = \"jo\"\nexpires = \"2999-12-31\"\n";

    fn guard(more: &str) -> Guard {
        Guard::parse(&format!("{ENTRY}{more}")).unwrap_or_else(|why| panic!("{why}"))
    }

    fn place(url: &str) -> Place {
        Place::of(url).expect("a place")
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Whether an address may be connected to now.
    async fn connect(permit: &Permit, to: &str) -> Result<(), Refused> {
        permit.stands_for(address(to))?;
        permit.connect().await
    }

    #[tokio::test]
    async fn this_machine_is_free_and_must_be_this_machine() {
        let none = Guard::default();
        for url in ["http://127.0.0.1:4000", "http://localhost:4000", "https://[::1]:1"] {
            let permit = none.permit(&place(url)).expect("free");
            for _ in 0..10_000 {
                assert_eq!(connect(&permit, "127.0.0.2:4000").await, Ok(()), "{url}");
                assert_eq!(permit.write().await, Ok(()));
            }
            let elsewhere = connect(&permit, "10.0.0.1:4000").await;
            assert!(matches!(elsewhere, Err(Refused::NotLoopback(..))), "{url}");
            assert_eq!(permit.covers(u32::MAX, u32::MAX), Ok(()));
        }
    }

    #[test]
    fn another_host_needs_an_entry_of_its_name() {
        for url in ["http://10.20.0.1", "https://other.example.com", "https://example.com"] {
            let refused = guard("").permit(&place(url)).expect_err(url);
            assert!(matches!(&refused, Refused::NoEntry(_)), "{url}: {refused}");
        }
        assert!(guard("").permit(&place("https://SYNC.example.com.")).is_ok());
    }

    #[test]
    fn a_name_is_the_same_host_however_it_is_written() {
        for (name, url) in [
            ("2001:DB8:0::1", "https://[2001:db8::1]"),
            ("[2001:db8::1]", "https://[2001:db8:0:0::1]:8443"),
            ("sync.example.com.", "https://sync.example.com"),
            ("10.20.0.1", "https://10.20.0.1."),
        ] {
            let guard = Guard::parse(&ENTRY.replace("Sync.example.com", name)).expect(name);
            assert!(guard.permit(&place(url)).is_ok(), "{name}: {url}");
        }
        for wrong in
            ["https://sync.example.com", "sync.example.com:443", "*.example.com", "", "a/b", "a@b"]
        {
            let error = Guard::parse(&ENTRY.replace("Sync.example.com", wrong)).expect_err(wrong);
            assert!(error.contains("without scheme, port and path"), "{wrong}: {error}");
        }
        // An address in IPv6 is no other host's entry.
        let four = Guard::parse(&ENTRY.replace("Sync.example.com", "10.20.0.1")).expect("it reads");
        assert!(matches!(
            four.permit(&place("https://[::ffff:10.20.0.1]")),
            Err(Refused::NoEntry(_))
        ));
    }

    #[tokio::test]
    async fn a_range_of_ipv4_in_ipv6_is_one_of_ipv4() {
        let mapped = ENTRY.replace("10.20.0.0/16", "::ffff:10.20.0.0/112");
        let guard = Guard::parse(&mapped).expect("it reads");
        let permit = guard.permit(&place("https://sync.example.com")).expect("an entry");
        assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
        assert!(connect(&permit, "10.21.0.1:443").await.is_err());
    }

    #[tokio::test]
    async fn an_entry_holds_for_its_addresses_at_every_connect() {
        let permit = guard("").permit(&place("https://sync.example.com")).expect("an entry");
        assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
        assert_eq!(connect(&permit, "[2001:db8::1]:443").await, Ok(()));
        assert_eq!(connect(&permit, "[::ffff:10.20.0.1]:443").await, Ok(()), "the same in IPv6");
        for other in ["10.21.0.1:443", "127.0.0.1:443", "[2001:db9::1]:443"] {
            let refused = connect(&permit, other).await;
            assert!(matches!(refused, Err(Refused::Address(..))), "{other}: {refused:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_refused_nothing_for_now() {
        let guard = guard("").waiting();
        let permit = guard.permit(&place("https://sync.example.com")).expect("an entry");
        let began = crate::clock::now();
        for _ in 0..7 {
            assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
            assert_eq!(permit.write().await, Ok(()));
        }
        assert_eq!((crate::clock::now() - began).as_secs(), 3, "2 writes a second");
        let none =
            Guard::parse(&ENTRY.replace("messages_per_second = 2", "messages_per_second = 0"));
        let none = none.expect("it reads").waiting();
        let permit = none.permit(&place("https://sync.example.com")).expect("an entry");
        assert!(matches!(permit.write().await, Err(Refused::MessageRate(..))));
    }

    #[tokio::test(start_paused = true)]
    async fn rates_and_counts_are_held() {
        let permit = guard("").permit(&place("https://sync.example.com")).expect("an entry");
        let (mut connects, mut writes) = (0, 0);
        for _ in 0..50 {
            connects += usize::from(connect(&permit, "10.20.3.4:443").await.is_ok());
            writes += usize::from(permit.write().await.is_ok());
        }
        assert_eq!((connects, writes), (3, 2));
        let beyond = connect(&permit, "10.20.3.4:443").await;
        assert!(beyond.is_err_and(|refused| refused.is_for_now()));
        assert_eq!(permit.covers(10, 2), Ok(()));
        assert!(matches!(permit.covers(11, 2), Err(Refused::Clients(_, 11, 10))));
        assert!(matches!(permit.covers(10, 3), Err(Refused::Messages(_, 3, 2))));
        // One entry is one allowance, whoever asks.
        let same = guard("ports = [443]\n");
        let (one, two) = (
            same.permit(&place("https://sync.example.com")).expect("an entry"),
            same.permit(&place("https://sync.example.com")).expect("an entry"),
        );
        let mut both = 0;
        for n in 0..50 {
            both += usize::from([&one, &two][n % 2].write().await.is_ok());
        }
        assert_eq!(both, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_the_same_file_has_the_same_allowance() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("allow.toml");
        std::fs::write(&path, ENTRY).expect("written");
        let permit = || {
            let guard = Guard::read(&path).unwrap_or_else(|error| panic!("{error}"));
            guard.permit(&place("https://sync.example.com")).expect("an entry")
        };
        let mut writes = 0;
        for _ in 0..9 {
            writes += usize::from(permit().write().await.is_ok());
        }
        assert_eq!(writes, 2);
        std::fs::write(&path, ENTRY.replace("messages_per_second = 2", "messages_per_second = 0"))
            .expect("written");
        tokio::time::advance(std::time::Duration::from_secs(9)).await;
        assert!(permit().write().await.is_err(), "as the file is now");
    }

    #[test]
    fn an_entry_holds_for_its_ports_days_and_hours() {
        let other = guard("ports = [8443]\n").permit(&place("https://sync.example.com"));
        assert!(matches!(other, Err(Refused::Port(_, 443))), "{other:?}");
        let past = ENTRY.replace("2999-12-31", "2020-01-01");
        let expired =
            Guard::parse(&past).expect("it reads").permit(&place("https://sync.example.com"));
        assert!(
            matches!(&expired, Err(Refused::Expired(_, _, owner)) if owner == "jo"),
            "{expired:?}"
        );
        let at = |guard: &Guard, hour: i8, minute: i8| {
            let day = jiff::civil::date(2999, 12, 31);
            guard.entries[0].holds_at(day, jiff::civil::time(hour, minute, 0, 0)).is_ok()
        };
        let day = guard("hours = \"08:00-18:00\"\n");
        assert_eq!(
            [(7, 59), (8, 0), (17, 59), (18, 0)].map(|(h, m)| at(&day, h, m)),
            [false, true, true, false]
        );
        let night = guard("hours = \"22:00-06:00\"\n");
        assert_eq!(
            [(21, 59), (22, 0), (5, 59), (6, 0)].map(|(h, m)| at(&night, h, m)),
            [false, true, true, false]
        );
    }

    #[test]
    fn through_a_proxy_an_entry_says_that_it_may_be() {
        let reached = |more: &str| {
            guard(more)
                .permit(&place("https://sync.example.com"))
                .expect("an entry")
                .through_proxy()
        };
        assert!(matches!(reached(""), Err(Refused::ThroughProxy(_))));
        assert_eq!(reached("through_proxy = true\n"), Ok(()));
    }

    #[test]
    fn an_entry_that_cannot_be_granted_is_refused_with_what_is_wrong() {
        for (from, to, why) in [
            ("clients = 10", "clients = 20001", "no entry grants more than 20000"),
            ("connects_per_second = 3", "connects_per_second = 2001", "more than 2000"),
            ("connects_per_second = 3", "connects_per_second = 0", "connects_per_second"),
            ("messages_per_second = 2", "messages_per_second = 1001", "more than 1000"),
            ("\"10.20.0.0/16\", \"2001:db8::/32\"", "", "no addresses"),
            ("\"10.20.0.0/16\"", "\"10.20\"", "addresses"),
            ("owner = \"jo\"", "owner = \" \"", "owner"),
            ("owner = \"jo\"", "owner = \"jo\"\nhours = \"8-18\"", "is no time"),
            ("owner = \"jo\"", "owner = \"jo\"\nwindow = 1", "window"),
            ("expires = \"2999-12-31\"", "expires = \"soon\"", "expires"),
            ("clients = 10\n", "", "clients"),
        ] {
            let wrong = Guard::parse(&ENTRY.replace(from, to)).expect_err(to);
            assert!(wrong.contains(why), "{to}: {wrong}");
        }
        assert!(
            Guard::parse(&format!("{ENTRY}{ENTRY}")).is_err_and(|why| why.contains("two entries"))
        );
    }
}
