//! `NAME[,probability][,after=N]`, as the command line takes a defect.

use std::fmt;
use std::str::FromStr;

use super::{CATALOGUE, Defect};

/// A defect to inject, with how often and from when on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DefectSpec {
    pub(crate) defect: &'static Defect,
    /// Share of the opportunities that are taken, in (0, 1].
    pub probability: f64,
    /// The first opportunity, counted from 1 over the whole server, at which the defect may act.
    /// Defects that choose connections for life ([`super::Per::Connection`]) have no opportunities
    /// to count, and act from the start.
    pub after: u64,
}

impl DefectSpec {
    /// The defect's entry in the catalogue.
    #[must_use]
    pub fn defect(&self) -> &'static Defect {
        self.defect
    }
}

impl fmt::Display for DefectSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},after={}", self.defect.name, self.probability, self.after)
    }
}

/// A defect's text is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDefectError {
    /// No defect has this name.
    #[error("no defect is called `{name}`; known are {}", known())]
    UnknownName {
        /// The name.
        name: String,
    },
    /// Something after the name is neither a probability nor `after=N`.
    #[error(
        "`{option}` of defect `{name}` is neither a probability above 0 and up to 1 nor `after=N` \
         with N from 1"
    )]
    BadOption {
        /// The defect.
        name: String,
        /// The option.
        option: String,
    },
}

fn known() -> String {
    CATALOGUE.iter().map(|defect| defect.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for DefectSpec {
    type Err = ParseDefectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let defect = CATALOGUE
            .iter()
            .find(|defect| defect.name == name)
            .ok_or_else(|| ParseDefectError::UnknownName { name: name.to_owned() })?;
        let mut spec = Self { defect, probability: defect.probability, after: 1 };
        for option in parts {
            let bad =
                || ParseDefectError::BadOption { name: name.to_owned(), option: option.to_owned() };
            if let Some(after) = option.strip_prefix("after=") {
                spec.after = after.parse().ok().filter(|n| *n >= 1).ok_or_else(bad)?;
            } else {
                spec.probability =
                    option.parse().ok().filter(|p| *p > 0.0 && *p <= 1.0).ok_or_else(bad)?;
            }
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_prints_back() {
        for (text, printed) in [
            ("drop_on_reconnect", "drop_on_reconnect,1,after=1"),
            ("swap_two, 0.5", "swap_two,0.5,after=1"),
            ("swap_two,after=9,0.25", "swap_two,0.25,after=9"),
        ] {
            let spec: DefectSpec = text.parse().expect(text);
            assert_eq!(spec.to_string(), printed);
            assert_eq!(printed.parse(), Ok(spec));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_known_ones() {
        let error = "drop_everything".parse::<DefectSpec>().expect_err("unknown").to_string();
        for defect in CATALOGUE {
            assert!(error.contains(defect.name), "{error}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for text in ["swap_two,0", "swap_two,1.5", "swap_two,NaN", "swap_two,after=0", "swap_two,"]
        {
            assert!(text.parse::<DefectSpec>().is_err(), "{text}");
        }
    }
}
