//! What the tests of this crate share: a small sound scenario, and loading without a disk.

use crate::read::{Diagnostics, Loaded, Options, Sources, load};

/// A scenario with one of everything, in which nothing is wrong and nothing is worth a warning.
pub(crate) const SOUND: &str = r#"
version = 1
name = "sound"
seed = 7

[target]
kind = "reference"

[auth]
mint = "hs256"

[fleet]
clients = 100
ramp = "2s"

[[fleet.surface]]
name = "desktop"
share = 0.6

[[fleet.surface]]
name = "ios"
share = 0.4

[[load]]
command = "codex-worker-events"
rate = "4/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "10s"

[[phase]]
name = "storm"
duration = "20s"

[[phase.fault]]
type = "disconnect"
at = "2s"
mode = "all"
attributes = { style = "reset" }

[[gate]]
name = "reconnect"

[[gate.objective]]
metric = "time_to_recovered"
where = { surface = "*" }
during = ["storm"]
require = "p(90) < 20s"
warn = "p(90) < 15s"

[[gate]]
name = "ux"

[[gate.objective]]
metric = "violations"
require = "count == 0"

[profile.smoke]
judge = ["ux"]

[profile.smoke.phase.storm]
duration = "8s"
"#;

/// The sound scenario with some of its text replaced.
pub(crate) fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = SOUND.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "the scenario has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    text
}

/// Everything that can be given to a load, with nothing given.
pub(crate) struct Load<'a> {
    pub text: &'a str,
    pub profile: Option<&'a str>,
    pub set: &'a [&'a str],
    pub defects: &'a [&'a str],
    pub seed: Option<u64>,
    pub env: &'a [(&'a str, &'a str)],
    pub files: &'a [(&'a str, &'a str)],
    pub target: Option<&'a str>,
}

impl<'a> Load<'a> {
    pub fn of(text: &'a str) -> Self {
        Self {
            text,
            profile: None,
            set: &[],
            defects: &[],
            seed: None,
            env: &[],
            files: &[],
            target: None,
        }
    }

    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        let owned = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        let find = |table: &[(&str, &str)], key: &str| {
            table.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        };
        let env = |name: &str| find(self.env, name);
        let loader = |path: &str| find(self.files, path).ok_or_else(|| "no such file".to_owned());
        let sources = Sources { path: "scenarios/s.toml", text: self.text, loader: &loader };
        let options = Options {
            profile: self.profile.map(str::to_owned),
            set: owned(self.set).into_iter().map(crate::Setting::from).collect(),
            defects: owned(self.defects),
            seed: self.seed,
            target: self.target.map(|text| ("targets/t.toml", text)),
            defect: &|text| match text.starts_with("no_such") {
                true => Err(format!("no defect is called `{text}`")),
                false => Ok(()),
            },
            env: &env,
        };
        let loaded = load(&sources, &options);
        // With `--set` the text alone need not be a scenario.
        if loaded.is_ok() && self.set.is_empty() && self.target.is_none() {
            crate::read::schema::tests::assert_valid(self.text);
            self.files.iter().for_each(|(_, text)| {
                crate::read::schema::tests::assert_valid_gates(text);
            });
        }
        loaded
    }

    /// The plan; panics with what is wrong.
    pub fn plan(&self) -> crate::Plan {
        self.sound().plan
    }

    pub fn sound(&self) -> Loaded {
        self.load().unwrap_or_else(|wrong| panic!("{}", wrong.render(false)))
    }

    /// One line for each diagnostic: the offending place, what is wrong, what to do.
    pub fn complaints(&self) -> String {
        match self.load() {
            Ok(loaded) => listed(&loaded.warnings),
            Err(wrong) => listed(&wrong),
        }
    }
}

/// One line for each diagnostic.
pub(crate) fn listed(diagnostics: &Diagnostics) -> String {
    let lines = diagnostics.iter().map(|diagnostic| {
        let place = diagnostics.location(diagnostic);
        let place = place.strip_prefix("scenarios/s.toml:").unwrap_or(&place);
        let help = diagnostic.help_text().map_or(String::new(), |help| format!(" -> {help}"));
        format!("{place} {}{help}", diagnostic.what())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The complaints about the sound scenario with some of its text replaced.
pub(crate) fn complaints(edits: &[(&str, &str)]) -> String {
    Load::of(&edited(edits)).complaints()
}
