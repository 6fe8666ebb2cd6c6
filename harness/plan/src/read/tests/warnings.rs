//! What a sound scenario is warned about.

use insta::assert_snapshot;

use crate::testing::{Load, SOUND, complaints};

#[test]
fn the_sound_scenario_is_not_warned_about() {
    assert_eq!(Load::of(SOUND).complaints(), "");
}

#[test]
fn objectives_that_cannot_be_decided() {
    assert_snapshot!(complaints(&[("p(90) < 20s", "p(99) < 20s"), ("p(90) < 15s", "p(99) < 15s")]), @"50:11 `time_to_recovered` cannot reach a verdict for `desktop` -> cut off more clients, or more often: each cut is a sample, and a longer phase adds none; or claim a lower percentile");
    assert_snapshot!(complaints(&[("during = [\"storm\"]", "during = [\"steady\"]")]), @"");
    assert_snapshot!(complaints(&[("metric = \"violations\"\nrequire = \"count == 0\"", "metric = \"heartbeat_timeouts\"\nrequire = \"rate <= 0.05/s\"")]), @"58:11 `heartbeat_timeouts` cannot reach a verdict -> lengthen its phases to 60 s in all, or allow a higher rate");
    // A gate that is not judged needs no evidence.
    let text =
        crate::testing::edited(&[("p(90) < 20s", "p(99) < 20s"), ("p(90) < 15s", "p(99) < 15s")]);
    let mut load = Load::of(&text);
    load.profile = Some("smoke");
    assert_eq!(load.complaints(), "");
}

#[test]
fn storms_without_deliveries_around_them() {
    assert_snapshot!(complaints(&[("rate = \"4/s\"", "rate = \"9/min\"")]), @"37:1 the storm has too few deliveries around it to be judged -> raise the load's rate, or lengthen the phases");
}

