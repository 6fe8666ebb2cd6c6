//! What the unit tests share: plans, read from scenario texts as users write them.

use khala_plan::{Options, Plan, Sources};

/// The plan of a scenario's text; panics with what is wrong with it.
pub(crate) fn plan(text: &str) -> Plan {
    let loader = |path: &str| Err(format!("{path} is not there"));
    let sources = Sources { path: "test.toml", text, loader: &loader };
    let options = Options {
        profile: None,
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        env: &|_| None,
    };
    match khala_plan::load(&sources, &options) {
        Ok(loaded) => loaded.plan,
        Err(wrong) => panic!("{}", wrong.render(false)),
    }
}
