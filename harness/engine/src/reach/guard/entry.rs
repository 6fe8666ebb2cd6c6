//! An entry of an allow file: as it is written, and what it grants.

use std::num::NonZeroU32;

use ipnet::{IpNet, Ipv4Net};
use jiff::civil::{Date, Time};
use serde::Deserialize;

use super::Refused;
use crate::reach::place::Host;
use crate::reach::rate::Rate;

/// Most clients that any entry may grant: what one process carries.
pub const CLIENTS_MAX: u32 = 20_000;
/// Most connects a second that any entry may grant.
pub const CONNECTS_MAX: u32 = 2_000;
/// Most writes a second that any entry may grant.
pub const MESSAGES_MAX: u32 = 1_000;

/// An allow file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) host: Vec<Written>,
}

/// One of its entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
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
    pub(super) addresses: Vec<IpNet>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) through_proxy: bool,
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
    pub(super) connects: Rate,
    pub(super) messages: Rate,
}

impl Entry {
    pub(super) fn of(written: Written) -> Result<Self, String> {
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

    pub(super) fn holds_at(&self, day: Date, time: Time) -> Result<(), Refused> {
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
