//! Which build of the target a run is about, as the target or its operators say it.
//!
//! Nothing depends on it but the reader's trust: that it cannot be learnt is a finding, and no more.

use std::process::Stdio;

use khala_plan::Plan;
use khala_plan::model::{BuildSource, TargetKind};
use tokio::process::Command;

use crate::http::Http;
use crate::said;

/// The target's build.
///
/// # Errors
/// Why it cannot be learnt, in a sentence.
pub async fn learn(plan: &Plan, http: &Http, version: &str) -> Result<Option<String>, String> {
    let said = match &plan.target.build {
        None => match plan.target.kind {
            TargetKind::Reference { .. } => format!("khala-harness reference {version}"),
            TargetKind::Url { .. } => return Ok(None),
        },
        Some(BuildSource::Header(name)) => http
            .header("/healthz", name)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("the answer to GET /healthz has no header `{name}`"))?,
        Some(BuildSource::Command(command)) => ask(plan, command).await?,
    };
    match said::build(&said) {
        build if build.is_empty() => Err(match &plan.target.build {
            Some(BuildSource::Command(command)) => format!("`{}` wrote nothing", command.join(" ")),
            _ => "the header of the answer to GET /healthz that is to say the build is empty"
                .to_owned(),
        }),
        build => Ok(Some(build.into())),
    }
}

async fn ask(plan: &Plan, command: &[String]) -> Result<String, String> {
    let shown = command.join(" ");
    let (program, arguments) = command.split_first().ok_or("the command is empty")?;
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(plan.target.request_timeout, output)
        .await
        .map_err(|_| format!("`{shown}` did not end within {:?}", plan.target.request_timeout))?
        .map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
