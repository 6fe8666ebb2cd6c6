//! Host and port of a base url: what of it could never be reached is told where it is written.

use std::net::Ipv6Addr;

/// The longest name of a host, and of a part of it (RFC 1035, section 2.3.4), in bytes.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// What is wrong with an authority, and what to do.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) help: String,
}

/// What is wrong with host and port of a base url.
///
/// # Errors
/// When anything is.
pub(super) fn check(authority: &str, port_by_scheme: u16) -> Result<(), Wrong> {
    let wrong = |what: String, help: &str| Err(Wrong { what, help: help.to_owned() });
    if authority.contains('@') {
        let help = "see `[auth]` for how clients sign in";
        return wrong("a url must not carry a user or password".to_owned(), help);
    }
    let beyond = |c: char| c.is_whitespace() || c.is_control() || "/?#".contains(c);
    if authority.is_empty() || authority.contains(beyond) {
        let help = "write scheme, host and port, nothing after them";
        return wrong("the url is not a base url".to_owned(), help);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                let help = "write such as `http://[::1]:4000`";
                return wrong("the url has a `[` without its `]`".to_owned(), help);
            };
            if address.parse::<Ipv6Addr>().is_err() {
                let what = format!("`{address}` is no address of IPv6");
                return wrong(what, "write such as `http://[::1]:4000`");
            }
            (None, after)
        }
        None => {
            let host = authority.split(':').next().unwrap_or_default();
            (Some(host), &authority[host.len()..])
        }
    };
    if let Some(host) = host {
        if port.matches(':').count() > 1 {
            let what = format!("`{authority}` is no host with a port");
            return wrong(what, "an address of IPv6 stands in brackets, as in `http://[::1]:4000`");
        }
        name(host)?;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => return Ok(()),
        Some(port) if is_port(port) => return Ok(()),
        port_written => port_written.unwrap_or(port),
    };
    let help = format!("a port is a number from 1 to 65535; without one it is {port_by_scheme}");
    wrong(format!("`{port}` is no port"), &help)
}

fn is_port(port: &str) -> bool {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A name as one can be looked up, or an address of IPv4; it may end with the root's dot.
fn name(host: &str) -> Result<(), Wrong> {
    let wrong = |what: String, help: &str| Err(Wrong { what, help: help.to_owned() });
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return wrong("the url has no host".to_owned(), "write such as `http://127.0.0.1:4000`");
    }
    if !name.is_ascii() {
        let help = "write it as it is looked up, which begins with `xn--`";
        return wrong(format!("`{host}` is no name of a host"), help);
    }
    if name.len() > NAME_MAX || name.split('.').any(|label| label.len() > LABEL_MAX) {
        let what = format!("the name of the host has {} bytes", name.len());
        let help = format!("one has {NAME_MAX} at the most, and {LABEL_MAX} between its dots");
        return wrong(what, &help);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.split('.').any(|label| label.is_empty() || !label.bytes().all(fits)) {
        let help = "one has letters, digits, `-` and `_`, with a dot between its parts";
        return wrong(format!("`{host}` is no name of a host"), help);
    }
    Ok(())
}
