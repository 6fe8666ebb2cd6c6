//! Where a target is, as its base URL says: scheme, host and port.

use std::net::IpAddr;

use hyper::Uri;

use crate::error::SetupError;

/// Names that are this machine wherever one is (RFC 6761, section 6.3).
const LOCALHOST: &str = "localhost";

/// A base URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Its host.
    pub host: Host,
    /// Its port, written or by the scheme.
    pub port: u16,
}

/// A host as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address that is written out.
    Address(IpAddr),
    /// A name, in lower case.
    Name(String),
}

impl Host {
    /// As it is written, an address of IPv6 with or without its brackets, a name with or without the root's dot.
    #[must_use]
    pub fn of(written: &str) -> Self {
        let written = written.trim_end_matches('.');
        let plain = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match plain.unwrap_or(written).parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(written.to_ascii_lowercase()),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Place {
    /// Takes a base URL apart: `http` or `https`, a host, a port if need be, and nothing else.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn of(url: &str) -> Result<Self, SetupError> {
        let bad = |why: &str| SetupError::BadUrl { url: url.to_owned(), why: why.to_owned() };
        let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| bad("it does not start with http:// or https://"))?;
        let authority = rest.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return Err(bad("it is more than scheme, host and port"));
        }
        let origin = url.trim_end_matches('/');
        let uri: Uri = origin.parse().map_err(|_| bad("that is no URL"))?;
        let secure = uri.scheme_str() == Some("https");
        let written =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
        let host = match Host::of(written) {
            Host::Name(_) if written.starts_with('[') => {
                return Err(bad("that is no address of IPv6"));
            }
            host => host,
        };
        let port_written = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = match uri.port_u16() {
            Some(0) => return Err(bad("a port is a number from 1 to 65535")),
            Some(port) => port,
            None if port_written => return Err(bad("a port is a number from 1 to 65535")),
            None if secure => 443,
            None => 80,
        };
        Ok(Self { secure, host, port })
    }

    /// Host and port, without a port that the scheme says: what `Host` carries.
    #[must_use]
    pub fn authority(&self) -> String {
        let by_scheme = if self.secure { 443 } else { 80 };
        match self.port {
            port if port == by_scheme => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Whether it is this machine by what is written, without asking anybody. What `localhost` stands for must then be
    /// a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.to_canonical().is_loopback(),
            Host::Name(name) => is_localhost(name),
        }
    }
}

/// Whether a name, in lower case, is `localhost` or under it.
pub(super) fn is_localhost(name: &str) -> bool {
    name == LOCALHOST || name.strip_suffix(LOCALHOST).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Place {
        Place::of(url).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_base_url_is_scheme_host_and_port() {
        for (url, origin, port) in [
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000", 4000),
            ("http://127.0.0.1:4000//", "http://127.0.0.1:4000", 4000),
            ("https://Sync.Example.com", "https://sync.example.com", 443),
            ("https://sync.example.com.:8443", "https://sync.example.com:8443", 8443),
            ("http://[::1]:4000/", "http://[::1]:4000", 4000),
            ("http://[::1]", "http://[::1]", 80),
            ("http://localhost:80", "http://localhost", 80),
            ("http://127.0.0.1.:4000", "http://127.0.0.1:4000", 4000),
        ] {
            let place = of(url);
            assert_eq!((place.origin().as_str(), place.port), (origin, port), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        for (url, why) in [
            ("ws://127.0.0.1:4000", "http:// or https://"),
            ("127.0.0.1:4000", "http:// or https://"),
            ("http://", "more than"),
            ("http://a/b", "more than"),
            ("http://user@a", "more than"),
            ("http://a?b", "more than"),
            ("http://127.0.0.1:0", "a port is"),
            ("http://127.0.0.1:99999", "a port is"),
            ("http://127.0.0.1:x", ""),
            ("http://[::1", ""),
            ("http://[zz]:1", ""),
            ("http://a b", ""),
        ] {
            let error = Place::of(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn this_machine_is_known_by_what_is_written() {
        for (url, ours) in [
            ("http://127.0.0.1", true),
            ("http://127.8.9.1:1", true),
            ("http://[::1]:1", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://localhost", true),
            ("http://a.localhost", true),
            ("http://notlocalhost", false),
            ("http://localhost.example.com", false),
            // Numbers that only some resolvers take for addresses are names here.
            ("http://2130706433", false),
            ("http://0177.0.0.1", false),
            ("http://0x7f.1", false),
            ("http://[::ffff:10.0.0.1]", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
            ("http://[::]", false),
        ] {
            assert_eq!(of(url).is_loopback(), ours, "{url}");
        }
    }
}
