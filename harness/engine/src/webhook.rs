//! Whoever is told of a decision: one `POST` of a JSON document, timed, and tried once.
//!
//! The place is under the guard like a target is. A webhook's path and query are secrets, for many are opened by
//! them alone: they are in no message. What becomes of the telling changes no verdict.

use std::time::Duration;

use bytes::Bytes;

use crate::command::secrets;
use crate::error::SetupError;
use crate::http::Http;
use crate::reach::Reach;
use crate::reach::guard::Guard;

/// How long the telling may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Characters of a part of a path that may be a key; what is shorter may be a plain word.
const KEY_MIN: usize = 12;

/// A place that wants to know.
pub struct Webhook {
    http: Http,
    path: String,
    /// Scheme, host and port: what is told of it.
    origin: String,
}

impl Webhook {
    /// The webhook at a URL. Nothing is sent yet.
    ///
    /// # Errors
    /// When it is no URL of one, or the guard lets nothing be sent there.
    pub fn of(url: &str, guard: &Guard, user_agent: &str) -> Result<Self, SetupError> {
        let bad = |why: &str| SetupError::BadWebhook { why: why.to_owned() };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| bad("it does not start with http:// or https://"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(bad(
                "it has a user, for whom nothing is sent: put what opens it into its path",
            ));
        }
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // Whatever is said of it: a path as a whole, and what of it may be a key.
        let keys = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= KEY_MIN);
        keys.chain((path.len() >= KEY_MIN).then_some(&*path)).for_each(secrets::meet);
        let reach = Reach::elsewhere(&format!("{scheme}://{authority}"), guard);
        let reach = reach.map_err(|error| match error {
            SetupError::BadUrl { why, .. } => bad(&why),
            error => error,
        })?;
        let origin = reach.place().origin();
        Ok(Self { http: Http::new(&reach, user_agent, TIMEOUT), path, origin })
    }

    /// Tells it.
    ///
    /// # Errors
    /// Why it was not told, in a sentence that has nothing of its path.
    pub async fn tell(&self, document: Vec<u8>) -> Result<(), String> {
        let told = self.http.tell(&self.path, Bytes::from(document)).await;
        told.map(drop).map_err(|error| {
            format!("the webhook at {} was not told: {}", self.origin, error.answer().status)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_path_is_in_no_message() {
        let guard = Guard::default();
        for (url, why) in [
            ("hooks.example.com/T0/secret", "does not start with"),
            ("https://hooks.example.com/T0/secret", "no entry of an allow file"),
            ("https://me:secret@127.0.0.1/T0", "it has a user"),
            ("http://127.0.0.1:0/secret", "a port is a number"),
        ] {
            let error = Webhook::of(url, &guard, "test (run 1)").err().expect("is refused");
            let said = error.to_string();
            assert!(said.contains(why) && !said.contains("secret"), "{url}: {said}");
        }
    }

    #[test]
    fn path_and_query_are_as_they_are_written() {
        for (url, path) in [
            ("http://127.0.0.1:9", "/"),
            ("http://127.0.0.1:9/", "/"),
            ("http://127.0.0.1:9/a/b?c=d#e", "/a/b?c=d"),
            ("http://127.0.0.1:9?c=d", "/?c=d"),
        ] {
            let hook = Webhook::of(url, &Guard::default(), "test (run 1)").expect("loopback");
            assert_eq!((hook.path.as_str(), hook.origin.as_str()), (path, "http://127.0.0.1:9"));
        }
    }
}
