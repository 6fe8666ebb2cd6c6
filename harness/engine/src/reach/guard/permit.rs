//! What may be sent to one place, asked before each connect and each write.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Entry, Refused};
use crate::reach::place::{Host, Place};

/// What may be sent to one place.
#[derive(Clone, Debug)]
pub struct Permit {
    pub(super) place: Place,
    /// `None`: this machine.
    pub(super) entry: Option<Arc<Entry>>,
    pub(super) waits: bool,
}

impl Permit {
    /// The entry; `None` of this machine.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_deref()
    }

    /// Whether it holds today, at this hour, for this port.
    pub(super) fn holds_now(&self) -> Result<(), Refused> {
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
