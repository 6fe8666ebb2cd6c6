//! What every request of a run carries beside its own: headers and parameters that a target wants.
//!
//! Their values may be secrets: they are in no error, no log and no `Debug`.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use khala_plan::Plan;
use khala_plan::model::{BuildSource, Extra, ExtraValue};
use percent_encoding::utf8_percent_encode;

use super::NOT_IN_QUERIES;
use super::builds::Builds;
use super::keys::resolve;
use crate::error::SetupError;

/// Headers and parameters, resolved.
#[derive(Clone, Default)]
pub struct Extras(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The build that clients say they are, as a query has it.
    client_build_id: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The headers as lines of an upgrade's head.
    head: String,
    /// The parameters, `&` between them.
    query: String,
    secrets: Vec<String>,
    /// Counts the builds that answers to upgrades name.
    builds: Option<Builds>,
    /// What carries commands out in place of requests; else empty.
    command: Vec<String>,
}

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Extras(…)")
    }
}

impl Extras {
    /// Those of a plan.
    ///
    /// # Errors
    /// When a value is not where the scenario says, or is none that a header may have.
    pub fn of(plan: &Plan) -> Result<Self, SetupError> {
        let mut inner = Inner::default();
        for extra in &plan.target.headers {
            let what = format!("the header {} (target.headers)", extra.name);
            let value = inner.value(&what, extra)?;
            let name = HeaderName::from_bytes(extra.name.as_bytes())
                .map_err(|error| unfit(&what, extra, &error.to_string()))?;
            let mut header = HeaderValue::from_str(&value)
                .map_err(|_| unfit(&what, extra, "it has a character that no header may have"))?;
            header.set_sensitive(true);
            // Writing to a string does not fail.
            let _ = write!(inner.head, "{}: {value}\r\n", extra.name);
            inner.headers.push((name, header));
        }
        let encoded = |text: &str| utf8_percent_encode(text, NOT_IN_QUERIES).to_string();
        if let Some(BuildSource::Header(name)) = &plan.target.build {
            inner.builds = Some(Builds::by(name));
        }
        inner.command.clone_from(&plan.target.command);
        inner.client_build_id = plan.target.client_build_id.as_deref().map(encoded);
        for extra in &plan.target.query {
            let value =
                inner.value(&format!("the parameter {} (target.query)", extra.name), extra)?;
            let between = if inner.query.is_empty() { "" } else { "&" };
            let pair = format!("{between}{}={}", encoded(&extra.name), encoded(&value));
            inner.query.push_str(&pair);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The build that clients say they are, as a query has it.
    #[must_use]
    pub fn client_build_id(&self) -> &str {
        self.0.client_build_id.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The headers as lines of an upgrade's head, each with its end.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.0.head
    }

    /// A path, with or without a query of its own, and the parameters.
    #[must_use]
    pub fn with_query(&self, path: &str) -> String {
        if self.0.query.is_empty() {
            return path.to_owned();
        }
        let between = if path.contains('?') { '&' } else { '?' };
        format!("{path}{between}{}", self.0.query)
    }

    /// The builds that answers to upgrades named, where one of their headers does.
    #[must_use]
    pub fn builds(&self) -> Option<&Builds> {
        self.0.builds.as_ref()
    }

    /// Program and arguments that carry commands out, where no request does.
    #[must_use]
    pub fn command(&self) -> Option<&[String]> {
        Some(self.0.command.as_slice()).filter(|words| !words.is_empty())
    }

    /// Values that are secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.secrets.iter().map(String::as_str)
    }
}

impl Inner {
    fn value(&mut self, what: &str, extra: &Extra) -> Result<String, SetupError> {
        match &extra.value {
            ExtraValue::Text(text) => Ok(text.clone()),
            ExtraValue::Secret(secret) => {
                let value = resolve(what, secret)?;
                self.secrets.push(value.clone());
                Ok(value)
            }
        }
    }
}

fn unfit(what: &str, extra: &Extra, why: &str) -> SetupError {
    let from = match &extra.value {
        ExtraValue::Text(_) => "the scenario".to_owned(),
        ExtraValue::Secret(secret) => super::keys::place(secret),
    };
    SetupError::Value { what: what.to_owned(), from, why: why.to_owned() }
}
