use std::time::Duration;

use super::*;
use crate::read::schema::tests::{assert_valid_rollout, rollout_problems};
use crate::rollout::{Check, HoldLength};

const WHOLE: &str = r#"
version = 1
name = "khala"
fresh = "12h"
fleet = 400
escalation = "page khala"

[canary]
target = "${URL:-}"
header = "x-route: canary"
build = "7"

[[precondition]]
name = "conform"
check = "conform"
only = ["token_*"]

[[precondition]]
name = "docs"
check = "command"
by_url = true
command = ["true"]
covers = ["docs"]

[[precondition]]
name = "rollback"
check = "rollback"
control = "5"
runtime = "6"
how = "undo --to 6"

[[stage]]
id = "0"
name = "Preflight"
clients = 20
preconditions = ["conform"]
must_apply = ["ux"]
[[stage.scenario]]
file = "smoke.toml"
profile = "smoke"

[[stage]]
id = "1"
name = "Canary"
share = 0.05
must_apply = ["ux"]
[stage.canary]
build = ""
[stage.hold]
from = "09:00"
to = "17:30"
tz = "Europe/Berlin"
holidays = ["2026-12-25"]
"#;

fn read(text: &str) -> Result<Rollout, String> {
    let read = load("rollout.toml", text, &|_| None).map_err(|wrong| wrong.render(false));
    if read.is_ok() {
        assert_valid_rollout(text);
    }
    read
}

fn wrong(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    read(&WHOLE.replacen(from, to, 1)).expect_err("it is wrong")
}

#[test]
fn a_whole_file_is_read() {
    let rollout = read(WHOLE).expect("it is right");
    assert_eq!(
        (rollout.fresh, rollout.grace),
        (Duration::from_secs(43_200), Duration::from_secs(5))
    );
    assert!(rollout.abort_on_fail);
    let [preflight, canary] = &rollout.stages[..] else { panic!("two stages") };
    assert_eq!((preflight.clients, canary.clients), (20, 20));
    assert_eq!(preflight.canary.target, None, "an empty variable is none");
    assert_eq!(preflight.canary.header, Some(("x-route".to_owned(), "canary".to_owned())));
    assert_eq!(preflight.canary.build.as_deref(), Some("7"));
    assert_eq!(canary.canary.build, None, "the stage's own word goes first");
    assert_eq!(canary.preconditions, ["conform", "docs", "rollback"]);
    let (from, to, tz) = (540, 1_050, "Europe/Berlin".to_owned());
    let holidays = vec!["2026-12-25".to_owned()];
    let day = HoldLength::BusinessDay { from, to, tz, holidays };
    let hold = canary.hold.as_ref().expect("a hold");
    assert_eq!(hold.length, day);
    assert_eq!(hold.length.duration(), Duration::from_secs(30_600));
    assert_eq!(rollout.before("1").map(|stage| stage.id.as_str()), Some("0"));
    assert!(rollout.before("0").is_none() && rollout.before("9").is_none());
    let docs = rollout.precondition("docs").expect("it is there");
    let (words, covers) = (vec!["true".to_owned()], vec!["docs".to_owned()]);
    assert_eq!(docs.check, Check::Command { words, covers });
    let how = Some("undo --to 6".to_owned());
    let (control, runtime) = ("5".to_owned(), "6".to_owned());
    let back = rollout.precondition("rollback").expect("it is there");
    assert_eq!(back.check, Check::Rollback { control, runtime, how });
    assert_eq!(rollout.escalation.as_deref(), Some("page khala"));
}

#[test]
fn the_one_that_ships_has_the_runbooks_stages() {
    let rollout = read(include_str!("../../../../../scenarios/rollout.toml")).expect("it is right");
    let stages: Vec<_> =
        rollout.stages.iter().map(|stage| (stage.id.as_str(), stage.clients)).collect();
    let wanted = [("0", 60), ("1", 100), ("2", 100), ("3-25", 500), ("3-50", 1_000), ("4", 2_000)];
    assert_eq!(stages, wanted);
    let held: Vec<_> = rollout
        .stages
        .iter()
        .map(|stage| stage.hold.as_ref().map_or(0, |hold| hold.length.duration().as_secs() / 3_600))
        .collect();
    assert_eq!(held, [0, 1, 8, 1, 1, 24], "hours");
    assert!(
        rollout.stages.iter().all(|stage| stage.canary.target.is_none()),
        "the embedded runtime"
    );
}

