//! The scenarios that `selftest` runs, as they were when this program was built: it works anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A scenario, or a file of gates that scenarios include.
#[derive(Debug)]
pub struct Text {
    /// Path below the folder that gets it.
    pub path: &'static str,
    text: &'static str,
}

impl Text {
    /// Its name, as `--only` takes it.
    pub fn name(&self) -> &'static str {
        self.path.trim_end_matches(".toml")
    }
}

macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(Text {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/", $path)),
        }),*]
    };
}

macro_rules! own {
    ($($path:literal),* $(,)?) => {
        &[$(Text { path: $path, text: include_str!(concat!("scenarios/", $path)) }),*]
    };
}

/// Every scenario that ships.
pub const SHIPPED: &[Text] = shipped![
    "access-control.toml",
    "breathing.toml",
    "cursor-bounds.toml",
    "deep-replay.toml",
    "frozen-target.toml",
    "half-open.toml",
    "handshake-flood.toml",
    "hold.toml",
    "quiet.toml",
    "reconnect-storm.toml",
    "slow-consumer.toml",
    "smoke.toml",
    "soak.toml",
    "stale-cursor.toml",
];

/// What ships for targets that stand elsewhere: nobody can run it here.
pub const ELSEWHERE: &[Text] = shipped![
    "backend-leaves.toml",
    "database-restart.toml",
    "database-stall.toml",
    "graceful-restart.toml",
    "passive.toml",
    "pruned-log.toml"
];

/// Gate files that they include.
const GATES: &[Text] = shipped!["gates/runbook.toml"];

/// Target profiles to begin with.
const TARGETS: &[Text] = shipped!["targets/local.toml", "targets/staging.toml"];

/// Scenarios made for this: what no shipped one shows.
pub const OWN: &[Text] = own![
    "authority.toml",
    "bystanders.toml",
    "cursors.toml",
    "delivery.toml",
    "heartbeats.toml",
    "hook.toml",
    "restart.toml",
    "two-topics.toml",
];

/// Scenarios whose target is a proxy that `--wire` starts: nobody else can run them.
const WIRE: &[Text] = own!["wire.toml", "wire-control.toml", "wire-resume.toml", "wire-leave.toml"];

/// The scenarios that ship, by their names, and what each says of itself.
pub fn shipped() -> Vec<(String, String)> {
    let described = |text: &Text| {
        let table: Option<toml::Table> = text.text.parse().ok();
        let description = table.as_ref().and_then(|table| table.get("description")?.as_str());
        (text.name().to_owned(), description.unwrap_or_default().to_owned())
    };
    let mut all: Vec<_> = SHIPPED.iter().chain(ELSEWHERE).map(described).collect();
    all.sort();
    all
}

/// A scenario that ships, by its name, and the files that it includes: paths below the folder of scenarios, and texts.
pub fn shipped_scenario(name: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let scenario = SHIPPED.iter().chain(ELSEWHERE).find(|text| text.name() == name)?;
    let included =
        GATES.iter().filter(|gates| scenario.text.contains(&format!("\"{}\"", gates.path)));
    Some(std::iter::once(scenario).chain(included).map(|text| (text.path, text.text)).collect())
}

/// A target profile that ships, by its name: its path below the folder of scenarios, and its text.
pub fn shipped_target(name: &str) -> Option<(&'static str, &'static str)> {
    let target = TARGETS.iter().find(|text| text.name().strip_prefix("targets/") == Some(name))?;
    Some((target.path, target.text))
}

/// The names of the target profiles that ship.
pub fn shipped_targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().filter_map(|text| text.name().strip_prefix("targets/"))
}

/// Writes all of them into a folder.
///
/// # Errors
/// When that fails.
pub fn unpack(folder: &Path) -> anyhow::Result<()> {
    for text in SHIPPED.iter().chain(GATES).chain(OWN).chain(WIRE) {
        let path = folder.join(text.path);
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, text.text)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Where a scenario of this name is once it is unpacked.
pub fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use khala_plan::{Loaded, Options, Sources};

    use super::*;

    #[test]
    fn what_ships_is_found_by_its_name_with_what_it_includes() {
        for (name, _) in shipped() {
            let files = shipped_scenario(&name).expect("it is listed");
            assert_eq!(files[0].0, format!("{name}.toml"));
            for line in
                files[0].1.lines().filter(|line| line.contains("gates/") && !line.starts_with('#'))
            {
                assert!(files.iter().any(|(path, _)| line.contains(path)), "{name}: {line}");
            }
        }
        let soak: Vec<_> =
            shipped_scenario("soak").expect("it ships").iter().map(|it| it.0).collect();
        assert_eq!(soak, ["soak.toml", "gates/runbook.toml"]);
        // Every profile in the folder can be had.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/targets");
        let there = fs::read_dir(folder).expect("is there").flatten().map(|it| it.path());
        let there: BTreeSet<_> =
            there.filter_map(|it| Some(it.file_stem()?.to_str()?.to_owned())).collect();
        assert_eq!(there, shipped_targets().map(str::to_owned).collect());
        assert!(shipped_targets().all(|name| shipped_target(name).is_some()));
        assert!(shipped_scenario("nothing").is_none() && shipped_target("targets/local").is_none());
    }

    /// A text of this name.
    pub fn of(name: &str) -> &'static Text {
        SHIPPED
            .iter()
            .chain(OWN)
            .chain(WIRE)
            .find(|text| text.name() == name)
            .unwrap_or_else(|| panic!("{name}"))
    }

    /// The plan of a text, as `run` would have it.
    pub fn load(text: &Text, profile: Option<&str>, set: &[&str]) -> Loaded {
        let loader = |path: &str| {
            let found = GATES.iter().find(|gates| path.ends_with(gates.path));
            found.map(|gates| gates.text.to_owned()).ok_or_else(|| "not there".to_owned())
        };
        let options = Options {
            profile: profile.map(str::to_owned),
            set: set.iter().map(|&assignment| assignment.to_owned().into()).collect(),
            defects: Vec::new(),
            seed: None,
            target: None,
            defect: &|_| Ok(()),
            env: &|_| None,
        };
        let sources = Sources { path: text.path, text: text.text, loader: &loader };
        khala_plan::load(&sources, &options)
            .unwrap_or_else(|wrong| panic!("{}:\n{}", text.path, wrong.render(false)))
    }

    #[test]
    fn every_scenario_that_ships_is_among_the_shipped() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        let toml_in = |folder: &str| -> BTreeSet<String> {
            let listed = fs::read_dir(root.join(folder)).expect("a folder").flatten();
            let names = listed.filter_map(|entry| entry.file_name().into_string().ok());
            names.filter(|name| name.ends_with(".toml")).collect()
        };
        let ours = |texts: &[Text]| -> BTreeSet<String> {
            texts
                .iter()
                .map(|text| text.path.rsplit('/').next().expect("a name").to_owned())
                .collect()
        };
        let mut scenarios = toml_in("");
        assert!(scenarios.remove("rollout.toml"), "the one that is no scenario");
        assert_eq!(scenarios, &ours(SHIPPED) | &ours(ELSEWHERE));
        assert_eq!(toml_in("gates"), ours(GATES));
    }

    #[test]
    fn names_are_unique_and_every_scenario_of_our_own_is_right() {
        let names: BTreeSet<_> = SHIPPED.iter().chain(OWN).map(Text::name).collect();
        assert_eq!(names.len(), SHIPPED.len() + OWN.len());
        for text in OWN {
            load(text, None, &[]);
        }
    }
}
