//! Which build of the target a run is about, as the target or its operators say it.
//!
//! Nothing depends on it but the reader's trust: that it cannot be learnt is a finding, and no more.

use khala_plan::Plan;
use khala_plan::model::{BuildSource, TargetKind};

use crate::command::{self, Place, Redactor};
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
            Some(BuildSource::Command(command)) => {
                let command = Redactor::of_plan(plan).word(&command.join(" "));
                format!("`{command}` wrote nothing")
            }
            _ => "the header of the answer to GET /healthz that is to say the build is empty"
                .to_owned(),
        }),
        build => Ok(Some(build.into())),
    }
}

async fn ask(plan: &Plan, words: &[String]) -> Result<String, String> {
    let redactor = Redactor::of_plan(plan);
    let told = command::told(words, &Place::here(plan.target.request_timeout), &redactor).await;
    told.map_err(|why| format!("`{}`: {why}", redactor.word(&words.join(" "))))
}