#[test]
fn mistakes_are_underlined_with_what_to_do() {
    for (from, to, says) in [
        ("fleet = 400", "flet = 400", "did you mean `fleet`?"),
        ("\"conform\"]", "\"conforn\"]", "did you mean `conform`?"),
        ("share = 0.05", "", "the stage does not say its load"),
        ("share = 0.05", "share = 0.05\nclients = 2", "the stage has `clients` and `share`"),
        ("fleet = 400\n", "", "a `share` of a fleet that nobody states"),
        ("tz = \"Europe/Berlin\"", "", "the hold does not say how long it is"),
        ("tz = \"Europe/Berlin\"", "duration = \"1h\"", "and not both"),
        ("to = \"17:30\"", "to = \"7:30\"", "`7:30` is no time of day"),
        ("to = \"17:30\"", "to = \"08:30\"", "ends before it begins"),
        ("x-route: canary", "x route", "is no header"),
        ("id = \"1\"", "id = \"0\"", "there is another stage `0`"),
        ("must_apply = [\"ux\"]\n[[stage.sc", "[[stage.sc", "lacks `must_apply`"),
        ("command = [\"true\"]", "command = []", "`command` names no program"),
        ("covers = [\"docs\"]", "covers = [\"doc\"]", "did you mean `docs`?"),
        ("version = 1", "version = 2", "must be from 1 to 1"),
    ] {
        let said = wrong(from, to);
        assert!(said.contains(says), "{to}: {said}");
        assert!(said.contains("rollout.toml:"), "{said}");
    }
}

#[test]
fn what_the_reader_refuses_is_not_valid_but_where_one_key_refers_to_another() {
    assert_eq!(rollout_problems(WHOLE), [""; 0]);
    for (from, to) in [
        ("fleet = 400", "flet = 400"),
        ("fleet = 400", "fleet = 0"),
        ("fleet = 400", "fleet = \"400\""),
        ("fresh = \"12h\"", "fresh = 12"),
        ("version = 1", "version = 2"),
        ("name = \"khala\"\n", ""),
        ("build = \"7\"", "build = 7"),
        ("build = \"7\"", "biuld = \"7\""),
        ("check = \"conform\"", "check = \"conforn\""),
        ("only = [\"token_*\"]", "only = \"token_*\""),
        ("only = [\"token_*\"]", "command = [\"true\"]"),
        ("command = [\"true\"]", "command = []"),
        ("command = [\"true\"]", ""),
        ("command = [\"true\"]", "only = [\"token_*\"]\ncommand = [\"true\"]"),
        ("check = \"conform\"", "check = \"rollback\""),
        ("share = 0.05", ""),
        ("share = 0.05", "share = 1.5"),
        ("share = 0.05", "share = 0.05\nclients = 2"),
        ("must_apply = [\"ux\"]", "must_apply = []"),
        ("must_apply = [\"ux\"]\n[[stage.sc", "[[stage.sc"),
        ("file = \"smoke.toml\"\n", ""),
        ("profile = \"smoke\"", "stage_load = \"yes\""),
        ("tz = \"Europe/Berlin\"", ""),
        ("tz = \"Europe/Berlin\"", "tz = \"Europe/Berlin\"\nduration = \"1h\""),
        ("tz = \"Europe/Berlin\"", "duration = \"1h\""),
        ("from = \"09:00\"\n", "duration = \"1h\"\n"),
        ("tz = \"Europe/Berlin\"", "tz = \"Europe/Berlin\"\nobserved_min = 2"),
        ("tz = \"Europe/Berlin\"", "tz = \"Europe/Berlin\"\nobserved_min = 0.94"),
        ("[\"2026-12-25\"]", "\"2026-12-25\""),
        ("from = \"09:00\"\nto = \"17:30\"\ntz = \"Europe/Berlin\"", "duration = \"1h\""),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let text = WHOLE.replacen(from, to, 1);
        assert_ne!(rollout_problems(&text), [""; 0], "{from} -> {to}");
    }
    let none = &WHOLE[..WHOLE.find("[[stage]]").unwrap()];
    assert_ne!(rollout_problems(none), [""; 0], "a rollout has a stage");
}

