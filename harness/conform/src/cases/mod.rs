//! All cases, in files by what they are about. A new one is a function and a row in its file's `CASES`; then
//! `khala-harness conform --list > harness/CONFORM.md`.

mod acl;
mod around;
mod burst;
mod channel;
mod commands;
mod compatibility;
mod content;
mod counters;
mod cursors;
mod delivery;
mod framing;
mod heartbeat;
mod live;
mod malformed;
mod minting;
mod replay;
mod resume;
mod revocation;
mod slow;
mod stale;
pub(crate) mod state;
mod stop;
mod subscribe;
mod tokens;
mod unsubscribe;
mod upgrade;
pub(crate) mod window;

use std::sync::LazyLock;

use crate::case::Case;

/// The registry, in the order of the page.
static ALL: LazyLock<Vec<&'static Case>> = LazyLock::new(|| {
    let files: &[&[Case]] = &[
        upgrade::CASES,
        tokens::CASES,
        minting::CASES,
        framing::CASES,
        channel::CASES,
        acl::CASES,
        compatibility::CASES,
        subscribe::CASES,
        cursors::CASES,
        stale::CASES,
        replay::CASES,
        live::CASES,
        burst::CASES,
        state::CASES,
        delivery::CASES,
        content::CASES,
        commands::CASES,
        unsubscribe::CASES,
        heartbeat::CASES,
        malformed::CASES,
        resume::CASES,
        revocation::CASES,
        slow::CASES,
        around::CASES,
        counters::CASES,
        stop::CASES,
    ];
    files.iter().copied().flatten().collect()
});

/// All cases, in the order of the page.
#[must_use]
pub fn all() -> &'static [&'static Case] {
    &ALL
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::case::Level;

    #[test]
    fn ids_are_names_and_each_is_one_case() {
        let mut seen = HashSet::new();
        for case in all() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(case.id.chars().all(plain), "{}", case.id);
            assert!(seen.insert(case.id), "twice: {}", case.id);
        }
    }

    #[test]
    fn each_sentence_stands_in_the_contract() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONTRACT.md");
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let contract = plain(&std::fs::read_to_string(path).expect("is there"));
        let invented: Vec<_> = all()
            .iter()
            .filter(|case| case.sentence.is_empty() || !contract.contains(&plain(case.sentence)))
            .map(|case| (case.id, case.sentence))
            .collect();
        assert!(invented.is_empty(), "{invented:#?}");
    }

    #[test]
    fn each_must_catches_something() {
        let blunt: Vec<_> = all()
            .iter()
            .filter(|case| case.level == Level::Must && case.caught_by.is_empty())
            .map(|case| case.id)
            .collect();
        assert!(blunt.is_empty(), "{blunt:?}");
    }
}
