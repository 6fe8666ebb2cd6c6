//! The command line of a run, as its evidence tells it: how to do the same again, and no secret.
//!
//! A sound scenario has none in clear: where one belongs it takes `{ env = "NAME" }` or `{ file = "PATH" }`.
//! What looks like one all the same is left out.

use khala_engine::command::Redactor;

/// What stands for what is left out.
const LEFT_OUT: &str = "…";
/// Names of keys and flags whose value is a secret, or may be.
const SECRETS: [&str; 5] = ["secret", "token", "password", "credential", "bearer"];
/// The longest argument that is told whole, in characters.
const LENGTH_MAX: usize = 500;

/// The command line of this process, without the secrets that somebody knows.
pub fn this(redactor: &Redactor) -> Vec<String> {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("khala-harness".to_owned()).chain(without(redactor, arguments)).collect()
}

/// Arguments as they may be told: without secrets, cut, on one line.
pub fn told(arguments: impl Iterator<Item = String>) -> Vec<String> {
    without(&Redactor::of_environment([]), arguments)
}

/// The same. A shell may have put the value of a variable, or a file's, where the name tells nothing of it.
fn without(redactor: &Redactor, arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut of_webhook = false;
    let one = |argument: String| {
        let (flag, value) = match argument.split_once('=') {
            Some((WEBHOOK, url)) => ("--webhook=", url),
            _ if of_webhook => ("", argument.as_str()),
            _ => {
                of_webhook = argument == WEBHOOK;
                return short(&redactor.word(&without_login(&without_value(&argument))));
            }
        };
        of_webhook = false;
        short(&format!("{flag}{}", without_path(value)))
    };
    arguments.map(one).collect()
}

/// The flag whose URL's path is a secret, for it opens what it names.
const WEBHOOK: &str = "--webhook";

/// Scheme, host and port of a URL; nothing of what is none.
fn without_path(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return LEFT_OUT.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{LEFT_OUT}")
}

/// `key=value` without the value, if the key's name says that it is a secret and the value does not only
/// say where it is.
fn without_value(argument: &str) -> String {
    let set = argument.strip_prefix("--set=").unwrap_or(argument);
    let Some((key, value)) = set.split_once('=') else { return argument.to_owned() };
    let name = key.rsplit('.').next().unwrap_or(key).to_lowercase();
    let table = value.trim().strip_prefix('{').map(|table| table.trim_start());
    let elsewhere = table.is_some_and(|table| {
        let word = table.split(|c: char| !c.is_ascii_alphanumeric()).next();
        matches!(word, Some("env" | "file")) && table.matches('=').count() == 1
    });
    if elsewhere || !SECRETS.iter().any(|secret| name.contains(secret)) {
        return argument.to_owned();
    }
    format!("{}{LEFT_OUT}", argument.strip_suffix(value).unwrap_or(key))
}

/// A URL without name and password.
fn without_login(argument: &str) -> String {
    let Some((scheme, rest)) = argument.split_once("://") else { return argument.to_owned() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match host.rfind('@') {
        Some(at) => format!("{scheme}://{LEFT_OUT}{}", &rest[at..]),
        None => argument.to_owned(),
    }
}

/// Without what would move a terminal's cursor, and cut.
fn short(argument: &str) -> String {
    let plain = argument.chars().flat_map(|c| {
        let escaped = c.is_control().then(|| c.escape_default());
        let whole = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(whole)
    });
    let mut text: String = plain.clone().take(LENGTH_MAX).collect();
    if plain.count() > LENGTH_MAX {
        text += LEFT_OUT;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(argument: &str) -> String {
        told(std::iter::once(argument.to_owned())).remove(0)
    }

    #[test]
    fn what_is_no_secret_is_told_as_it_was_typed() {
        for plain in [
            "run",
            "scenarios/smoke.toml",
            "fleet.clients=60",
            "--set=fleet.clients=60",
            "auth.secret={ env = \"KEY\" }",
            "--set=auth.secret={file=\"/run/key\"}",
            "target.url=http://127.0.0.1:4000/a@b",
            "--token-like",
        ] {
            assert_eq!(one(plain), plain);
        }
    }

    #[test]
    fn no_secret_is_told() {
        for (typed, told) in [
            ("auth.secret=hunter2", "auth.secret=…"),
            ("--set=target.admin_token= hunter2 ", "--set=target.admin_token=…"),
            ("auth.secret={ value = \"hunter2\" }", "auth.secret=…"),
            ("auth.secret={ env = \"A\", value = \"hunter2\" }", "auth.secret=…"),
            ("auth.secret={ environment = \"hunter2\" }", "auth.secret=…"),
            ("target.Command_Secret=\"hunter2\"", "target.Command_Secret=…"),
            (
                "target.url=http://me:hunter2@127.0.0.1:4000/x",
                "target.url=http://…@127.0.0.1:4000/x",
            ),
        ] {
            assert_eq!(one(typed), told);
        }
    }

    #[test]
    fn of_a_webhook_no_path_is_told() {
        let typed = ["--webhook", "https://me:x@hooks.example.com/T0/hunter2?a=b", "--json", "a/b"];
        let shown = told(typed.into_iter().map(str::to_owned));
        assert_eq!(shown, ["--webhook", "https://hooks.example.com/…", "--json", "a/b"]);
        assert_eq!(one("--webhook=http://127.0.0.1:9/hunter2"), "--webhook=http://127.0.0.1:9/…");
        assert_eq!(one("--webhook=hunter2"), "--webhook=…");
    }

    #[test]
    fn no_argument_moves_the_cursor_or_is_endless() {
        assert_eq!(one("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(one(&"x".repeat(501)).chars().count(), LENGTH_MAX + 1);
    }
}
