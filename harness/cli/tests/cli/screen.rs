//! What is printed fits the screen, and the verdict is the last thing on it.

use std::path::Path;

use crate::support::pty::Terminal;
use crate::support::{Ended, Harness, exit};

/// What `report` prints on a terminal of so many columns.
fn on_a_terminal(bundle: &Path, columns: u16, asked: Option<&str>) -> String {
    let terminal = Terminal::open();
    terminal.resize(columns);
    let mut report = Harness::new("report").arg(bundle).stdout(terminal.side());
    report = report.env("NO_COLOR", "1");
    if let Some(asked) = asked {
        report = report.env("COLUMNS", asked);
    }
    let running = report.start_plain();
    let text = terminal.read();
    running.ended().exits(exit::NO_GO);
    text.join().expect("is read").replace("\r\n", "\n")
}

/// Columns of the widest line that has more than a word, a path or a part of a command.
fn widest(text: &str) -> usize {
    let lines = text.lines().filter(|line| {
        line.trim_end_matches('\\').split_whitespace().filter(|word| *word != "runs/one").count()
            > 1
    });
    lines.map(|line| line.chars().count()).max().expect("lines")
}

fn condemned() -> Ended {
    Harness::tiny().defect("drop_on_reconnect").ended().exits(exit::NO_GO)
}

#[test]
fn lines_are_as_wide_as_the_screen_and_the_verdict_stands_last_on_it() {
    let run = condemned();
    let (_folder, bundle) = run.restored(|_| true);
    for columns in [40, 80, 200] {
        let text = on_a_terminal(&bundle, columns, None);
        assert!(widest(&text) <= usize::from(columns), "{columns}: {text}");
        assert!(text.starts_with("NO-GO  tiny"), "{text}");
        let last: Vec<_> = text.lines().rev().take(2).collect();
        assert!(last[0].starts_with("NO-GO  tiny"), "{text}");
        assert_eq!(last[1], bundle.display().to_string(), "{text}");
    }
    let wide = widest(&on_a_terminal(&bundle, 200, None));
    assert!(wide > 100, "{wide}");
    assert!(widest(&on_a_terminal(&bundle, 200, Some("60"))) <= 60, "COLUMNS is obeyed");
    assert!(widest(&on_a_terminal(&bundle, 0, Some("wide"))) <= 80, "who says nothing has 80");

    // In a pipe the path is the last line, for scripts.
    let piped = Harness::new("report").arg(&bundle).ended_plain().exits(exit::NO_GO);
    assert!((80..=100).contains(&widest(&piped.stdout)), "{}", piped.stdout);
    let last: Vec<_> = piped.stdout.lines().rev().take(2).collect();
    assert_eq!(last[0], bundle.display().to_string());
    assert!(last[1].starts_with("  ") || last[1].starts_with("NO-GO  tiny"), "{}", piped.stdout);
}

#[test]
fn where_and_how_it_ran_is_in_the_evidence_without_a_secret() {
    let run = Harness::tiny().arg("--seed").arg("7").ended().exits(exit::GO);
    let report = run.report();
    let provenance = &report["provenance"];
    let command = provenance["command"].as_array().expect("a command line");
    assert_eq!((&command[0], &command[1]), (&"khala-harness".into(), &"run".into()));
    assert!(command.contains(&"--seed".into()), "{provenance}");
    let manifest: serde_json::Value =
        serde_json::from_slice(run.file("manifest.json")).expect("JSON");
    assert_eq!(provenance["host"], manifest["host"]);
    let digest = &manifest["files"]["scenario.resolved.toml"]["sha256"];
    assert_eq!(&provenance["scenario_sha256"], digest);
    let summary = String::from_utf8_lossy(run.file("summary.md")).into_owned();
    for row in ["| host | ", "| command line | `khala-harness run ", "| scenario's SHA-256 | "] {
        assert!(summary.contains(row), "no {row} in:\n{summary}");
    }
}

#[test]
fn ten_lines_are_printed_unless_all_is_asked_for_and_a_page_goes_where_it_is_wanted() {
    let run = condemned();
    let (folder, bundle) = run.restored(|_| true);
    let report = || Harness::new("report").arg(&bundle);
    let short = report().arg("--summary").arg("short").ended_plain().exits(exit::NO_GO).stdout;
    assert!(short.lines().count() <= 10 && short.starts_with("NO-GO  tiny"), "{short}");
    assert_eq!(short.lines().last(), Some(&*bundle.display().to_string()));
    let full = report().arg("--summary").arg("full").ended_plain().exits(exit::NO_GO).stdout;
    assert!(full.contains("\nGates\n") && full.lines().count() > 10, "{full}");

    let file = folder.path().join("page.html");
    let page = report().arg("--page").arg(&file).arg("--beside").arg(&bundle);
    page.ended_plain().exits(exit::NO_GO);
    let written = std::fs::read_to_string(&file).expect("a page");
    let own = String::from_utf8_lossy(run.file("report.html")).into_owned();
    assert!(written.contains("drawn beside this one") && !own.contains("drawn beside this one"));
    let inside = report().arg("--page").arg(bundle.join("page.html")).ended_plain();
    inside.exits(exit::USAGE);
    assert!(!bundle.join("page.html").exists(), "a bundle holds what its run wrote");
}
