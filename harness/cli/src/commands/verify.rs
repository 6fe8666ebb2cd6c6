//! `verify`: whether a bundle is still what the run wrote, and whether its verdict follows from it.

use anyhow::Context as _;
use khala_bundle::Verified;
use khala_bundle::seal::PublicKey;

use crate::exit::{Exit, Failure};
use crate::{args, output};

/// Verifies a bundle.
pub fn run(verify: &args::Verify) -> Result<Exit, Failure> {
    let key = verify.public_key.as_deref().map(public_key).transpose()?;
    let found = khala_bundle::verify(&verify.dir, key.as_ref())?;
    let text = if verify.json {
        serde_json::to_string(&found).context("cannot print what was found")? + "\n"
    } else {
        rendered(&found)
    };
    output::verdict(text.as_bytes());
    Ok(if found.problems.is_empty() { Exit::Go } else { Exit::Hold })
}

/// A public key: the name of a file of one, or the key itself.
fn public_key(given: &str) -> Result<PublicKey, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("--public-key {given}: {why}"))
    };
    match std::fs::read_to_string(given) {
        Ok(text) => PublicKey::parse(&text).map_err(|error| wrong(&error)),
        Err(unread) => PublicKey::parse(given)
            .map_err(|error| wrong(&format!("no file of that name ({unread}), and {error}"))),
    }
}

fn rendered(found: &Verified) -> String {
    let Verified { unchanged, problems, notes, decision } = found;
    let decision = decision.as_deref().unwrap_or("none");
    let ending = match problems.len() {
        0 => format!("the verdict follows from the sources: {decision}"),
        1 => "1 problem: do not rely on this bundle".to_owned(),
        some => format!("{some} problems: do not rely on this bundle"),
    };
    let lines: String = problems.iter().chain(notes).map(|line| format!("{line}\n")).collect();
    format!("{lines}{unchanged} files are as they were written; {ending}\n")
}
