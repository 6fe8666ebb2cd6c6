//! What opens a target by URL, and where it is read from: the scenario's keys first, else environment
//! variables, under names that fit any target before those of a certain runtime.

use std::time::Duration;

use khala_plan::Plan;
use khala_plan::fault::Need;
use khala_plan::model::{Extra, ExtraValue, Mint, Secret, TargetKind};
use khala_wire::token::{DEFAULT_KID, Key};

use super::child::env;
use super::{Credentials, token_names};
use crate::command::{self, Place, Redactor, secrets};
use crate::environment;
use crate::error::SetupError;

/// Bearer of the operators' view: fan-out metrics, and what only operators may do.
const ADMIN_TOKEN: [&str; 2] = ["KHALA_TARGET_ADMIN_TOKEN", env::ADMIN_TOKEN];
/// Secret of the command path's signature.
const COMMAND_SECRET: [&str; 3] =
    ["KHALA_TARGET_COMMAND_SECRET", "RUNTIME_SIGNATURE_SECRET", env::SIGNATURE_SECRET];
/// Key that session access tokens are signed with.
const SESSION_KEY: [&str; 2] = ["KHALA_TARGET_SESSION_KEY", env::SESSION_KEY];

/// How messages call what a scenario's keys name.
const TOKEN_KEY: &str = "the token key (auth.secret)";
const TOKEN: &str = "the token (auth.token)";
const SESSION_TOKEN: &str = "the session access token (auth.session_token)";
const COMMAND_SECRET_CALLED: &str = "the command secret (target.command_secret)";
const ADMIN_TOKEN_CALLED: &str = "the admin token (target.admin_token)";

/// How long a command may take that tells a secret: a person may have to touch a key.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);

/// What opens the plan's target, which is one by URL.
///
/// # Errors
/// When a secret is not where the scenario says.
pub async fn credentials(plan: &Plan) -> Result<Credentials, SetupError> {
    let (issuer, audience) = token_names(plan);
    let mut credentials = Credentials {
        sync_key: None,
        issuer,
        audience,
        session_key: None,
        session_token: None,
        static_tokens: Vec::new(),
        signature_secret: None,
        admin_token: None,
    };
    match &plan.auth.mint {
        Mint::Hs256 { kid, secret, .. } => {
            let key = opened(TOKEN_KEY, secret).await?;
            credentials.sync_key = Some(Key::new(kid.clone(), key));
        }
        Mint::Static { token } => {
            let lines = opened(TOKEN, token).await?;
            let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
            credentials.static_tokens = lines.map(str::to_owned).collect();
            if credentials.static_tokens.is_empty() {
                return Err(missing_at(TOKEN, token, "no line of it has a token"));
            }
        }
        Mint::Control { session_token: Some(token) } => {
            credentials.session_token = Some(opened(SESSION_TOKEN, token).await?);
        }
        Mint::Control { session_token: None } => {
            credentials.session_key = session_key();
        }
    }
    let target = &plan.target;
    credentials.signature_secret = match &target.command_secret {
        Some(secret) => Some(opened(COMMAND_SECRET_CALLED, secret).await?),
        None => first_of(&COMMAND_SECRET).map(|(_, secret)| secret),
    }
    .map(String::into_bytes);
    credentials.admin_token = match &target.admin_token {
        Some(secret) => Some(opened(ADMIN_TOKEN_CALLED, secret).await?),
        None => first_of(&ADMIN_TOKEN).map(|(_, token)| token),
    };
    Ok(credentials)
}

/// The key of session access tokens that the environment has.
#[must_use]
pub fn session_key() -> Option<Key> {
    first_of(&SESSION_KEY).map(|(_, key)| Key::new(DEFAULT_KID, key))
}

fn first_of(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, environment::variable(name)?)))
}

/// What opens the target, wherever the scenario says that it is.
async fn opened(what: &str, secret: &Secret) -> Result<String, SetupError> {
    let Secret::Command(words) = secret else { return resolve(what, secret) };
    if let Some(kept) = secrets::take(words) {
        return Ok(kept);
    }
    let told = told(what, secret, words).await?;
    secrets::remember(&told);
    Ok(told)
}

/// What a command tells now.
async fn told(what: &str, secret: &Secret, words: &[String]) -> Result<String, SetupError> {
    let place = Place::here(COMMAND_WITHIN);
    let told = command::told(words, &place, &Redactor::of_environment([])).await;
    told.map_err(|why| missing_at(what, secret, &why))
}

/// Asks the commands that tell the plan's secrets, and keeps what they tell for [`credentials`]: before anything of the
/// plan is told or kept, for until then nobody knows what of it is a secret. Whether commands may be run is the caller's
/// to know.
///
/// # Errors
/// When one of them tells nothing.
pub async fn learn(plan: &Plan) -> Result<(), SetupError> {
    for (what, secret) in named(plan) {
        if let Secret::Command(words) = secret
            && !secrets::is_kept(words)
        {
            secrets::keep(words, told(what, secret, words).await?);
        }
    }
    Ok(())
}

