use super::*;
use crate::testing::{Load, SOUND, edited};

fn estimate(text: &str) -> (Plan, Estimate) {
    let plan = Load::of(text).plan();
    let estimate = Estimate::of(&plan, &Schedule::of(&plan));
    (plan, estimate)
}

/// What one objective expects, with its metric, phases and claim put in place of the first one's.
fn expectation(metric: &str, during: &str, claim: &str) -> Vec<(Option<&'static str>, Expected)> {
    expectation_with("hs256", metric, during, claim)
}

fn expectation_with(
    mint: &str,
    metric: &str,
    during: &str,
    claim: &str,
) -> Vec<(Option<&'static str>, Expected)> {
    let text = edited(&[
        ("mint = \"hs256\"", &format!("mint = \"{mint}\"")),
        ("metric = \"time_to_recovered\"", &format!("metric = \"{metric}\"")),
        ("where = { surface = \"*\" }\n", ""),
        ("during = [\"storm\"]", &format!("during = {during}")),
        ("require = \"p(90) < 20s\"", &format!("require = \"{claim}\"")),
        ("warn = \"p(90) < 15s\"", ""),
    ]);
    estimate(&text).1.objectives[0].expected.clone()
}

#[test]
fn it_reads_like_a_plan() {
    let (plan, estimate) = estimate(SOUND);
    insta::assert_snapshot!(estimate.render(&plan), @"
    sound, seed 7
      target    the embedded reference runtime
      clients   100 at peak: desktop 60, ios 40
      load      4/s, constant, 256 bytes, over 4 workers
      traffic   120 commands (4/s), about 800 frames/s to the clients

    time line
            0s  ramp (2s)
            2s  steady (10s)
           12s  storm (20s)
           14s    fault 0: disconnect of 100 clients
           32s  drain (10s)
           42s  end

    resources
      descriptors   228 in the harness, 228 in the target
      source ports  164 of 28,232
      memory        about 71 MiB in the harness, 7 MiB in the reference runtime (assumed per client, not measured)

    objectives
      reconnect
        time_to_recovered desktop    p(90) < 20s          60 samples expected, 29 needed
        time_to_recovered ios        p(90) < 20s          40 samples expected, 29 needed
      ux
        violations                   count == 0           12,000 samples expected, 1 needed

    always judged, whatever the gates say
      oracle: no message lost, out of order or wrong; `khala-harness list rules` names the rules
      stability: what breaks although no fault breaks it; `khala-harness metrics` tells each kind
        none; an assumption                            absence (no answer for 3s although asked), socket_ends, channel_ends, connect_errors, join_errors, subscribe_errors, snapshot_errors, publish_errors
        0.05/s; contract, section 7; here 2            heartbeat_timeouts
        1.5/s; contract, section 7; here 63            rejoins
        3% of the connects; contract, section 7        auth_errors
        1% of the token requests; contract, section 7  mint_errors
    ");
}

#[test]
fn what_cannot_be_is_said_loudly() {
    let text = edited(&[
        ("clients = 100", "clients = 30000"),
        ("p(90) < 20s", "p(99.999) < 20s"),
        ("warn = \"p(90) < 15s\"", ""),
        ("mint = \"hs256\"", "mint = \"control\""),
        ("style = \"reset\"", "style = \"close\""),
        ("kind = \"reference\"", "kind = \"reference\"\ndefects = [\"drop\"]"),
        (
            "rate = \"4/s\"\narrival = \"constant\"",
            "arrival = \"bursts\"\nburst_size = 9\nburst_gap = \"10s\"",
        ),
        ("[profile.smoke]\njudge = [\"ux\"]", "[profile.smoke]"),
    ]);
    let (plan, estimate) = estimate(&text);
    insta::assert_snapshot!(estimate.render(&plan), @"
    sound, seed 7
      target    the embedded reference runtime with drop
      clients   30,000 at peak: desktop 18,000, ios 12,000
      load      0.90/s, bursts of 9 every 10s, 256 bytes, over 4 workers
      traffic   27 commands (0.90/s), about 54,000 frames/s to the clients

    time line
            0s  ramp (2s)
            2s  steady (10s)
           12s  storm (20s)
           14s    fault 0: disconnect of 30,000 clients
           32s  drain (10s)
           42s  end

    resources
      descriptors   31,152 in the harness, 30,128 in the target
      source ports  61,088 of 28,232; too few: add to `generator.source_addresses`
      memory        about 1,940 MiB in the harness, 1,875 MiB in the reference runtime (assumed per client, not measured)

    objectives
      reconnect
        time_to_recovered desktop    p(99.999) < 20s      18,000 samples expected, 299,572 needed: CANNOT REACH A VERDICT
        time_to_recovered ios        p(99.999) < 20s      12,000 samples expected, 299,572 needed: CANNOT REACH A VERDICT
      ux
        violations                   count == 0           810,000 samples expected, 1 needed

    always judged, whatever the gates say
      oracle: no message lost, out of order or wrong; `khala-harness list rules` names the rules
      stability: what breaks although no fault breaks it; `khala-harness metrics` tells each kind
        none; an assumption                            absence (no answer for 3s although asked), socket_ends, channel_ends, connect_errors, join_errors, subscribe_errors, snapshot_errors, publish_errors
        0.05/s; contract, section 7; here 2            heartbeat_timeouts
        1.5/s; contract, section 7; here 63            rejoins
        3% of the connects; contract, section 7        auth_errors
        1% of the token requests; contract, section 7  mint_errors
    ");
}

#[test]
fn a_run_without_gates_says_so() {
    let from = SOUND.find("[[gate]]").expect("gates");
    let to = SOUND.find("[profile.smoke]").expect("a profile");
    let text = format!("{}{}", &SOUND[..from], SOUND[to..].replace("judge = [\"ux\"]\n", ""));
    let (plan, estimate) = estimate(&text);
    assert!(estimate.render(&plan).contains("no gates of the scenario's own"));
}

#[test]
fn mints_are_samples_where_somebody_is_asked_for_them() {
    for (mint, metric, claim, samples) in [
        ("control", "token_mint", "p(90) < 1s", 100.0),
        ("control", "mint_errors", "proportion < 5%", 100.0),
        ("control", "auth_errors", "proportion < 5%", 200.0),
        ("hs256", "auth_errors", "proportion < 5%", 100.0),
        ("hs256", "mint_errors", "proportion < 5%", 0.0),
    ] {
        let expected = [(None, Expected::Samples(samples))];
        let found = expectation_with(mint, metric, "[\"ramp\"]", claim);
        assert_eq!(found, expected, "{metric} with {mint}");
    }
}

#[test]
fn every_metric_has_its_rule() {
    // 100 clients arrive in the ramp and are cut once in the storm; 4 publishes a second run for
    // 10 s and 20 s; the heartbeat is 20 s.
    let both = "[\"ramp\", \"storm\"]";
    for (metric, during, claim, samples) in [
        ("connect", "[\"ramp\"]", "p(90) < 1s", 100.0),
        ("token_mint", both, "p(90) < 1s", 0.0),
        ("replay_bootstrap", "[\"steady\"]", "p(90) < 1s", 0.0),
        ("mint_errors", both, "proportion < 5%", 0.0),
        ("auth_errors", both, "proportion < 5%", 200.0),
        ("topic_errors", "[\"storm\"]", "proportion < 5%", 200.0),
        ("time_to_recovered", "[\"storm\"]", "p(90) < 1s", 100.0),
        ("resume_to_live", "[\"ramp\"]", "p(90) < 1s", 0.0),
        ("reconnect_attempts", "[\"storm\"]", "p(90) < 9", 100.0),
        ("unrecovered_clients", "[\"storm\"]", "count == 0", 100.0),
        ("violations", "[\"storm\"]", "count == 0", 8_000.0),
        ("publish_errors", "[\"steady\"]", "proportion < 9%", 40.0),
    ] {
        assert_eq!(
            expectation(metric, during, claim),
            [(None, Expected::Samples(samples))],
            "{metric} during {during}"
        );
    }
    // Of a percentile over time the seconds count that have samples: all with a publish.
    for (metric, during, samples, seconds) in [
        // 40 publishes to 100 clients, but for 49, 37, 24 and 12 that came less than a second before one.
        ("delivery", "[\"steady\"]", 4_000.0 - 122.0, 10),
        ("publish", "[\"steady\", \"storm\"]", 120.0, 30),
        ("heartbeat_rtt", "[\"steady\", \"storm\"]", 100.0, 30),
    ] {
        assert_eq!(
            expectation(metric, during, "p(90) < 1s"),
            [(None, Expected::SamplesOver(samples, seconds))],
            "{metric} during {during}"
        );
    }
    for (metric, claim) in [
        ("heartbeat_timeouts", "rate < 1/s"),
        ("reconnects", "rate < 1/s"),
        ("peak_connects_per_s", "count < 99"),
    ] {
        let expected = expectation(metric, "[\"steady\", \"storm\"]", claim);
        assert_eq!(expected, [(None, Expected::Seconds(30.0))], "{metric}");
    }
}

#[test]
fn who_is_away_is_not_counted_on_and_neither_are_seconds_in_which_nobody_is_there() {
    let (plan, _) = estimate(SOUND);
    // All are cut off at 14 s; each is live again a second after its first back-off.
    let back_us = |surface: &str| {
        let cohort = plan.fleet.cohorts.iter().find(|it| it.name == surface).expect("it is there");
        14_000_000 + micros(cohort.backoff.delay(plan.seed, 0, 1)) + 1_000_000
    };
    let publishes = |from: u64| (0..80).filter(|n| 12_000_000 + n * 250_000 >= from).count() as f64;
    let after = publishes(back_us("desktop")) * 60.0 + publishes(back_us("ios")) * 40.0;
    let first_us = back_us("desktop").min(back_us("ios"));
    let seconds = 2 + (32_000_000 - first_us).div_ceil(1_000_000);
    let found = expectation("delivery", "[\"storm\"]", "p(90) < 1s");
    assert_eq!(found, [(None, Expected::SamplesOver(8.0 * 100.0 + after, seconds))]);
    assert!(after < 7_200.0 && seconds < 20, "{after} {seconds}");
    // Whatever of it can be counted on, the objective has an occasion.
    let early = edited(&[
        ("metric = \"time_to_recovered\"", "metric = \"delivery\""),
        ("during = [\"storm\"]", "during = [\"steady\"]"),
        ("name = \"steady\"\nduration = \"10s\"", "name = \"steady\"\nduration = \"400ms\""),
    ]);
    let early = edited_more(&early, "ramp = \"2s\"", "ramp = \"100ms\"");
    let (_, early) = estimate(&early);
    let first = &early.objectives[0];
    assert!(first.expected.iter().all(|(_, it)| it.is_no_sample()), "{first:?}");
    assert_eq!((first.not_applicable.len(), first.unreachable().count()), (0, 2), "{first:?}");
}

/// A text with one more of its parts replaced.
fn edited_more(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1)
}

#[test]
fn a_slow_reader_is_no_sample_of_anything_that_is_delivered() {
    let text = include_str!("../../../../scenarios/slow-consumer.toml");
    let plan = Load::of(text).plan();
    let schedule = Schedule::of(&plan);
    // 75 publishes in `after`, when all are there: 1,000 desktops and 1,000 ios read, 200 desktops do not.
    for (metric, surface, samples) in [
        ("delivery", Some("desktop"), 75_000.0),
        ("delivery", Some("ios"), 75_000.0),
        ("delivery", None, 150_000.0),
        ("bystander_ratio", None, 150_000.0),
        ("delivery_spread", None, 150.0),
    ] {
        let mut objective = plan.gates[1].objectives[0].clone();
        objective.metric = crate::metric::MetricId::of(metric).expect("a metric");
        let label = surface.map(|name| ("surface".to_owned(), name.to_owned()));
        objective.selector = label.into_iter().collect();
        (objective.during, objective.against) =
            (vec!["after".to_owned()], vec!["after".to_owned()]);
        let found = expected(&plan, &schedule, &objective);
        let [(_, Expected::Samples(n) | Expected::SamplesOver(n, _))] = found[..] else {
            panic!("one verdict on samples: {found:?}")
        };
        assert_eq!(n, samples, "{metric} {surface:?}");
    }
}

#[test]
fn a_plan_with_no_sample_to_spare_says_so() {
    let with = |min_samples: u32| {
        let min = format!("require = \"p(90) < 20s\"\nmin_samples = {min_samples}");
        let text =
            edited(&[("where = { surface = \"*\" }\n", ""), ("require = \"p(90) < 20s\"", &min)]);
        let (plan, estimate) = estimate(&text);
        estimate.render(&plan).lines().find(|it| it.contains("time_to_rec")).expect("it").to_owned()
    };
    assert!(with(99).ends_with("100 samples expected, 99 needed"), "{}", with(99));
    let exactly = with(100);
    assert!(
        exactly.ends_with("100 needed; NONE TO SPARE: undecided if a few do not come"),
        "{exactly}"
    );
    assert!(with(101).ends_with("101 needed: CANNOT REACH A VERDICT"), "{}", with(101));
}

#[test]
fn a_star_gives_each_surface_its_own() {
    let (_, all) = estimate(SOUND);
    let samples = |name, n| (Some(name), Expected::Samples(n));
    assert_eq!(all.objectives[0].expected, [samples("desktop", 60.0), samples("ios", 40.0)]);
    let (_, one) = estimate(&edited(&[("surface = \"*\"", "surface = \"ios\"")]));
    assert_eq!(one.objectives[0].expected, [samples("ios", 40.0)]);
}

#[test]
fn verdicts_out_of_reach_are_found() {
    let (_, estimate) =
        estimate(&edited(&[("p(90) < 20s", "p(95) < 20s"), ("warn = \"p(90) < 15s\"", "")]));
    let unreachable: Vec<_> = estimate.objectives[0].unreachable().map(|(name, _)| *name).collect();
    assert_eq!(unreachable, [Some("ios")], "60 decide p(95), 40 do not");
}

#[test]
fn descriptors_count_clients_mints_publishers_and_files() {
    let plan = Load::of(SOUND).plan();
    assert_eq!(planned_descriptors(&plan), 100 + 64 + 64);
    let control = Load::of(&edited(&[("mint = \"hs256\"", "mint = \"control\"")])).plan();
    assert_eq!(planned_descriptors(&control), 100 + 2 * 512 + 64 + 64);
}

#[test]
fn closed_sockets_keep_their_ports_for_a_minute_and_reset_ones_do_not() {
    assert_eq!(estimate(SOUND).1.ports_needed, 100 + 64);
    let close = edited(&[("style = \"reset\"", "style = \"close\"")]);
    assert_eq!(estimate(&close).1.ports_needed, 200 + 64);
}

#[test]
fn each_subscriber_gets_each_update_in_two_frames() {
    assert_eq!(estimate(SOUND).1.frames_per_s, 4.0 * 100.0 * 2.0);
    let both = "share = 0.6\ntopics = [\"runtime.codex_worker_events\", \"runtime.codex_worker_summaries\"]";
    assert_eq!(estimate(&edited(&[("share = 0.6", both)])).1.frames_per_s, 4.0 * 160.0 * 2.0);
}

#[test]
fn counts_have_commas() {
    let counts = [0_u32, 999, 1_000, 28_232, 1_000_000].map(render::count);
    assert_eq!(counts, ["0", "999", "1,000", "28,232", "1,000,000"]);
}

#[test]
fn returns_snapshots_and_bystanders_are_counted_where_they_happen() {
    let text = include_str!("../../../../scenarios/stale-cursor.toml");
    let plan = Load::of(text).plan();
    let schedule = Schedule::of(&plan);
    let count = |metric: &str, phase: &str| {
        let mut objective = plan.gates[1].objectives[0].clone();
        objective.metric = crate::metric::MetricId::of(metric).expect("a metric");
        objective.selector.clear();
        objective.during = vec![phase.to_owned()];
        let [(None, Expected::Samples(n) | Expected::SamplesOver(n, _))] =
            expected(&plan, &schedule, &objective)[..]
        else {
            panic!("one verdict on samples")
        };
        n
    };
    // 30 fresh in fill, four times 37 or 38 in quiet; 60 are cut in live, of whom 30 return in trim.
    let phases = ["fill", "quiet", "live", "trim"];
    assert_eq!(phases.map(|p| count("time_to_recovered", p)), [30.0, 150.0, 60.0, 0.0]);
    assert_eq!(phases.map(|p| count("resume_to_live", p)), [30.0, 150.0, 30.0, 30.0]);
    assert_eq!(phases.map(|p| count("connect", p)), [30.0, 150.0, 30.0, 30.0]);
    // Below the floor of a topic with a snapshot, and pruned while away; the others have none.
    assert_eq!(phases.map(|p| count("snapshot", p)), [0.0, 38.0, 30.0, 30.0]);
    // 20 publishes a second, while there is a load, to 180 + 2 * 60 subscriptions, of which 165 are of
    // the stream. In `fill` not all of them are there from the first second on, and 30 go away; in `live` 30 are
    // there for a second, and 30 for half of one and from the second second on.
    assert_eq!(phases.map(|p| count("violations", p)), [400.0 * 300.0, 0.0, 200.0 * 300.0, 0.0]);
    let live = 200.0 * 105.0 + 20.0 * 30.0 + 10.0 * 30.0 + 4_392.0;
    assert_eq!(phases.map(|p| count("delivery", p)), [63_543.0, 0.0, live, 0.0]);

    let text = include_str!("../../../../scenarios/slow-consumer.toml");
    let (plan, estimate) = estimate(text);
    let ratio = estimate.objectives.iter().find(|o| o.metric == "bystander_ratio").expect("one");
    // The shorter phase decides: 100 publishes in steady to 2,000 clients that are never slow, but for some that
    // came less than a second before one of the first five.
    assert_eq!(ratio.expected, [(None, Expected::Samples(198_805.0))]);
    insta::assert_snapshot!(estimate.render(&plan), @"
    slow-consumer, seed 42
      target    the embedded reference runtime
      clients   2,200 at peak: desktop 1,000, ios 1,000, slow 200 (desktop)
      load      5/s, constant, 1,024 bytes, over 4 workers
      traffic   375 commands (5/s), about 22,000 frames/s to the clients

    time line
            0s  ramp (5s)
            5s  steady (20s)
           25s  slow (40s)
           26s    fault 0: slow_reader of 200 clients for 38s: third strike expected about 14.6 s after it begins
           65s  after (15s)
           80s  drain (10s)
           90s  end

    resources
      descriptors   2,328 in the harness, 2,328 in the target
      source ports  2,264 of 28,232
      memory        about 202 MiB in the harness, 138 MiB in the reference runtime (assumed per client, not measured)

    objectives
      slow-consumer
        violations                   count == 0           825,000 samples expected, 1 needed
        violations                   count == 0           825,000 samples expected, 1 needed
      bystanders
        bystander_ratio              ratio < 2            198,805 samples expected, 1,000 needed
      live
        delivery ios                 p(80) < 2s           200,000 samples over 40 s expected, 14 over 20 s needed
      ux
        violations                   count == 0           825,000 samples expected, 1 needed

    always judged, whatever the gates say
      oracle: no message lost, out of order or wrong; `khala-harness list rules` names the rules
      stability: what breaks although no fault breaks it; `khala-harness metrics` tells each kind
        none; an assumption                            absence (no answer for 3s although asked), socket_ends, channel_ends, connect_errors, join_errors, subscribe_errors, snapshot_errors, publish_errors
        0.05/s; contract, section 7; here 4            heartbeat_timeouts
        1.5/s; contract, section 7; here 135           rejoins
        3% of the connects; contract, section 7        auth_errors
        1% of the token requests; contract, section 7  mint_errors
    ");
}

#[test]
fn loads_that_take_turns_do_not_add_up() {
    let turns = edited(&[
        ("arrival = \"constant\"", "arrival = \"constant\"\nduring = [\"steady\"]"),
        (
            "[[phase]]",
            "[[load]]\ncommand = \"codex-worker-events\"\nrate = \"9/s\"\nduring = [\"storm\"]\n\n[[phase]]",
        ),
    ]);
    let estimate = estimate(&turns).1;
    assert_eq!((estimate.commands_per_s, estimate.frames_per_s), (9.0, 1_800.0));
}
