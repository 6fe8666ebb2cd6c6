//! A way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), for sockets and requests alike.
//!
//! Which one the usual variables say (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case), or
//! the scenario's `target.proxy` does. This machine is never reached through one of the variables' proxies.

use base64::Engine as _;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::place::Place;
use crate::environment;
use crate::error::SetupError;

/// Longest head of a proxy's answer, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// A proxy.
#[derive(Clone)]
pub struct Proxy {
    /// Where it is.
    pub place: Place,
    /// `Proxy-Authorization`; a secret.
    authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.place.origin())
    }
}

/// Why a proxy gives no way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection to it broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It answered with another status than a success.
    #[error("the proxy answered HTTP {0}")]
    Status(u16),
    /// It answered something else than HTTP.
    #[error("the proxy's answer is no HTTP")]
    NoHttp,
}

impl Proxy {
    /// The one that leads to a place: the scenario's, or else the variables'.
    ///
    /// # Errors
    /// When what names it is no URL of a proxy.
    pub fn to(place: &Place, written: Option<&str>) -> Result<Option<Self>, SetupError> {
        match written {
            Some(url) => Self::of(url).map(Some),
            None if place.is_loopback() => Ok(None),
            None => match Self::by_variables(place, &Matcher::from_env())? {
                None => unusable(place, &environment::variable).map_or(Ok(None), Err),
                found => Ok(found),
            },
        }
    }

    fn by_variables(place: &Place, matcher: &Matcher) -> Result<Option<Self>, SetupError> {
        let Ok(uri) = place.origin().parse::<Uri>() else { return Ok(None) };
        let Some(found) = matcher.intercept(&uri) else { return Ok(None) };
        let scheme = found.uri().scheme_str().unwrap_or("http");
        let authority = found.uri().authority().map_or("", |authority| authority.as_str());
        let url = format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default());
        if !matches!(scheme, "http" | "https") {
            let why = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names it, and the way through a proxy is by CONNECT of HTTP: \
                       http://host:port; NO_PROXY names hosts that are reached without one";
            return Err(SetupError::Proxy { url, why: why.to_owned() });
        }
        let place = Place::of(&url)?;
        let authorization =
            found.basic_auth().and_then(|value| value.to_str().ok()).map(str::to_owned);
        plain(place, authorization).map(Some)
    }

    /// `http://[user:password@]host:port`
    fn of(url: &str) -> Result<Self, SetupError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let place = Place::of(&format!("{scheme}://{host}"))?;
        let basic = |user: &str| {
            let plain = percent_encoding::percent_decode_str(user).collect::<Vec<u8>>();
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
        };
        plain(place, user.map(basic))
    }

    /// Asks for a way over a connection to the proxy.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn connect<S>(&self, stream: &mut S, to: &Place) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let at = format!("{}:{}", to.host, to.port);
        let authorization = self.authorization.as_ref();
        let authorization = authorization
            .map(|value| format!("Proxy-Authorization: {value}\r\n"))
            .unwrap_or_default();
        let asked = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{authorization}\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut head = Vec::new();
        // Byte by byte: what comes after the head is not the proxy's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_MAX {
                return Err(Error::NoHttp);
            }
            head.push(stream.read_u8().await?);
        }
        let status = std::str::from_utf8(&head).ok().and_then(|head| {
            let (version, rest) = head.split_once(' ')?;
            version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse::<u16>().ok()).flatten()
        });
        match status {
            Some(200..300) => Ok(()),
            Some(status) => Err(Error::Status(status)),
            None => Err(Error::NoHttp),
        }
    }
}

/// What is wrong with a variable that names a proxy for a place and does not lead through one: to go without what
/// somebody has named would be to go another way than he thinks. Where NO_PROXY is given, it may be meant so.
fn unusable(place: &Place, variable: &dyn Fn(&str) -> Option<String>) -> Option<SetupError> {
    let of_scheme = match place.secure {
        true => ["HTTPS_PROXY", "https_proxy"],
        false => ["HTTP_PROXY", "http_proxy"],
    };
    let given = |name: &&str| variable(name).is_some_and(|value| !value.trim().is_empty());
    if ["NO_PROXY", "no_proxy"].iter().any(given) {
        return None;
    }
    let name = of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(given)?;
    let why = "what the variable says is no proxy: write it as http://host:port, or leave it empty";
    Some(SetupError::Proxy { url: name.to_owned(), why: why.to_owned() })
}