/// What an environment variable or a file holds.
pub(super) fn resolve(what: &str, secret: &Secret) -> Result<String, SetupError> {
    let resolved = match secret {
        Secret::Env(name) => environment::read(name),
        Secret::File(path) => khala_plan::text(std::fs::File::open(path))
            .map_err(|error| error.to_string())
            .and_then(|text| match text.trim_end() {
                "" => Err("it is empty".to_owned()),
                secret => Ok(secret.to_owned()),
            }),
        Secret::Command(_) => Err("a command tells it to a run alone".to_owned()),
        Secret::Generated => {
            Err("a target by URL needs a secret of its own: { env = \"NAME\" } or \
                                  { file = \"…\" }"
                .to_owned())
        }
    };
    let resolved = resolved.map_err(|why| missing_at(what, secret, &why))?;
    secrets::meet(&resolved);
    Ok(resolved)
}

fn missing_at(what: &str, secret: &Secret, why: &str) -> SetupError {
    SetupError::Secret { what: what.to_owned(), from: place(secret), why: why.to_owned() }
}

/// Where the scenario says that a secret is.
pub(super) fn place(secret: &Secret) -> String {
    match secret {
        Secret::Env(name) => format!("environment variable {name}"),
        Secret::File(path) => format!("file {path}"),
        Secret::Command(words) => {
            format!("command {}", Redactor::of_environment([]).words(words))
        }
        Secret::Generated => "made for the run".to_owned(),
    }
}

/// The secrets of a target by URL that the scenario names, each as messages call it.
fn named(plan: &Plan) -> Vec<(&'static str, &Secret)> {
    let target = &plan.target;
    if matches!(target.kind, TargetKind::Reference { .. }) {
        return Vec::new();
    }
    let mint = match &plan.auth.mint {
        Mint::Hs256 { secret, .. } => Some((TOKEN_KEY, secret)),
        Mint::Static { token } => Some((TOKEN, token)),
        Mint::Control { session_token } => session_token.as_ref().map(|it| (SESSION_TOKEN, it)),
    };
    let command = target.command_secret.iter().map(|it| (COMMAND_SECRET_CALLED, it));
    let admin = target.admin_token.iter().map(|it| (ADMIN_TOKEN_CALLED, it));
    mint.into_iter().chain(command).chain(admin).collect()
}

/// The headers and parameters of a target, each with its kind and its key.
fn extras(plan: &Plan) -> impl Iterator<Item = (&'static str, &'static str, &Extra)> {
    let headers = plan.target.headers.iter().map(|it| ("header", "headers", it));
    headers.chain(plan.target.query.iter().map(|it| ("parameter", "query", it)))
}

