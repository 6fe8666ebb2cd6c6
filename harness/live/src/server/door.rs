//! Who may come in: whoever knows the token, and speaks to this listener by its address.
//!
//! A page of another site that has a name of its own resolve to this machine (DNS rebinding) sends that
//! name as `Host`; one that sends a request across sites has an `Origin`. Both are turned away, whatever
//! token they bring.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

/// What is compared, so that how long a comparison takes tells nothing of the token.
pub fn digest(token: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Whether a request is from somewhere that may ask.
///
/// # Errors
/// 403 with why it may not.
pub fn place(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let refused = |why| Err((StatusCode::FORBIDDEN, why));
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return refused("a Host is missing\n");
    };
    if !is_an_address(host) {
        return refused("the Host must be an IP address or localhost\n");
    }
    match headers.get(ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.as_bytes() == format!("http://{host}").as_bytes() => Ok(()),
        Some(_) => refused("the Origin is another site\n"),
    }
}

/// Whether a `Host` names no more than an address.
fn is_an_address(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// Where a token may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// In `Authorization` alone, which no form and no link can send.
    Header,
    /// There or in the query, for `EventSource`, which sends no headers.
    HeaderOrQuery,
}

/// Whether a request brings the token.
///
/// # Errors
/// 401 when it does not.
pub fn token(
    headers: &HeaderMap,
    uri: &Uri,
    bearer: Bearer,
    wanted: &[u8; 32],
) -> Result<(), (StatusCode, &'static str)> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.and_then(|value| value.strip_prefix("Bearer "));
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let query = pairs
        .find_map(|pair| pair.strip_prefix("token="))
        .filter(|_| bearer == Bearer::HeaderOrQuery);
    let query = || query.map(|value| digest(percent_decode_str(value).collect::<Vec<_>>()));
    match header.map(digest).or_else(query) {
        Some(given) if given == *wanted => Ok(()),
        _ => Err((StatusCode::UNAUTHORIZED, "the token is missing or wrong\n")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(all: &[(axum::http::HeaderName, &'static str)]) -> HeaderMap {
        let values =
            all.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        values.collect()
    }

    #[test]
    fn only_an_address_and_its_own_page_may_ask() {
        for host in ["127.0.0.1:4000", "[::1]:4000", "localhost:4000", "10.0.0.7"] {
            assert_eq!(place(&headers(&[(HOST, host)])), Ok(()), "{host}");
        }
        for host in ["rebound.example:4000", "127.0.0.1.example", "", "localhost.example:1"] {
            assert!(place(&headers(&[(HOST, host)])).is_err(), "{host}");
        }
        let from = |origin| place(&headers(&[(HOST, "127.0.0.1:4000"), (ORIGIN, origin)]));
        assert_eq!(from("http://127.0.0.1:4000"), Ok(()));
        for origin in
            ["http://127.0.0.1:4001", "https://127.0.0.1:4000", "http://evil.example", "null"]
        {
            assert!(from(origin).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_token_in_the_query_moves_nothing() {
        let wanted = digest("a token of a run");
        let uri: Uri = "/events?token=a%20b&x=1".parse().expect("a URI");
        let asks =
            |headers: &HeaderMap, uri: &Uri, bearer| token(headers, uri, bearer, &wanted).is_ok();
        let given = headers(&[(AUTHORIZATION, "Bearer a token of a run")]);
        assert!(asks(&given, &uri, Bearer::Header));
        assert!(!asks(&HeaderMap::new(), &uri, Bearer::HeaderOrQuery));
        let wanted = digest("0123456789abcdef");
        let uri: Uri = "/events?x=1&token=0123456789abcdef".parse().expect("a URI");
        assert!(token(&HeaderMap::new(), &uri, Bearer::HeaderOrQuery, &wanted).is_ok());
        assert!(token(&HeaderMap::new(), &uri, Bearer::Header, &wanted).is_err());
    }

    #[test]
    fn a_token_in_base64_is_the_same_in_the_query_and_in_the_header() {
        let wanted = digest("ab+/cdefghijklmn==");
        // As `encodeURIComponent` writes it, and as somebody does who copies it.
        for query in ["ab%2B%2Fcdefghijklmn%3D%3D", "ab+/cdefghijklmn=="] {
            let uri: Uri = format!("/events?token={query}").parse().expect("a URI");
            let asks = token(&HeaderMap::new(), &uri, Bearer::HeaderOrQuery, &wanted);
            assert_eq!(asks, Ok(()), "{query}");
        }
        let given = headers(&[(AUTHORIZATION, "Bearer ab+/cdefghijklmn==")]);
        assert_eq!(token(&given, &Uri::from_static("/"), Bearer::Header, &wanted), Ok(()));
        let encoded = headers(&[(AUTHORIZATION, "Bearer ab%2B%2Fcdefghijklmn%3D%3D")]);
        assert!(token(&encoded, &Uri::from_static("/"), Bearer::Header, &wanted).is_err());
    }
}
