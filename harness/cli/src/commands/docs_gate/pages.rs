//! Pages that this program prints, held against what it prints now.

use std::path::Path;

use serde_json::Value;

use super::{Found, Repository};

/// What prints a page, and how it is made again.
struct Printed {
    /// Its path in this repository; of a schema, its name is enough in any other.
    path: &'static str,
    print: fn() -> String,
    renew: &'static str,
}

const PAGES: &[Printed] = &[
    Printed {
        path: "scenarios/scenario.schema.json",
        print: khala_plan::scenario_schema,
        renew: "schema",
    },
    Printed {
        path: "scenarios/gates.schema.json",
        print: khala_plan::gate_file_schema,
        renew: "schema --gates",
    },
    Printed {
        path: "scenarios/rollout.schema.json",
        print: khala_plan::rollout_schema,
        renew: "schema --rollout",
    },
    Printed {
        path: "scenarios/waivers.schema.json",
        print: khala_plan::waiver_schema,
        renew: "schema --waivers",
    },
    Printed {
        path: "scenarios/check.schema.json",
        print: khala_plan::check_schema,
        renew: "schema --check",
    },
    Printed {
        path: "reports/run.schema.json",
        print: khala_evidence::report::schema,
        renew: "schema --run",
    },
    Printed {
        path: "reports/stage.schema.json",
        print: khala_stage::report::schema,
        renew: "schema --stage",
    },
    Printed {
        path: "scenarios/REFERENCE.md",
        print: khala_plan::scenario_reference,
        renew: "schema --reference",
    },
    Printed {
        path: "harness/evidence/METRICS.md",
        print: khala_evidence::metrics_page::render,
        renew: "metrics",
    },
    Printed { path: "harness/CONFORM.md", print: conformance, renew: "conform --list" },
    Printed {
        path: "harness/WIRE.md",
        print: khala_selftest::wire_page,
        renew: "selftest --wire --list",
    },
];

/// Every case of `conform`.
fn conformance() -> String {
    // Of no pattern there is none that fits nothing.
    khala_conform::select::select(&[])
        .map(|cases| khala_conform::page::page(&cases))
        .unwrap_or_default()
}

pub fn check(repository: &Repository, found: &mut Found) {
    for page in PAGES {
        let name = Path::new(page.path).file_name();
        let is_schema = page.path.ends_with(".schema.json");
        let is_it = |path: &&std::path::PathBuf| {
            path.as_os_str() == page.path || (is_schema && path.file_name() == name)
        };
        for path in repository.files.iter().filter(is_it) {
            let (shown, text) = (path.display(), repository.text(path));
            let printed = (page.print)();
            let is_elsewhere = path.as_os_str() != page.path;
            if is_elsewhere && text.as_ref().is_ok_and(|text| is_of_others(text, &printed)) {
                continue;
            }
            found.generated += 1;
            match text {
                Ok(text) if text == printed => {}
                Ok(_) => found.problems.push(format!(
                    "{shown}: it is out of date: khala-harness {} > {shown}",
                    page.renew
                )),
                Err(why) => found.problems.push(format!("{shown}: {why}")),
            }
        }
    }
}

/// Whether a schema that is called like one of ours says by its title that it is another.
fn is_of_others(text: &str, printed: &str) -> bool {
    let title = |text: &str| {
        let schema: Value = serde_json::from_str(text).ok()?;
        schema.get("title").and_then(Value::as_str).map(str::to_owned)
    };
    title(text).is_some_and(|it| Some(it) != title(printed))
}