/// The secrets that the plan names, as far as they are there and no command tells them; of a file of several, each.
#[must_use]
pub fn known(plan: &Plan) -> Vec<String> {
    let of_extras = extras(plan).filter_map(|(_, _, extra)| match &extra.value {
        ExtraValue::Secret(secret) => Some(secret),
        ExtraValue::Text(_) => None,
    });
    let all = named(plan).into_iter().map(|(_, secret)| secret).chain(of_extras);
    let there = all.filter_map(|secret| resolve("a secret", secret).ok());
    there
        .flat_map(|text| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

/// Secrets that the plan names and that are not where it says: all of them, so that nobody has to ask again
/// for each.
#[must_use]
pub fn missing(plan: &Plan) -> Vec<SetupError> {
    let of_extra = |(what, key, extra): (&str, &str, &Extra)| match &extra.value {
        ExtraValue::Secret(secret) => {
            resolve(&format!("the {what} {} (target.{key})", extra.name), secret).err()
        }
        ExtraValue::Text(_) => None,
    };
    let mut missing: Vec<_> = extras(plan).filter_map(of_extra).collect();
    missing.extend(named(plan).into_iter().filter_map(|(what, secret)| match secret {
        // Commands are run by the run alone; whether they can be is known before.
        Secret::Command(words) => {
            let why = Place::here(COMMAND_WITHIN).refuses(words)?;
            Some(missing_at(what, secret, &command::cannot_be_run(&why)))
        }
        secret => resolve(what, secret).err(),
    }));
    missing
}

/// What opens a target by URL and is given nowhere, with what would give it: a target may do without.
#[must_use]
pub fn not_given(plan: &Plan) -> Vec<String> {
    if matches!(plan.target.kind, TargetKind::Reference { .. }) {
        return Vec::new();
    }
    let mut faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    let commands = !plan.loads.is_empty() || faults.any(|it| it.kind.needs(Need::Revocation));
    let absent = |given: &Option<Secret>, names: &[&'static str]| {
        given.is_none() && first_of(names).is_none()
    };
    let mut told = Vec::new();
    if plan.auth.mint == (Mint::Control { session_token: None }) && absent(&None, &SESSION_KEY) {
        told.push(mend_token(plan));
    }
    if commands && absent(&plan.target.command_secret, &COMMAND_SECRET) {
        told.push(mend_command(plan));
    }
    if absent(&plan.target.admin_token, &ADMIN_TOKEN) {
        told.push(mend_admin(plan));
    }
    told
}

/// The variables of the environment that what opens a target by URL is read from, as far as they are set.
#[must_use]
pub fn variables(plan: &Plan) -> Vec<String> {
    if matches!(plan.target.kind, TargetKind::Reference { .. }) {
        return Vec::new();
    }
    let of_extras = extras(plan).filter_map(|(_, _, extra)| match &extra.value {
        ExtraValue::Secret(secret) => Some(secret),
        ExtraValue::Text(_) => None,
    });
    let all = named(plan).into_iter().map(|(_, secret)| secret).chain(of_extras);
    let by_scenario = all.filter_map(|secret| match secret {
        Secret::Env(name) => Some(name.clone()),
        Secret::File(_) | Secret::Command(_) | Secret::Generated => None,
    });
    let by_default = [&ADMIN_TOKEN[..], &COMMAND_SECRET, &SESSION_KEY];
    let by_default = by_default.into_iter().filter_map(|names| first_of(names));
    let by_default = by_default.map(|(name, _)| name.to_owned());
    let mut names: Vec<String> =
        by_scenario.filter(|name| environment::is_set(name)).chain(by_default).collect();
    names.sort();
    names.dedup();
    names
}

/// What to look at when the target lets nobody in.
#[must_use]
pub fn mend_token(plan: &Plan) -> String {
    match &plan.auth.mint {
        Mint::Hs256 { kid, secret, issuer, audience } => format!(
            "the harness signs with auth.secret ({}), auth.kid = \"{kid}\", auth.issuer = \"{issuer}\" and \
             auth.audience = \"{audience}\": all four must be the target's own",
            place(secret)
        ),
        Mint::Static { token } => {
            format!("auth.token ({}) must be one that the target takes", place(token))
        }
        Mint::Control { session_token: Some(token) } => {
            format!(
                "auth.session_token ({}) must be one that the control service takes",
                place(token)
            )
        }
        Mint::Control { session_token: None } => {
            let missing = "session access tokens are not signed";
            let key = Some("auth.session_token");
            let mend = mend("the key of session access tokens", missing, None, key, &SESSION_KEY);
            format!("{mend}; who has the key of sync tokens signs them with auth.mint = \"hs256\"")
        }
    }
}

/// What to look at when the target refuses a command.
#[must_use]
pub fn mend_command(plan: &Plan) -> String {
    let given = plan.target.command_secret.as_ref();
    let key = Some("target.command_secret");
    mend("the command secret", "commands are not signed", given, key, &COMMAND_SECRET)
}

/// What to look at when the target refuses operators.
#[must_use]
pub fn mend_admin(plan: &Plan) -> String {
    let given = plan.target.admin_token.as_ref();
    let key = Some("target.admin_token");
    mend("the admin token", "no admin token is given", given, key, &ADMIN_TOKEN)
}

/// `what` is not the target's, or is `missing`: what mends it.
fn mend(
    what: &str,
    missing: &str,
    given: Option<&Secret>,
    key: Option<&str>,
    names: &[&'static str],
) -> String {
    let from = match given {
        Some(secret) => Some(place(secret)),
        None => first_of(names).map(|(name, _)| format!("environment variable {name}")),
    };
    if let Some(from) = from {
        return format!("{what} ({from}) is not the target's");
    }
    let best = names.first().copied().unwrap_or_default();
    let key = key.map_or_else(String::new, |key| format!(", or {key} (--set {key}.env=NAME)"));
    format!("{missing}: set environment variable {best}{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSET: [&str; 2] = ["KHALA_HARNESS_TEST_UNSET", "KHALA_HARNESS_TEST_UNSET_TOO"];

    #[test]
    fn what_is_missing_is_told_with_what_mends_it_and_what_is_wrong_with_where_it_stands() {
        let told = |given: Option<&Secret>, names: &[&'static str]| {
            mend(
                "the admin token",
                "no admin token is given",
                given,
                Some("target.admin_token"),
                names,
            )
        };
        assert_eq!(
            told(None, &UNSET),
            "no admin token is given: set environment variable KHALA_HARNESS_TEST_UNSET, or \
             target.admin_token (--set target.admin_token.env=NAME)"
        );
        let file = Secret::File("admin".to_owned());
        assert_eq!(told(Some(&file), &UNSET), "the admin token (file admin) is not the target's");
        // One that every test has.
        let path = "the admin token (environment variable PATH) is not the target's";
        assert_eq!(told(None, &["KHALA_HARNESS_TEST_UNSET", "PATH"]), path);
    }
}
