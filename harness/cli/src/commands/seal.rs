//! `seal`: a signature, or a statement, for a bundle that is what its run wrote. `run` seals by this too.

use std::path::Path;

use khala_bundle::seal::{KeyError, Seal, SigningKey};
use khala_bundle::{Lock, summary};
use khala_engine::environment;
use khala_evidence::report::RunReport;

use super::stage;
use crate::args::SealWith;
use crate::exit::{Exit, Failure};
use crate::{args, output, scenario};

/// Where the password of the key is, unless a file is named.
const PASSWORD: &str = "KHALA_HARNESS_SIGN_PASSWORD";

/// Seals a bundle.
pub fn run(seal: &args::Seal) -> Result<Exit, Failure> {
    let with = With::of(&seal.with)?;
    if with.is_nothing() {
        let what = "nothing to do: --sign-key FILE signs the bundle, --statement tells it as in-toto's statement";
        return Err(Failure::new(Exit::Usage, what));
    }
    if stage::is_folder(&seal.dir) {
        return stage::seal_all(&seal.dir, &with);
    }
    // Whose signature lies there says nothing of what is to be signed now.
    let found = khala_bundle::verify(&seal.dir, None)?;
    if !found.problems.is_empty() {
        return Ok(refused(&found.problems, "its run"));
    }
    let _lock = Lock::take(&seal.dir)?;
    let report = summary(&seal.dir)?;
    with.seal(&seal.dir, &report)?;
    let of =
        format!("sealed: {}, run {}: {}\n", report.scenario.name, report.run_id, report.decision);
    output::verdict(of.as_bytes());
    Ok(Exit::Go)
}

/// Says why nothing was sealed.
pub fn refused(problems: &[String], who: &str) -> Exit {
    let lines: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let told = format!("{lines}nothing was sealed: it is not what {who} wrote\n");
    output::verdict(told.as_bytes());
    Exit::Hold
}

/// What a bundle, or the attempt of a stage, is sealed with, read before there is one.
pub struct With {
    key: Option<SigningKey>,
    statement: bool,
}

impl With {
    /// Reads the key.
    ///
    /// # Errors
    /// When it cannot be used: nothing was run then.
    pub fn of(with: &SealWith) -> Result<Self, Failure> {
        let key = with.sign_key.as_deref().map(|file| key(file, with)).transpose()?;
        Ok(Self { key, statement: with.statement })
    }

    /// Whether nothing is to be sealed.
    pub fn is_nothing(&self) -> bool {
        self.key.is_none() && !self.statement
    }

    /// The key that signs.
    pub fn key(&self) -> Option<&SigningKey> {
        self.key.as_ref()
    }

    /// Whether a statement is wanted.
    pub fn states(&self) -> bool {
        self.statement
    }

    /// Seals a bundle, if anything is to seal it.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn seal(&self, dir: &Path, report: &RunReport) -> Result<(), khala_bundle::Error> {
        if self.is_nothing() {
            return Ok(());
        }
        Seal { statement: self.statement, key: self.key.as_ref() }.write(dir, report)
    }
}

fn key(file: &Path, with: &SealWith) -> Result<SigningKey, Failure> {
    const KEY: &str = "--sign-key";
    let password = match &with.sign_password_file {
        Some(file) => {
            let help = "name the file whose first line is the password of the key";
            let text = scenario::text_of("--sign-password-file", file, help)?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => environment::variable(PASSWORD),
    };
    let help = "name a secret key in minisign's format, as `minisign -G` makes one";
    let text = scenario::text_of(KEY, file, help)?;
    SigningKey::parse(&text, password.as_deref()).map_err(|error| {
        let help = match error {
            KeyError::Locked => format!(": {PASSWORD} or --sign-password-file gives it"),
            _ => String::new(),
        };
        Failure::new(Exit::Setup, format!("{KEY} {}: {error}{help}", file.display()))
    })
}
