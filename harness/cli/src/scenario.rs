//! From the command line to a plan: reads the files that the plan crate may not.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use khala_engine::command::Redactor;
use khala_engine::environment;
use khala_engine::reach::guard::Guard;
use khala_plan::{Diagnostics, Loaded, Options, Setting, Sources};

use crate::exit::{Exit, Failure};
use crate::{args, output};

/// The smoke run, for commands that need some scenario.
const SMOKE: &str = include_str!("../../../scenarios/smoke.toml");
/// Where a runtime has the key of sync tokens, by the contract.
const SYNC_KEY: &str = "RUNTIME_SYNC_TOKEN_SIGNING_KEY";
/// What stands for standard input where a file is named.
const STANDARD_INPUT: &str = "-";

/// Reads, resolves and checks a scenario whose target is then asked; warnings go to standard error, but for guesses at what the
/// target will say itself.
///
/// # Errors
/// Those of [`load_untold`].
pub fn load(scenario: &args::Scenario) -> Result<Loaded, Failure> {
    let mut loaded = load_untold(scenario, |_| Ok(()))?;
    loaded.warnings = loaded.warnings.without_guesses();
    warn(&loaded);
    Ok(loaded)
}

/// The same with all warnings; what is wrong with the scenario is also given to `told`.
///
/// # Errors
/// Those of [`load`], and whatever keeps `told` from telling.
pub fn load_telling(
    scenario: &args::Scenario,
    told: impl FnOnce(&Diagnostics) -> Result<(), Failure>,
) -> Result<Loaded, Failure> {
    let loaded = load_untold(scenario, told)?;
    warn(&loaded);
    Ok(loaded)
}

fn warn(loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        let colour = output::colour_on(std::io::stderr().is_terminal());
        output::say(&clean(&loaded.warnings.render(colour)));
    }
}

/// What is said of a scenario, without the secrets of the environment: what a variable has that a text reads may stand in
/// it.
pub fn clean(said: &str) -> String {
    Redactor::of_environment([]).word(said)
}

/// The same, without its warnings.
///
/// # Errors
/// Those of [`load_telling`].
pub fn load_untold(
    scenario: &args::Scenario,
    told: impl FnOnce(&Diagnostics) -> Result<(), Failure>,
) -> Result<Loaded, Failure> {
    let colour = output::colour_on(std::io::stderr().is_terminal());
    let loaded = match read(scenario)? {
        Ok(loaded) => loaded,
        Err(wrong) => {
            told(&wrong)?;
            let message = clean(&wrong.render(colour));
            return Err(Failure { exit: Exit::InvalidScenario, message });
        }
    };
    for spec in &scenario.defect {
        let (name, shows) = (spec.defect().name, spec.defect().shows_in());
        if shows != Some(loaded.plan.name.as_str()) {
            let shows = shows.map(|shows| format!("the scenario `{shows}` shows it, and "));
            output::say(&format!(
                "note: the defect {name} may have no occasion to act here: {}`khala-harness selftest \
                 --matrix --only {name}` does",
                shows.unwrap_or_default(),
            ));
        }
    }
    Ok(loaded)
}

