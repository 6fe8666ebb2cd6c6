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

mod entry;
mod permit;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;

use self::entry::File;
pub use self::entry::{CLIENTS_MAX, CONNECTS_MAX, Entry, MESSAGES_MAX};
pub use self::permit::Permit;
use super::place::Place;
use crate::error::SetupError;

/// The entries of an allow file.
#[derive(Debug, Default)]
pub struct Guard {
    entries: Vec<Arc<Entry>>,
    /// Whether what is beyond a rate waits for its turn.
    waits: bool,
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

#[cfg(test)]
mod tests;