#[test]
fn topics_that_nothing_feeds_and_loads_that_are_refused() {
    assert_snapshot!(complaints(&[
        ("share = 0.6", "share = 0.6\ntopics = [\"runtime.notifications\", \"runtime.codex_worker_events\"]"),
        ("rate = \"4/s\"", "rate = \"241/s\""),
    ]), @"
    12:1 no load publishes to `runtime.notifications` -> add a `[[load]]`, or subscribe to other topics
    25:1 the loads publish 241 commands a second in all -> lower the rate, or raise the limit
    ");
}

#[test]
fn keys_without_effect() {
    assert_snapshot!(complaints(&[
        ("kind = \"reference\"", "kind = \"reference\"\nurl = \"http://h\""),
        ("mint = \"hs256\"", "mint = \"control\"\nkid = \"k\"\ntoken = { env = \"T\" }"),
        ("arrival = \"constant\"", "arrival = \"constant\"\nburst_size = 3"),
        ("mode = \"all\"", "mode = \"all\"\nvalue = 3"),
        ("style = \"reset\"", "style = \"reset\", close_code = 1001"),
    ]), @r#"
    8:7 `url` has no effect with `kind = "reference"` -> remove it
    12:7 `kid` has no effect with `mint = "control"` -> remove it
    13:9 `token` has no effect with `mint = "control"` -> remove it
    31:14 `burst_size` has no effect unless `arrival = "bursts"` -> remove it
    45:9 `value` has no effect with `mode = "all"` -> remove it
    46:46 `close_code` has no effect with `style = "reset"`: a reset has no close frame -> remove it
    "#);
    assert_snapshot!(complaints(&[
        ("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h\""),
        ("mint = \"hs256\"", "mint = \"static\"\nttl = \"1m\"\ntoken = { env = \"T\" }"),
    ]), @"12:7 `ttl` has no effect on a token that was made elsewhere -> remove it");
}

/// The scenarios that ship, by their paths.
fn shipped() -> Vec<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files =
        std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> =
        files.filter(|it| it.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

#[test]
fn of_no_shipped_scenario_the_plan_alone_decides_an_objective() {
    for path in shipped() {
        let text = std::fs::read_to_string(&path).expect("is read");
        let path = path.to_str().expect("a path in UTF-8");
        let loader = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
        for profile in [None, Some("smoke".to_owned())] {
            let sources = crate::Sources { path, text: &text, loader: &loader };
            let (set, defects) = (Vec::new(), Vec::new());
            let options = crate::Options {
                profile: profile.clone(),
                set,
                defects,
                seed: None,
                target: None,
                defect: &|_| Ok(()),
                env: &|_| None,
            };
            // Not every one has the profile.
            let Ok(loaded) = crate::load(&sources, &options) else { continue };
            let estimate =
                crate::estimate::Estimate::of(&loaded.plan, &crate::Schedule::of(&loaded.plan));
            let foregone: Vec<_> =
                estimate.objectives.iter().filter(|it| !it.foregone.is_empty()).collect();
            assert!(foregone.is_empty(), "{path} {profile:?}: {foregone:?}");
        }
    }
}

#[test]
fn a_target_named_beside_a_scenario_leaves_it_its_own_keys() {
    let text = crate::testing::edited(&[(
        "kind = \"reference\"",
        "kind = \"reference\"\n[target.slow_consumer]\nsend_buffer = \"8KiB\"\n\
         [target.topics.\"runtime.codex_worker_events\"]\nretain_events = 50",
    )]);
    let mut load = Load::of(&text);
    load.set = &["target.kind=url", "target.url=http://127.0.0.1:4000", "auth.mint=control"];
    let complaints = load.complaints();
    assert!(!complaints.contains("has no effect"), "{complaints}");
    let told =
        complaints_of(&text.replace("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h\""));
    assert!(told.contains("`send_buffer` has no effect"), "{told}");
    assert!(told.contains("`topics` has no effect"), "{told}");
}

#[test]
fn a_profile_that_chooses_otherwise_leaves_the_scenario_the_keys_of_its_own_choice() {
    let text = crate::testing::edited(&[(
        "kind = \"reference\"",
        "kind = \"reference\"\n[target.slow_consumer]\nsend_buffer = \"8KiB\"\n\
         [target.topics.\"runtime.codex_worker_events\"]\nretain_events = 50",
    )]);
    let over = "\n[profile.there]\ntarget = { kind = \"url\", url = \"http://127.0.0.1:4000\" }\n\
                auth = { mint = \"control\" }\nfleet = { user_ids = \"named\" }\n";
    let text = text.replacen("[fleet]", "[fleet]\nuser_ids = \"numeric\"\nfirst_user_id = 7", 1);
    let chosen = |text: &str, profile| {
        let mut load = Load::of(text);
        load.profile = Some(profile);
        load.complaints()
    };
    let complaints = chosen(&format!("{text}{over}"), "there");
    assert!(!complaints.contains("has no effect"), "{complaints}");
    // What the profile itself brings is its own to take back.
    let own = over.replace("mint = \"control\"", "mint = \"control\", kid = \"k\"");
    let complaints = chosen(&format!("{text}{own}"), "there");
    assert!(complaints.contains("`kid` has no effect with `mint = \"control\"`"), "{complaints}");
    // Nor has the scenario a use for what a profile adds to its choice.
    let more = "\n[profile.more]\nauth = { session_token = { env = \"TOKEN\" } }\n";
    let complaints = chosen(&format!("{text}{more}"), "more");
    assert!(complaints.contains("`session_token` has no effect"), "{complaints}");
}

fn complaints_of(text: &str) -> String {
    Load::of(text).complaints()
}

#[test]
fn a_cursor_without_a_place_is_told_before_a_run() {
    let text = include_str!("../../../../../scenarios/stale-cursor.toml");
    let told = |load: Load<'_>| {
        let told = load.complaints();
        told.lines()
            .filter(|line| line.contains("a cursor can be put"))
            .map(str::to_owned)
            .collect()
    };
    let none: [String; 0] = [];
    // What the scenario says of the embedded runtime leaves a place for each.
    let embedded: Vec<String> = told(Load::of(text));
    assert_eq!(embedded, none);
    // Of a target by URL nobody knows it. One like the contract's prunes nothing, and replays 3,000 events.
    let target = "[target]\nurl = \"http://127.0.0.1:4000\"\nexclusive = true\n\n[auth]\nmint = \"hs256\"\n\
                  secret = { env = \"KEY\" }\n";
    let of_url = |text| Load { target: Some(target), ..Load::of(text) };
    for profile in [None, Some("smoke")] {
        let found: Vec<String> = told(Load { profile, ..of_url(text) });
        let floor = "below the retention floor";
        let places = [floor, "beyond the replay budget", "at the replay budget", floor];
        // In `smoke` those of `live` may be back only when the topics have been pruned.
        let places = &places[..if profile.is_some() { 3 } else { 4 }];
        assert_eq!(found.len(), places.len(), "{found:?}");
        for (found, place) in found.iter().zip(places) {
            assert!(
                found.contains(&format!("whether a cursor can be put {place} hangs on")),
                "{found}"
            );
            assert!(found.contains("--retain TOPIC=EVENTS"), "{found}");
        }
    }
    let longer =
        text.replace("name = \"fill\"\nduration = \"20s\"", "name = \"fill\"\nduration = \"200s\"");
    assert_ne!(longer, text);
    let found: Vec<String> = told(of_url(&longer));
    let below = found.iter().all(|found| found.contains("below the retention floor"));
    assert!(found.len() == 2 && below, "{found:?}");
    // The embedded runtime retains what it is told.
    let all = text.replace("retain_events = 200", "retain_events = 2000");
    let found = Load::of(&all).complaints();
    assert!(
        found.contains("no cursor can be put below the retention floor: no more than 404 events"),
        "{found}"
    );
}
