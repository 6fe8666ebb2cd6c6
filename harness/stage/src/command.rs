//! Commands that people are to type next.

use crate::entry::Begun;

/// Flags of `stage` that stand alone.
const ALONE: [&str; 5] =
    ["--resume", "--json", "--allow-hooks", "--allow-shared-writes", "--statement"];
/// Flags of an attempt that are its own, and not the next one's.
const ITS_OWN: [&str; 5] = ["--owner", "--resume", "--json", "--without-predecessor", "--webhook"];

/// A word as a shell takes it for one.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A command line as a shell takes it.
#[must_use]
pub fn line(words: &[String]) -> String {
    // `--flag=value` and `key=value` need no quotes for the sign alone.
    let one = |word: &String| match word.split_once('=') {
        Some((flag, value)) if quoted(flag) == flag && !value.is_empty() => {
            format!("{flag}={}", quoted(value))
        }
        _ => quoted(word),
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The command that begins another attempt of a stage as this one was begun: by the same files, in the same folders, on the
/// same target. Who decides then is another matter.
#[must_use]
pub fn again(begun: &Begun, stage: &str) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut words = begun.command.iter().skip(2).peekable();
    while let Some(word) = words.next() {
        // What is no flag is the stage.
        if !word.starts_with("--") {
            continue;
        }
        let flag = word.split('=').next().unwrap_or(word);
        let mut of_it = vec![word.clone()];
        if flag == word && !ALONE.contains(&flag) {
            of_it.extend(words.next().cloned());
        }
        if !ITS_OWN.contains(&flag) {
            kept.extend(of_it);
        }
    }
    // What would not stand in a line as it is, nobody is told to type.
    let is_plain = |word: &str| !word.chars().any(|c| c == '`' || c == '…' || c.is_control());
    if !kept.iter().all(|word| is_plain(word)) {
        kept.clear();
    }
    let is_named = kept.iter().any(|word| word == "--rollout" || word.starts_with("--rollout="));
    if !is_named && !begun.rollout_file.is_empty() && is_plain(&begun.rollout_file) {
        kept.splice(0..0, ["--rollout".to_owned(), begun.rollout_file.clone()]);
    }
    // Without its variables the rollout file asks something else, or somebody else.
    let variables = begun.variables.iter().filter_map(|(name, value)| {
        let value = value.as_ref().filter(|value| is_plain(value))?;
        Some(format!("{name}={} ", quoted(value)))
    });
    let variables: String = variables.collect();
    let words = line(&kept);
    let space = if words.is_empty() { "" } else { " " };
    format!("{variables}khala-harness stage {} --owner NAME{space}{words}", quoted(stage))
}

/// What has to be set for the command beside what stands in it, as the end of a sentence; empty where nothing has.
#[must_use]
pub fn secrets(begun: &Begun) -> String {
    let untold = begun.variables.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
    let mut names: Vec<_> = untold.chain(&begun.secrets).map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    match names.is_empty() {
        true => String::new(),
        false => format!(", with {} set as they were (secrets, told nowhere)", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::begun;

    fn of(words: &[&str]) -> String {
        let mut begun = begun(1, "0");
        begun.command = words.iter().map(|word| (*word).to_owned()).collect();
        again(&begun, "1")
    }

    #[test]
    fn another_attempt_is_begun_with_the_same_files_and_on_the_same_target() {
        let words = [
            "khala-harness",
            "stage",
            "--owner",
            "Ada Lovelace",
            "0",
            "--resume",
            "--stage-dir",
            "my stages",
            "--out-dir=runs",
            "--set",
            "fleet.clients=9",
            "--allow-hooks",
            "--without-predecessor",
            "a word",
        ];
        assert_eq!(
            of(&words),
            "khala-harness stage 1 --owner NAME --rollout rollout.toml --stage-dir 'my stages' --out-dir=runs --set \
             fleet.clients=9 --allow-hooks"
        );
        let short = "khala-harness stage 1 --owner NAME --rollout rollout.toml";
        assert_eq!(of(&["khala-harness", "stage", "0"]), short);
        assert_eq!(of(&["x"]), short);
        let evil = of(&["khala-harness", "stage", "0", "--set", "a=`b`"]);
        assert_eq!(evil, short);
        let named = of(&["khala-harness", "stage", "0", "--rollout", "other.toml"]);
        assert_eq!(named, "khala-harness stage 1 --owner NAME --rollout other.toml");
    }

    #[test]
    fn the_variables_that_the_rollout_file_reads_stand_before_it_and_secrets_by_name_alone() {
        let mut begun = begun(1, "0");
        begun.variables = [("CANARY", Some("https://c")), ("BUILD", Some("r 1")), ("KEY", None)]
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .into();
        begun.secrets = vec!["SIGNING".to_owned()];
        assert_eq!(
            again(&begun, "1"),
            "BUILD='r 1' CANARY='https://c' khala-harness stage 1 --owner NAME --rollout rollout.toml"
        );
        assert_eq!(
            secrets(&begun),
            ", with `KEY`, `SIGNING` set as they were (secrets, told nowhere)"
        );
        begun.variables.clear();
        begun.secrets.clear();
        assert_eq!(secrets(&begun), "");
    }

    #[test]
    fn a_line_can_be_pasted() {
        let line =
            |words: &[&str]| line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["a", "--owner", "Ada Lovelace"]), "a --owner 'Ada Lovelace'");
        assert_eq!(line(&["--set", "a.b={ c = \"it's\" }"]), r#"--set a.b='{ c = "it'\''s" }'"#);
        assert_eq!(line(&["", "$HOME"]), "'' '$HOME'");
    }
}
