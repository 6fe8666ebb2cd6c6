//! A plan as a scenario again: `scenario.resolved.toml`, with every default and override written
//! out.
//!
//! Reading it gives the same plan (under the profile of the same name, which then only says what is
//! judged). Secrets appear as the places they are read from, never as themselves. Each table is
//! written where it is read.

use crate::model::Plan;
use crate::read::scenario;

/// The plan as TOML.
#[must_use]
pub fn to_toml(plan: &Plan) -> String {
    scenario::write(plan)
}

/// A resolved scenario with the gates of a file in place of its own: what `score` judges again.
///
/// # Errors
/// When the text is no TOML.
pub fn with_gates(text: &str, gates: &str) -> Result<String, toml::de::Error> {
    let mut table: toml::Table = text.parse()?;
    // What must apply is said of the gates that are gone.
    table.remove("gate");
    table.remove("must_apply");
    if let Some(toml::Value::Table(profiles)) = table.get_mut("profile") {
        // What a profile judges are the gates that are gone.
        let each = profiles.iter_mut().filter_map(|(_, profile)| profile.as_table_mut());
        each.for_each(|profile| drop(profile.remove("judge")));
    }
    let gates = toml::Value::Array(vec![toml::Value::String(gates.replace("${", "$${"))]);
    table.insert("gates".to_owned(), gates);
    Ok(table.to_string())
}

/// What a plan says of its target, as a target profile.
///
/// # Errors
/// When the resolved scenario is no TOML, which would be a mistake of this crate's.
pub fn target_profile(plan: &Plan) -> Result<String, toml::de::Error> {
    let mut table: toml::Table = to_toml(plan).parse()?;
    let of_target = ["user_ids", "first_user_id", "first_subscribe"];
    if let Some(toml::Value::Table(fleet)) = table.get_mut("fleet") {
        fleet.retain(|key, _| of_target.contains(&key));
    }
    table.retain(|key, value| match key {
        "target" | "auth" => true,
        "fleet" => value.as_table().is_some_and(|fleet| !fleet.is_empty()),
        _ => false,
    });
    Ok(table.to_string())
}

#[cfg(test)]
mod tests;
