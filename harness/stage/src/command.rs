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
    let short = format!("khala-harness stage {} --owner NAME", quoted(stage));
    // What would not stand in a line as it is, nobody is told to type.
    let is_plain = |word: &String| !word.chars().any(|c| c == '`' || c == '…' || c.is_control());
    if kept.is_empty() || !kept.iter().all(is_plain) {
        return short;
    }
    format!("{short} {}", line(&kept))
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
            "khala-harness stage 1 --owner NAME --stage-dir 'my stages' --out-dir=runs --set fleet.clients=9 \
             --allow-hooks"
        );
        assert_eq!(of(&["khala-harness", "stage", "0"]), "khala-harness stage 1 --owner NAME");
        assert_eq!(of(&["x"]), "khala-harness stage 1 --owner NAME");
        let evil = of(&["khala-harness", "stage", "0", "--set", "a=`b`"]);
        assert_eq!(evil, "khala-harness stage 1 --owner NAME");
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
