//! The commit that is built, for `--version`: from git, where the sources are a checkout.

#![expect(clippy::disallowed_macros, reason = "cargo reads what is printed")]

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn main() {
    // Whether it is changed is asked again when any source is.
    println!("cargo::rerun-if-changed=..");
    // Where HEAD stands is in these two: a commit of a branch moves the log alone.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["describe", "--always", "--dirty", "--abbrev=12", "--match", ""]);
    println!("cargo::rustc-env=KHALA_COMMIT={}", commit.as_deref().unwrap_or("not known"));
}
