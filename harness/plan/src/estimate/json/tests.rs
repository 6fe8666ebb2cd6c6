use crate::estimate::Estimate;
use crate::schedule::Schedule;
use crate::testing::{Load, SOUND, edited};

fn json(text: &str) -> String {
    let loaded = Load::of(text).sound();
    let estimate = Estimate::of(&loaded.plan, &Schedule::of(&loaded.plan));
    estimate.to_json(&loaded.plan, &loaded.warnings, &[]).unwrap()
}

#[test]
fn it_says_what_the_text_says() {
    insta::assert_snapshot!(json(SOUND), @r#"
    {
      "version": 1,
      "scenario": "sound",
      "profile": null,
      "seed": 7,
      "target": {
        "kind": "reference",
        "url": null,
        "defects": []
      },
      "passive": false,
      "clients_max": null,
      "connect_rate_max": null,
      "total_us": 42000000,
      "timeline": [
        {
          "phase": "ramp",
          "start_us": 0,
          "end_us": 2000000,
          "faults": []
        },
        {
          "phase": "steady",
          "start_us": 2000000,
          "end_us": 12000000,
          "faults": []
        },
        {
          "phase": "storm",
          "start_us": 12000000,
          "end_us": 32000000,
          "faults": [
            {
              "id": 0,
              "type": "disconnect",
              "at_us": 14000000,
              "duration_us": null,
              "clients": 100,
              "eviction_expected": null,
              "eviction_after_s": null
            }
          ]
        },
        {
          "phase": "drain",
          "start_us": 32000000,
          "end_us": 42000000,
          "faults": []
        }
      ],
      "clients_peak": 100,
      "clients_in_all": 100,
      "cohorts": [
        {
          "name": "desktop",
          "surface": "desktop",
          "clients": 60
        },
        {
          "name": "ios",
          "surface": "ios",
          "clients": 40
        }
      ],
      "publishes": 120,
      "commands_per_s": 4.0,
      "frames_per_s": 800.0,
      "descriptors": {
        "harness": 228,
        "target": 228
      },
      "source_ports": {
        "needed": 164,
        "available": 28232
      },
      "memory_bytes": {
        "harness": 73723904,
        "reference": 6553600
      },
      "objectives": [
        {
          "gate": "reconnect",
          "judged": true,
          "advisory": false,
          "metric": "time_to_recovered",
          "require": "p(90) < 20s",
          "needed": {
            "samples": 29.0
          },
          "seconds_needed": null,
          "verdicts": [
            {
              "surface": "desktop",
              "expected": {
                "samples": 60.0
              },
              "seconds_expected": null,
              "decidable": true,
              "not_applicable": null,
              "foregone": null
            },
            {
              "surface": "ios",
              "expected": {
                "samples": 40.0
              },
              "seconds_expected": null,
              "decidable": true,
              "not_applicable": null,
              "foregone": null
            }
          ]
        },
        {
          "gate": "ux",
          "judged": true,
          "advisory": false,
          "metric": "violations",
          "require": "count == 0",
          "needed": {
            "samples": 1.0
          },
          "seconds_needed": null,
          "verdicts": [
            {
              "surface": null,
              "expected": {
                "samples": 12000.0
              },
              "seconds_expected": null,
              "decidable": true,
              "not_applicable": null,
              "foregone": null
            }
          ]
        }
      ],
      "stability": {
        "advisory": false,
        "absence_us": 3000000,
        "absence_from": "an assumption",
        "limits": [
          {
            "kind": "socket_ends",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "channel_ends",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "heartbeat_timeouts",
            "limit": "0.05/s",
            "at_least": 0,
            "from": "contract, section 7",
            "count": 2
          },
          {
            "kind": "rejoins",
            "limit": "1.5/s",
            "at_least": 0,
            "from": "contract, section 7",
            "count": 63
          },
          {
            "kind": "connect_errors",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "auth_errors",
            "limit": "3%",
            "at_least": 0,
            "from": "contract, section 7",
            "count": null
          },
          {
            "kind": "mint_errors",
            "limit": "1%",
            "at_least": 0,
            "from": "contract, section 7",
            "count": null
          },
          {
            "kind": "join_errors",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "subscribe_errors",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "snapshot_errors",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          },
          {
            "kind": "publish_errors",
            "limit": "0",
            "at_least": 0,
            "from": "an assumption",
            "count": 0
          }
        ]
      },
      "errors": [],
      "warnings": []
    }
    "#);
}

#[test]
fn what_cannot_be_decided_is_said_with_the_warning() {
    let text = edited(&[("clients = 100", "clients = 20")]);
    let read: serde_json::Value = serde_json::from_str(&json(&text)).unwrap();
    let verdicts = &read["objectives"][0]["verdicts"];
    for (index, surface, samples) in [(0, "desktop", 12.0), (1, "ios", 8.0)] {
        let verdict = &verdicts[index];
        assert_eq!(verdict["surface"], surface);
        assert_eq!(verdict["expected"]["samples"], samples);
        assert_eq!(verdict["decidable"], false);
    }
    assert_eq!(read["objectives"][0]["needed"]["samples"], 29.0);
    assert_eq!(read["objectives"][1]["verdicts"][0]["decidable"], true);
    let warning = &read["warnings"][0];
    assert!(warning["what"].as_str().unwrap().contains("cannot reach a verdict"), "{warning}");
    assert!(warning["at"].as_str().unwrap().starts_with("scenarios/s.toml:"), "{warning}");
}

#[test]
fn a_slow_reader_is_expected_to_be_evicted_or_spared() {
    let slow = include_str!("../../../../../scenarios/slow-consumer.toml");
    let evicted = |text: &str| {
        let read: serde_json::Value = serde_json::from_str(&json(text)).unwrap();
        let phases = read["timeline"].as_array().unwrap().iter();
        let mut faults = phases.flat_map(|phase| phase["faults"].as_array().unwrap().clone());
        faults.find(|fault| fault["type"] == "slow_reader").expect("it has one")
    };
    let fault = evicted(slow);
    assert_eq!(fault["eviction_expected"], true);
    assert!(fault["eviction_after_s"].as_f64().unwrap() > 1.0, "{fault}");
    let spared = slow.replace("pause = true", "rate = \"8MiB/s\"");
    assert_ne!(spared, slow);
    let fault = evicted(&spared);
    assert_eq!(
        (&fault["eviction_expected"], fault["eviction_after_s"].is_null()),
        (&false.into(), true)
    );
}