/// The files that a scenario is read from, what it includes among them, with what they hold; not the target's profile.
/// One that cannot be read is left out.
pub fn files(scenario: &args::Scenario) -> Vec<(PathBuf, String)> {
    let Ok((path, text)) = text(scenario) else { return Vec::new() };
    let read = std::cell::RefCell::new(vec![(PathBuf::from(&path), text.clone())]);
    let loader = |path: &str| -> Result<String, String> {
        let text =
            khala_plan::text(std::fs::File::open(path)).map_err(|error| error.to_string())?;
        read.borrow_mut().push((PathBuf::from(path), text.clone()));
        Ok(text)
    };
    let options = Options {
        profile: scenario.profile.clone(),
        set: scenario.set.iter().cloned().map(Setting::from).collect(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &known_defect,
        env: &environment::variable,
    };
    // What is wrong with it is told by whoever runs it.
    drop(khala_plan::load(&Sources { path: &path, text: &text, loader: &loader }, &options));
    read.into_inner()
}

/// Reads, resolves and checks a scenario; the inner error is what is wrong with its text.
fn read(scenario: &args::Scenario) -> Result<Result<Loaded, Diagnostics>, Failure> {
    let (path, text) = text(scenario)?;
    let loader =
        |path: &str| khala_plan::text(std::fs::File::open(path)).map_err(|error| error.to_string());
    let (target, mut set) = match &scenario.target {
        None => (None, Vec::new()),
        Some(url) if is_url(url) => (
            None,
            vec![by_target(url, "kind=url".to_owned()), by_target(url, format!("url={url}"))],
        ),
        Some(named) => (Some(profile(scenario, named)?), Vec::new()),
    };
    set.extend(scenario.set.iter().cloned().map(Setting::from));
    set.extend(scenario.worker_threads.map(|n| {
        let assignment = format!("generator.worker_threads={n}");
        Setting::by("--worker-threads", &n.to_string(), assignment)
    }));
    if !scenario.only_client.is_empty() {
        let typed: Vec<_> = scenario.only_client.iter().map(ToString::to_string).collect();
        let assignment = format!("fleet.only_clients={:?}", scenario.only_client);
        set.push(Setting::by("--only-client", &typed.join(" --only-client "), assignment));
    }
    let options = Options {
        profile: scenario.profile.clone(),
        set,
        defects: scenario.defect.iter().map(ToString::to_string).collect(),
        seed: scenario.seed,
        target: target.as_ref().map(|(path, text)| (path.as_str(), text.as_str())),
        defect: &known_defect,
        env: &environment::variable,
    };
    let sources = Sources { path: &path, text: &text, loader: &loader };
    let loaded = khala_plan::load(&sources, &options);
    match loaded {
        Err(wrong) if is_bare_url(scenario) => {
            // Nobody typed that key: where it mends nothing, what it makes wrong beside is no mistake of theirs.
            let keyed = with_usual_key(&sources, options);
            Ok(keyed.map_err(|still| if still.len() < wrong.len() { still } else { wrong }))
        }
        loaded => Ok(loaded),
    }
}

/// What a target by URL and nothing else sets below `target`.
fn by_target(url: &str, assignment: String) -> Setting {
    Setting::by("--target", url, format!("target.{assignment}"))
}

/// Says what is wrong with a defect that a scenario names, with the one that was probably meant.
fn known_defect(text: &str) -> Result<(), String> {
    args::defect(text).map(drop)
}

/// Whether the target is a URL and nothing else.
fn is_bare_url(scenario: &args::Scenario) -> bool {
    scenario.target.as_deref().is_some_and(is_url)
}

/// Whether what `--target` names is a URL, or was meant to be one: no name of a profile has a colon.
pub fn is_url(named: &str) -> bool {
    named.contains("://") || (named.contains(':') && !Path::new(named).exists())
}

/// The same scenario with the key of tokens where a runtime itself has it: a bare URL says nothing of keys. What it
/// lacks beside is what is wrong with it; that there is no key in that place is told with all else that a run misses.
fn with_usual_key(sources: &Sources<'_>, mut options: Options<'_>) -> Result<Loaded, Diagnostics> {
    // What is set by hand comes after it.
    options.set.insert(0, format!("auth.secret.env={SYNC_KEY}").into());
    let loaded = khala_plan::load(sources, &options)?;
    if environment::is_set(SYNC_KEY) {
        output::say(&format!(
            "note: tokens are signed with the key in {SYNC_KEY}, which the target must verify with"
        ));
    }
    Ok(loaded)
}

/// What may be spoken to.
///
/// # Errors
/// When the allow file cannot be used.
pub fn guard(scenario: &args::Scenario) -> Result<Guard, Failure> {
    let read = |path: &PathBuf| Guard::read(path).map_err(|error| Failure::new(Exit::Setup, error));
    scenario.allow.as_ref().map_or_else(|| Ok(Guard::default()), read)
}

/// A target profile: its path, for messages, and its text. A plain name is one beside the scenario.
///
/// # Errors
/// When it cannot be read.
pub fn profile(scenario: &args::Scenario, named: &str) -> Result<(String, String), Failure> {
    if named.is_empty() {
        let what =
            "--target is empty: name a target profile or a URL, such as http://127.0.0.1:4000";
        return Err(Failure::new(Exit::InvalidScenario, what));
    }
    let beside = |folder: &Path| folder.join("targets").join(format!("{named}.toml"));
    let path = match named.contains(['/', '.']) {
        true => PathBuf::from(named),
        // Those that are shipped, as from the folder of the sources.
        false if scenario.file.as_os_str() == args::BUILT_IN => beside(Path::new("scenarios")),
        false => scenario.file.parent().map_or_else(|| beside(Path::new("")), beside),
    };
    let shown = path.display().to_string();
    let text = khala_plan::text(std::fs::File::open(&path)).map_err(|error| {
        let help = match shipped(&error, Path::new(&format!("{named}.toml"))) {
            Some(name) if khala_selftest::shipped_target(&name).is_some() => {
                of_shipped_profile(&name, &path)
            }
            _ => or_meant(
                &path,
                "name a target profile or a URL; `khala-harness init --target local` writes one, which `--target \
                 scenarios/targets/local.toml` names",
            ),
        };
        Failure::new(Exit::InvalidScenario, format!("--target {named}: {shown}: {error}; {help}"))
    })?;
    Ok((shown, text))
}

/// What to do where a profile that ships is not beside the scenario: `--target` as it is to be typed from here.
fn of_shipped_profile(name: &str, beside: &Path) -> String {
    let here = Path::new("scenarios/targets").join(format!("{name}.toml"));
    let shown = here.display();
    if here.exists() {
        return format!("`--target {shown}` names the one that is there");
    }
    let typed = match here == beside {
        true => String::new(),
        false => format!(", which `--target {shown}` names"),
    };
    format!("it ships: `khala-harness init --target {name}` writes {shown}{typed}")
}

/// What a file holds that a flag names and that is no part of a scenario.
///
/// # Errors
/// With 100, when it cannot be read.
pub fn text_of(flag: &str, file: &Path, help: &str) -> Result<String, Failure> {
    khala_plan::text(std::fs::File::open(file)).map_err(|error| {
        let help = or_meant(file, help);
        Failure::new(Exit::Setup, format!("{flag} {}: {error}; {help}", file.display()))
    })
}

/// The file that was probably meant by one that is not there, else this help.
pub fn or_meant(file: &Path, help: &str) -> String {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let beside = std::fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten();
    let names: Vec<_> = beside
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    let named = file.file_name().unwrap_or_default().to_string_lossy();
    match khala_plan::closest(&named, names.iter().map(String::as_str)) {
        Some(meant) if *meant != *named => {
            format!("did you mean {}?", file.with_file_name(meant).display())
        }
        _ => help.to_owned(),
    }
}

/// The scenario's name for messages, and its text; what it includes is found from where it is.
fn text(scenario: &args::Scenario) -> Result<(String, String), Failure> {
    let invalid = |message: String| Failure::new(Exit::InvalidScenario, message);
    if scenario.file.as_os_str() == args::BUILT_IN {
        return Ok(("scenarios/smoke.toml".to_owned(), SMOKE.to_owned()));
    }
    if scenario.file.as_os_str() == STANDARD_INPUT {
        let text = khala_plan::text(Ok(std::io::stdin()))
            .map_err(|error| invalid(format!("standard input: {error}")))?;
        return Ok(("(standard input)".to_owned(), text));
    }
    let path = scenario.file.display().to_string();
    let text = khala_plan::text(std::fs::File::open(&scenario.file)).map_err(|error| {
        let help = match shipped(&error, &scenario.file) {
            Some(name) if khala_selftest::shipped_scenario(&name).is_some() => {
                let here = format!("scenarios/{name}.toml");
                match Path::new(&here).exists() {
                    true => format!("did you mean {here}?"),
                    false => {
                        format!("it ships: `khala-harness init --scenario {name}` writes {here}")
                    }
                }
            }
            _ => or_meant(
                &scenario.file,
                "name a scenario file; `khala-harness init` writes a first one, and with `--scenario NAME` one of \
                 those that `khala-harness list scenarios` names",
            ),
        };
        invalid(format!("{path}: {error}; {help}"))
    })?;
    Ok((path, text))
}

/// The name by which a file that is not there may be one of those that ship.
fn shipped(error: &std::io::Error, file: &Path) -> Option<String> {
    let is_absent = error.kind() == std::io::ErrorKind::NotFound;
    is_absent.then(|| file.file_stem()?.to_str().map(str::to_owned)).flatten()
}
