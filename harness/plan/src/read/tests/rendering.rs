//! Diagnostics as people see them.

use insta::assert_snapshot;

use crate::testing::{Load, SOUND, edited};

fn rendered(load: &Load<'_>) -> String {
    load.load().expect_err("something is wrong").render(false)
}

#[test]
fn five_mistakes_in_one_file_are_five_diagnostics() {
    let text = edited(&[
        ("ramp = \"2s\"", "ramp = \"2x\""),
        ("rate = \"4/s\"", "rat = \"4/s\""),
        ("at = \"2s\"", "at = \"30s\""),
        ("metric = \"time_to_recovered\"", "metric = \"time_to_recoverd\""),
        ("during = [\"storm\"]", "during = [\"strom\"]"),
    ]);
    assert_snapshot!(rendered(&Load::of(&text)), @r#"
    error: bad duration for `ramp`: `2x` has the unit `x`; `h`, `m`, `s`, `ms` and `us` are known
      --> scenarios/s.toml:14:8
       |
    14 | ramp = "2x"
       |        ^^^^ not a duration

    error: unknown key `rat` in `[[load]]`
      --> scenarios/s.toml:26:1
       |
    26 | rat = "4/s"
       | ^^^ not a key of it
       |
       = help: did you mean `rate`?

    error: the fault is due at 30s, after its phase, which is 20s long
      --> scenarios/s.toml:39:6
       |
    39 | at = "30s"
       |      ^^^^^
       |
       = help: `at` counts from the start of the phase

    error: there is no metric `time_to_recoverd`
      --> scenarios/s.toml:47:10
       |
    47 | metric = "time_to_recoverd"
       |          ^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `time_to_recovered`?

    error: there is no phase `strom`
      --> scenarios/s.toml:49:11
       |
    49 | during = ["strom"]
       |           ^^^^^^^
       |
       = help: did you mean `storm`?
    "#);
}

#[test]
fn overrides_are_named_by_their_flag() {
    let mut load = Load::of(SOUND);
    load.set = &["fleet.clients=0", "phase.strom.duration=5s", "phase.storm.duration=5 s"];
    load.profile = Some("smok");
    assert_snapshot!(rendered(&load), @"
    error: `clients` is 0; it must be from 1 to 1000000
     |
     | --set fleet.clients=0
     |                     ^

    error: the scenario has no `phase` called `strom`
     |
     | --set phase.strom.duration=5s
     |             ^^^^^
     |
     = help: did you mean `storm`?

    error: bad duration for `duration`: `5 s` has a blank in it: write `5s`
     |
     | --set phase.storm.duration=5 s
     |                            ^^^ not a duration

    error: the scenario has no profile `smok`
     |
     | --profile smok
     |           ^^^^
     |
     = help: did you mean `smoke`?
    ");
}

#[test]
fn environment_variables_are_named() {
    let text = edited(&[
        ("ramp = \"2s\"", "ramp = \"${RAMP}\""),
        ("duration = \"10s\"", "duration = \"${STEADY}s\""),
    ]);
    let mut load = Load::of(&text);
    load.env = &[("RAMP", "soon")];
    assert_snapshot!(rendered(&load), @r#"
    error: bad duration for `ramp`: `soon` is not a number with a unit, such as `10s`, `250ms` or `1h30m`
      --> scenarios/s.toml:14:8
       |
    14 | ramp = "${RAMP}"
       |        ^^^^^^^^^ not a duration
       |
       = note: the value comes from the environment variable `RAMP`

    error: the environment variable `STEADY` is not set, or is empty
      --> scenarios/s.toml:31:13
       |
    31 | duration = "${STEADY}s"
       |             ^^^^^^^^^
       |
       = help: set it, or give a default: `${STEADY:-…}`
    "#);
}

#[test]
fn claims_are_underlined_where_they_are_wrong() {
    let text = edited(&[("p(90) < 20s", "p(990) < 20s")]);
    assert_snapshot!(rendered(&Load::of(&text)), @r#"
    error: `990` is not a percentile, which lies between 0 and 100
      --> scenarios/s.toml:50:14
       |
    50 | require = "p(990) < 20s"
       |              ^^^
       |
       = help: write such as `p(99)` or `p(99.9)`
    "#);
}

#[test]
fn what_is_named_twice_shows_where_the_first_one_is() {
    let text = edited(&[("name = \"steady\"", "name = \"storm\"")]);
    assert_snapshot!(rendered(&Load::of(&text)), @r#"
    error: there is another phase `storm`
      --> scenarios/s.toml:34:8
       |
    34 | name = "storm"
       |        ^^^^^^^ named twice
       |
       = note: the first one is at scenarios/s.toml:30:8
       = help: name each once

    error: `storm` addresses more than one `phase`
      --> scenarios/s.toml:63:22
       |
    63 | [profile.smoke.phase.storm]
       |                      ^^^^^
       |
       = note: this is so with the profile `smoke`
       = help: address one by its index, from `phase.0` to `phase.1`
    "#);
}

#[test]
fn secrets_are_masked_in_files_and_flags() {
    let text = edited(&[
        ("mint = \"hs256\"", "mint = \"hs256\"\nsecret = \"hunter2\""),
        ("seed = 7", "auth = { token = \"hunter2\", kid = 3 }"),
    ]);
    let mut load = Load::of(&text);
    load.set = &["auth.secret=hunter2", "auth.kid=\"hunter"];
    let shown = load.load().expect_err("literal secrets").render(true);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(rendered(&Load::of(&edited(&[("mint = \"hs256\"", "secret = \"hunter2\"")]))), @r#"
    error: `secret` is a secret and must not stand in a scenario
      --> scenarios/s.toml:10:10
       |
    10 | secret = *********
       |          ^^^^^^^^^ say where it is
       |
       = help: write `secret = { env = "NAME" }` or `{ file = "path" }`
    "#);
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let text = edited(&[("ramp = \"2s\"", "ramp = \"2x\"")]);
    let wrong = Load::of(&text).load().expect_err("a bad duration");
    assert!(wrong.render(true).contains("\u{1b}["));
    assert!(!wrong.render(false).contains('\u{1b}'));
    assert_eq!(wrong.render(false), wrong.to_string());
    assert_eq!(wrong.len(), wrong.iter().count());
}