#[test]
fn every_key_may_be_there() {
    let text = WHOLE
        .replace("fresh =", "abort_on_fail = false\ngrace = \"1s\"\nfresh =")
        .replace("build = \"7\"", "build = \"7\"\nbuild_samples = 3\nmetrics = false")
        .replace("only =", "writes = false\nknown = \"k.toml\"\nwait_max = \"1s\"\nwithin = \"1m\"\nonly =")
        .replace("[[stage]]\nid = \"0\"", "[[precondition]]\nname = \"t\"\ncheck = \"token\"\n\
                  [[precondition]]\nname = \"r\"\ncheck = \"rollback\"\ncontrol = \"a\"\nruntime = \"b\"\n\
                  [[precondition]]\nname = \"s\"\ncheck = \"surfaces\"\nmatrix = \"m.md\"\n\
                  [[stage]]\nowner = \"me\"\nid = \"0\"")
        .replace("profile = \"smoke\"", "profile = \"smoke\"\nname = \"n\"\nset = [\"seed=2\"]\nstage_load = true")
        .replace("tz =", "scenario = \"h.toml\"\nburn_long = \"2h\"\nburn_short = \"1m\"\nburn_rate_max = 2\n\
                 observed_min = 0.99\nmust_apply = [\"reconnects\"]\ntz =");
    let rollout = read(&text).expect("it is right");
    assert_eq!(rollout.preconditions.len(), 6);
    for table in TABLES.into_iter().chain([TABLE]) {
        for key in table.keys.iter().filter(|key| key.name() != "duration") {
            let line = format!("\n{} =", key.name());
            let header = [format!("[{}", key.name()), format!(".{}]", key.name())];
            let there = text.contains(&line) || header.iter().any(|it| text.contains(it));
            assert!(there, "{} of {}", key.name(), table.definition());
        }
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = WHOLE.replace("fleet = 400", "flet = 400").replace("id = \"1\"", "id = \"a b\"");
    let said = read(&text).expect_err("it is wrong");
    assert!(
        said.contains("unknown key `flet`") && said.contains("`a b` is not a plain name"),
        "{said}"
    );
}

#[test]
fn waivers_are_as_strict() {
    let whole = "[[waiver]]\ngate = \"ux\"\nowner = \"Ada\"\nreason = \"known\"\nexpires = \"2026-12-01\"\n";
    let read = |text: &str| waivers("w.toml", text).map_err(|wrong| wrong.render(false));
    let [waiver] = &read(whole).expect("it is right")[..] else { panic!("one waiver") };
    assert_eq!((waiver.gate.as_str(), &waiver.metric), ("ux", &None));
    for gone in [
        "gate = \"ux\"\n",
        "owner = \"Ada\"\n",
        "reason = \"known\"\n",
        "expires = \"2026-12-01\"\n",
    ] {
        let said = read(&whole.replace(gone, "")).expect_err("it is wrong");
        assert!(said.contains("lacks"), "{said}");
    }
    assert!(read("").expect("none is right").is_empty());
}

#[test]
fn a_canary_is_stated_where_no_variable_is_part_of_how_it_is_reached() {
    let stated = |text: &str| {
        let stages = read(text).expect("it is right").stages;
        stages.iter().map(|stage| stage.canary.is_stated()).collect::<Vec<_>>()
    };
    assert_eq!(stated(WHOLE), [false, false], "even one that is not set");
    let own = |keys: &str| WHOLE.replacen("[stage.canary]", &format!("[stage.canary]\n{keys}"), 1);
    assert_eq!(stated(&own("target = \"canary\"")), [false, true]);
    assert_eq!(stated(&own("target = \"canary\"\nheader = \"${H:-a: b}\"")), [false, false]);
    assert_eq!(stated(&WHOLE.replacen("${URL:-}", "http://127.0.0.1:9", 1)), [true, true]);
    assert_eq!(stated(&own("header = \"x-route: other\"")), [false, false]);
}