fn plain(place: Place, authorization: Option<String>) -> Result<Proxy, SetupError> {
    if place.secure {
        let (url, why) = (place.origin(), "a proxy is spoken to in clear text: http://host:port");
        return Err(SetupError::Proxy { url, why: why.to_owned() });
    }
    Ok(Proxy { place, authorization })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place::of(url).expect("a place")
    }

    async fn asked(proxy: &Proxy, answer: &str) -> (String, Result<(), Error>) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.expect("room");
        let result = proxy.connect(&mut ours, &place("https://sync.example.com")).await;
        drop(ours);
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.expect("text");
        (text, result)
    }

    #[tokio::test]
    async fn a_way_is_asked_for_and_a_refusal_told() {
        let proxy = Proxy::of("http://jo:s%40y@127.0.0.1:3128").expect("a proxy");
        let (text, way) =
            asked(&proxy, "HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n").await;
        assert!(way.is_ok(), "{way:?}");
        assert_eq!(
            text,
            "CONNECT sync.example.com:443 HTTP/1.1\r\nHost: sync.example.com:443\r\n\
             Proxy-Authorization: Basic am86c0B5\r\n\r\n"
        );
        assert!(!format!("{proxy:?}").contains("am86"), "{proxy:?}");
        for (answer, said) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy answered HTTP 407"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "the proxy's answer is no HTTP"),
            (&"x".repeat(HEAD_MAX + 1), "the proxy's answer is no HTTP"),
        ] {
            let (_, way) = asked(&proxy, answer).await;
            assert_eq!(way.expect_err(said).to_string(), said);
        }
    }

    #[test]
    fn the_variables_say_which_and_this_machine_needs_none() {
        let matcher =
            Matcher::builder().all("http://jo:x@10.0.0.9:3128").no("inner.example.com").build();
        let found = |url: &str| Proxy::by_variables(&place(url), &matcher).expect("no mistake");
        let outer = found("https://sync.example.com").expect("through it");
        assert_eq!(outer.place.origin(), "http://10.0.0.9:3128");
        assert!(outer.authorization.is_some());
        assert!(found("https://inner.example.com").is_none());
        assert!(Proxy::to(&place("http://127.0.0.1:4000"), None).expect("no mistake").is_none());
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_not_passed_over() {
        let of = |set: &[(&str, &str)], url: &str| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            unusable(&place(url), &variable).map(|wrong| wrong.to_string())
        };
        let (junk, secure) = ("jo:secret@@:://", "https://sync.example.com");
        let told = of(&[("https_proxy", junk)], secure).expect("it is told");
        assert!(told.contains("https_proxy") && !told.contains("secret"), "{told}");
        assert!(of(&[("ALL_PROXY", junk)], "http://sync.example.com").is_some());
        assert_eq!(of(&[("HTTP_PROXY", junk), ("HTTPS_PROXY", " ")], secure), None);
        assert_eq!(of(&[("HTTPS_PROXY", junk), ("NO_PROXY", "example.com")], secure), None);
    }

    #[test]
    fn a_proxy_of_another_kind_is_said_to_be_none_without_what_opens_it() {
        let matcher = Matcher::builder().all("socks5://jo:secret@10.0.0.9:1080").build();
        let wrong = Proxy::by_variables(&place("https://sync.example.com"), &matcher);
        let wrong = wrong.expect_err("no CONNECT").to_string();
        assert!(wrong.contains("socks5://10.0.0.9:1080") && wrong.contains("ALL_PROXY"), "{wrong}");
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn a_proxy_over_tls_is_refused() {
        assert!(matches!(Proxy::of("https://proxy:3128"), Err(SetupError::Proxy { .. })));
    }
}
