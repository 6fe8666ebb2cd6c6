//! Texts that are much larger than any scenario: what is told of them is bounded, and so is the work.

use crate::read::Severity;
use crate::read::diagnostic::TOLD_MAX;
use crate::testing::{Load, SOUND};

#[test]
fn a_scenario_of_many_phases_is_refused_and_soon() {
    let many: String =
        (0..200_000).map(|n| format!("[[phase]]\nname = \"p{n}\"\nduration = \"1s\"\n")).collect();
    let wrong = Load::of(&format!("{SOUND}\n{many}")).complaints();
    assert!(wrong.contains("phases -> stay below 1000"), "{}", &wrong[..400.min(wrong.len())]);
}

/// So often the same line, each with its number in place of `#`.
fn times(count: usize, line: &str) -> String {
    (0..count).map(|n| line.replace('#', &n.to_string())).collect()
}

#[test]
fn however_much_is_wrong_a_hundred_mistakes_are_told_and_the_rest_is_counted() {
    const MANY: usize = 20_000;
    let keys = times(MANY, "key# = 1\n");
    let topics = format!("target.defects=[{}]", times(MANY, "\"no_such_#\","));
    let cases = [
        (SOUND.replacen("version = 1\n", &format!("version = 1\n{keys}"), 1), None, MANY),
        (format!("{SOUND}\n[profile.other]\n{keys}"), None, MANY),
        (SOUND.to_owned(), Some(topics.as_str()), MANY),
        (
            format!("{SOUND}\n{}", times(5_000, "[[load]]\ncommand = \"none\"\nrate = \"1/s\"\n")),
            None,
            5_001,
        ),
    ];
    for (text, set, count) in cases {
        let set: Vec<_> = set.into_iter().collect();
        let load = Load { set: &set, ..Load::of(&text) };
        let wrong = load.load().expect_err("much is wrong");
        let errors = wrong.iter().filter(|one| one.severity() == Severity::Error).count();
        let more = wrong.more(Severity::Error).expect("more than is told");
        let number: usize =
            more.split(' ').next().and_then(|it| it.parse().ok()).expect("a number");
        assert_eq!(errors, TOLD_MAX);
        assert!((count..count + 10).contains(&(errors + number)), "{more}");
        assert!(more.ends_with(" more mistakes are not listed: mend these first"), "{more}");
        let rendered = wrong.render(false);
        assert!(
            rendered.contains(&format!("error: {more}")),
            "{}",
            &rendered[rendered.len() - 400..]
        );
        let lines = rendered.lines().count();
        assert!(lines < 12 * TOLD_MAX && rendered.len() < 1_000 * TOLD_MAX, "{lines} lines");
        let json: serde_json::Value = serde_json::from_str(&wrong.to_json()).expect("JSON");
        let errors = json["errors"].as_array().expect("a list");
        assert_eq!(
            (errors.len(), errors[TOLD_MAX]["what"].as_str()),
            (TOLD_MAX + 1, Some(more.as_str()))
        );
    }
}

#[test]
fn what_few_mistakes_there_are_is_told_whole() {
    let text =
        SOUND.replacen("version = 1\n", &format!("version = 1\n{}", times(100, "key# = 1\n")), 1);
    let wrong = Load::of(&text).load().expect_err("no such keys");
    assert_eq!((wrong.len(), wrong.more(Severity::Error)), (100, None));
    assert!(!wrong.render(false).contains("not listed"));
}

#[test]
fn what_would_be_read_again_for_each_is_refused_by_its_number() {
    let profiles = times(20_000, "[profile.p#]\nseed = 1\n");
    let wrong = Load::of(&format!("{SOUND}\n{profiles}")).complaints();
    assert!(wrong.contains("20001 profiles -> stay below 1000"), "{wrong}");
    let changes = times(20_000, "[profile.p.phase.p#]\nduration = \"1s\"\n");
    let wrong = Load::of(&format!("{SOUND}\n{changes}")).complaints();
    assert!(wrong.contains("20000 elements of `phase` are changed -> stay below 1000"), "{wrong}");
}
