//! `run.json` of a bundle: read as it was written, and held against what the sources give.

use std::fs;
use std::path::Path;

use khala_evidence::report::RunReport;
use serde_json::Value;

use crate::Error;
use crate::names::RUN_JSON;

/// The summary that the bundle `dir` has of its run, without a look at its sources: quickly read, and only as
/// true as the file. Of version 1 it holds samples, seconds and stories as well.
///
/// # Errors
/// [`Error::File`] when there is none, [`Error::Version`] when it is of a later version of the format, and
/// [`Error::Incomplete`] when it is no report.
pub fn summary(dir: &Path) -> Result<RunReport, Error> {
    let report = serde_json::from_value(written(dir)?);
    report.map_err(|error| Error::incomplete(dir, format!("{RUN_JSON}: {error}")))
}

fn written(dir: &Path) -> Result<Value, Error> {
    let path = dir.join(RUN_JSON);
    let text = fs::read(&path).map_err(Error::read(&path))?;
    let written: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::incomplete(dir, format!("{RUN_JSON}: {error}")))?;
    let (found, known) = (version(&written), u64::from(RunReport::FORMAT_VERSION));
    if found > known {
        return Err(Error::Version { dir: dir.to_owned(), file: RUN_JSON, found, known });
    }
    Ok(written)
}

fn version(written: &Value) -> u64 {
    written["format_version"].as_u64().unwrap_or(0)
}

/// What the `run.json` of the bundle `dir` says that the sources do not, in a sentence. What an earlier build
/// did not say yet is no difference.
pub(crate) fn otherwise(dir: &Path, report: &RunReport) -> Option<String> {
    let mut written = match written(dir) {
        Ok(written) => written,
        Err(error @ Error::Version { .. }) => return Some(error.to_string()),
        Err(Error::File { source, .. }) => {
            return Some(format!("{RUN_JSON} cannot be read: {source}"));
        }
        Err(Error::Incomplete { why, .. }) => return Some(format!("{why}: it cannot be read")),
        Err(error) => return Some(error.to_string()),
    };
    let given = match as_of(version(&written), report) {
        Ok(given) => given,
        Err(error) => return Some(format!("{RUN_JSON} cannot be compared: {error}")),
    };
    // Builds of that version put all that one breach stands for into the second of the earliest.
    if version(&written) == 1
        && let Some(Value::Array(seconds)) = written.get_mut("series")
    {
        seconds.iter_mut().filter_map(Value::as_object_mut).for_each(|it| {
            it.remove("violations");
        });
    }
    match (&written["decision"], &given["decision"]) {
        (Value::String(said), Value::String(is)) if said != is => {
            Some(format!("{RUN_JSON} says {said}, the sources say {is}"))
        }
        _ if is_within(&written, &given) => None,
        _ => Some(format!("{RUN_JSON} is not what the sources give")),
    }
}

/// A report as `run.json` of some version of the format has it.
fn as_of(version: u64, report: &RunReport) -> serde_json::Result<Value> {
    let mut given = serde_json::to_value(report)?;
    if version == 1 {
        given["format_version"] = version.into();
        given["series"] = serde_json::to_value(&report.series)?;
        given["stories"] = serde_json::to_value(&report.stories)?;
        for (number, line) in report.metrics.iter().enumerate() {
            given["metrics"][number]["samples"] = serde_json::to_value(&line.samples)?;
        }
    }
    Ok(given)
}

/// Whether all that one says the other says as well: fields may be added, and nothing else.
fn is_within(written: &Value, given: &Value) -> bool {
    match (written, given) {
        (Value::Object(written), Value::Object(given)) => written
            .iter()
            .all(|(key, value)| given.get(key).is_some_and(|given| is_within(value, given))),
        (Value::Array(written), Value::Array(given)) => {
            written.len() == given.len()
                && written.iter().zip(given).all(|(written, given)| is_within(written, given))
        }
        _ => written == given,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_added_is_no_difference_and_all_else_is() {
        let given = json!({ "a": [{ "b": 1, "new": 2 }, 0.5], "c": null, "new": {} });
        let within = |written: Value| is_within(&written, &given);
        assert!(within(json!({ "a": [{ "b": 1 }, 0.5], "c": null })));
        assert!(!within(json!({ "a": [{ "b": 2 }, 0.5] })), "another value");
        assert!(!within(json!({ "a": [{ "b": 1 }] })), "one less");
        assert!(!within(json!({ "a": [{ "b": 1 }, 0.5], "gone": null })), "nobody says it now");
    }
}
