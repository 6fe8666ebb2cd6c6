//! Commands that print a page made of the code: it is the committed one, or fits the program.

use crate::support::{Harness, exit};

/// A file of the repository.
fn committed(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(path).expect("it is committed")
}

#[test]
fn schema_prints_the_committed_schemas_and_the_committed_page() {
    for (option, path) in [
        (None, "scenarios/scenario.schema.json"),
        (Some("--gates"), "scenarios/gates.schema.json"),
        (Some("--reference"), "scenarios/REFERENCE.md"),
    ] {
        let asked = option.into_iter().fold(Harness::new("schema"), Harness::arg);
        let run = asked.ended_plain().exits(exit::GO);
        assert_eq!(run.stdout, committed(path), "{path}");
        assert_eq!(run.stderr, "");
    }
    let both = Harness::new("schema").arg("--gates").arg("--reference");
    both.ended_plain().exits(exit::USAGE);
    Harness::new("schema").arg("scenarios/smoke.toml").ended_plain().exits(exit::USAGE);
}

#[test]
fn metrics_prints_the_committed_page() {
    let run = Harness::new("metrics").ended_plain().exits(exit::GO);
    assert_eq!(run.stdout, committed("harness/evidence/METRICS.md"));
    assert_eq!(run.stderr, "");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (read, write) = std::io::pipe().expect("a pipe");
    drop(read);
    let run = Harness::new("schema").stdout(write).ended_plain().exits(exit::GO);
    assert_eq!(run.stderr, "");
}

/// Every command there is, as the help lists them.
fn commands() -> Vec<String> {
    let help = Harness::new("--help").ended_plain().exits(exit::GO).stdout;
    let listed = help.split("Commands:\n").nth(1).expect("a list of commands");
    let listed = listed.split("\n\n").next().expect("a list that ends");
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn completions_know_every_command_of_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = Harness::new("completions").arg(shell).ended_plain().exits(exit::GO);
        assert_eq!(run.stderr, "");
        for command in commands() {
            assert!(run.stdout.contains(&command), "{shell} does not know {command}");
        }
        assert!(run.stdout.contains("worker-threads"), "{shell} knows no options");
    }
}

#[test]
fn bash_takes_the_script() {
    let script = Harness::new("completions").arg("bash").ended_plain().exits(exit::GO).stdout;
    let mut bash = std::process::Command::new("bash");
    let complete = format!(
        "{script}\nCOMP_WORDS=(khala-harness check --prof)\nCOMP_CWORD=2\n\
         function=$(complete -p khala-harness | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n\
         $function khala-harness --prof check\necho \"${{COMPREPLY[@]}}\""
    );
    let output = bash.arg("-c").arg(complete).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--profile");
}

#[test]
fn an_unknown_shell_is_a_usage_error_that_lists_the_known_ones() {
    let run = Harness::new("completions").arg("sh").ended_plain().exits(exit::USAGE);
    for said in ["'sh'", "bash", "fish", "zsh"] {
        assert!(run.stderr.contains(said), "no {said} in:\n{}", run.stderr);
    }
    assert_eq!(run.stdout, "");
    Harness::new("completions").ended_plain().exits(exit::USAGE);
}

#[test]
fn man_prints_the_main_page() {
    let run = Harness::new("man").ended_plain().exits(exit::GO);
    assert!(run.stdout.contains(".TH khala-harness 1 "), "{}", run.stdout);
    for said in ["NO\\-GO", "104 invalid scenario", "khala\\-harness\\-run(1)"] {
        assert!(run.stdout.contains(said), "no {said} in:\n{}", run.stdout);
    }
}

#[test]
fn man_writes_a_page_for_each_command() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let pages = dir.path().join("share/man1");
    let man = || Harness::new("man").arg("--out-dir").arg(pages.as_os_str()).ended_plain();
    let run = man().exits(exit::GO);
    let page = |name: &str| pages.join(format!("{name}.1"));
    let mut expected = vec![page("khala-harness")];
    expected.extend(commands().iter().map(|name| page(&format!("khala-harness-{name}"))));
    let printed: Vec<_> = run.stdout.lines().map(std::path::PathBuf::from).collect();
    assert_eq!(printed, expected);
    for path in &expected {
        let text = std::fs::read_to_string(path).expect("it was written");
        assert!(text.contains(".SH SYNOPSIS"), "{}", path.display());
        assert!(!text.contains("with\\-parent"), "{} shows what is hidden", path.display());
    }
    man().exits(exit::GO);
}

#[test]
fn man_names_a_folder_that_cannot_be_made() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let run = Harness::new("man").arg("--out-dir").arg(file.path().as_os_str()).ended_plain();
    let run = run.exits(exit::SETUP);
    assert!(run.stderr.starts_with("error: cannot make "), "{}", run.stderr);
    assert!(run.stderr.trim_end().ends_with("name another place"), "{}", run.stderr);
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
}
