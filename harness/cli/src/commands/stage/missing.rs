//! The files that a stage names and that are not there: all of them at once, each with the line that names it.

use std::path::Path;

use khala_plan::rollout::Check;

use super::order::Order;
use crate::exit::{Exit, Failure};

/// A file, by the name that the rollout file gives it.
struct Named<'a> {
    file: &'a str,
    is_scenario: bool,
}

/// Refuses a stage of which a scenario is not there, with whatever else is missing: each is found before anything is sent.
///
/// # Errors
/// When one is missing.
pub fn refuse(order: &Order<'_>) -> Result<(), Failure> {
    let missing: Vec<_> =
        named(order).into_iter().filter(|it| !order.folder.join(it.file).exists()).collect();
    if !missing.iter().any(|it| it.is_scenario) {
        return Ok(());
    }
    let rollout = &order.args.rollout;
    let text = khala_plan::text(std::fs::File::open(rollout)).unwrap_or_default();
    let lines = missing.iter().map(|it| {
        let line = line_of(&text, &order.stage, it.file);
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        format!("\n  {}{line}: {}{}", rollout.display(), it.file, help(it))
    });
    let what = format!(
        "stage {} names {} that {} not there; nothing was sent. Paths are relative to the rollout file:{}",
        order.stage,
        if missing.len() == 1 { "a file" } else { "files" },
        if missing.len() == 1 { "is" } else { "are" },
        lines.collect::<String>()
    );
    Err(Failure::new(Exit::InvalidScenario, what))
}

fn named<'a>(order: &'a Order<'_>) -> Vec<Named<'a>> {
    let stage = order.stage();
    let scenarios = stage.scenarios.iter().chain(stage.hold.iter().map(|hold| &hold.scenario));
    let scenarios = scenarios.map(|one| Named { file: &one.file, is_scenario: true });
    let asked = stage.preconditions.iter().filter_map(|name| order.rollout.precondition(name));
    let asked = asked.filter(|one| !one.by_url || order.target.is_some());
    let asked = asked.filter_map(|one| match &one.check {
        Check::Surfaces { matrix } => Some(matrix.as_str()),
        Check::Conform { known, .. } => known.as_deref(),
        // What a command reads is its own affair.
        Check::Token | Check::Rollback { .. } | Check::Command { .. } => None,
    });
    let asked = asked.map(|file| Named { file, is_scenario: false });
    let mut all: Vec<Named<'_>> = Vec::new();
    for one in scenarios.chain(asked) {
        if !all.iter().any(|there| there.file == one.file) {
            all.push(one);
        }
    }
    all
}

/// The line of a rollout file, from 1, that names a file: in the stage's own table where it stands there.
fn line_of(text: &str, stage: &str, file: &str) -> Option<usize> {
    let stage = [format!("\"{stage}\"")];
    // By its name, or as what stands where a variable is not set.
    let file = [format!("\"{file}\""), format!(":-{file}}}\"")];
    let says = |line: &str, any: &[String]| {
        !line.trim_start().starts_with('#') && any.iter().any(|what| line.contains(what))
    };
    let lines = || text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let mut of_the_stage = lines().skip_while(|(_, line)| !says(line, &stage));
    let of_the_stage = of_the_stage.find(|(_, line)| says(line, &file));
    of_the_stage.or_else(|| lines().find(|(_, line)| says(line, &file))).map(|(line, _)| line)
}

/// Where one comes from.
fn help(named: &Named<'_>) -> String {
    let name = Path::new(named.file).file_stem().and_then(|name| name.to_str());
    let ships = name.filter(|name| khala_selftest::shipped_scenario(name).is_some());
    match ships.filter(|_| named.is_scenario) {
        Some(name) => format!(
            " (it ships: `khala-harness init --scenario {name}` writes scenarios/{name}.toml)"
        ),
        None if named.file == "SURFACES.md" => {
            " (it ships: `khala-harness init --rollout` writes scenarios/SURFACES.md)".to_owned()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_the_table_of_its_stage_and_not_in_a_comment() {
        let text = "matrix = \"${M:-M.md}\"\n# file = \"a.toml\"\n[[stage]]\nid = \"0\"\nfile = \"a.toml\"\n[[stage]]\n\
                    id = \"1\"\nfile = \"a.toml\"\n";
        let line = |stage, file| line_of(text, stage, file);
        assert_eq!((line("0", "a.toml"), line("1", "a.toml")), (Some(5), Some(8)));
        assert_eq!((line("1", "M.md"), line("1", "b.toml")), (Some(1), None));
    }
}
