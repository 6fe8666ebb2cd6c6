//! Which builds answered: a canary of which a part is still the old one is no canary.

use std::collections::BTreeMap;

/// What was found of the builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builds {
    /// All that was seen is what was expected.
    AsExpected,
    /// Something else, in a sentence.
    Otherwise(String),
}

/// Holds the builds that were seen, and how often, against the one that is to be there; `unknown` requests were not
/// answered with one.
#[must_use]
pub fn against(expected: Option<&str>, seen: &BTreeMap<String, u64>, unknown: u64) -> Builds {
    let Some(expected) = expected else {
        return Builds::Otherwise("nobody said which build is to be there".to_owned());
    };
    let all = seen.values().sum::<u64>() + unknown;
    match seen.get(expected) {
        _ if all == 0 => Builds::Otherwise(format!("nothing shows that the build is `{expected}`")),
        Some(&count) if count == all => Builds::AsExpected,
        _ => Builds::Otherwise(format!(
            "the build is to be `{expected}`, and was {}",
            shares(seen, unknown)
        )),
    }
}

/// The builds with their shares, the most frequent first.
#[must_use]
pub fn shares(seen: &BTreeMap<String, u64>, unknown: u64) -> String {
    let all = (seen.values().sum::<u64>() + unknown).max(1);
    let share =
        |count: u64| format!("{:.0} % ({count} of {all})", 100.0 * count as f64 / all as f64);
    let mut builds: Vec<_> = seen.iter().collect();
    builds.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    let mut parts: Vec<String> =
        builds.into_iter().map(|(build, &count)| format!("`{build}` {}", share(count))).collect();
    if unknown > 0 {
        parts.push(format!("not told {}", share(unknown)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(builds: &[(&str, u64)]) -> BTreeMap<String, u64> {
        builds.iter().map(|(build, count)| ((*build).to_owned(), *count)).collect()
    }

    #[test]
    fn only_the_expected_build_alone_is_right() {
        assert_eq!(against(Some("2"), &seen(&[("2", 20)]), 0), Builds::AsExpected);
        for (expected, builds, unknown, why) in [
            (None, seen(&[("2", 20)]), 0, "nobody said which build is to be there"),
            (Some("2"), seen(&[]), 0, "nothing shows that the build is `2`"),
            (
                Some("2"),
                seen(&[("1", 10), ("2", 10)]),
                0,
                "the build is to be `2`, and was `1` 50 % (10 of 20), `2` 50 % (10 of 20)",
            ),
            (Some("2"), seen(&[("1", 5)]), 0, "the build is to be `2`, and was `1` 100 % (5 of 5)"),
            (
                Some("2"),
                seen(&[("2", 19)]),
                1,
                "the build is to be `2`, and was `2` 95 % (19 of 20), not told 5 % (1 of 20)",
            ),
        ] {
            assert_eq!(against(expected, &builds, unknown), Builds::Otherwise(why.to_owned()));
        }
    }
}
