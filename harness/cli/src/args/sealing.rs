//! What is sealed with what, and the docs' gate.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// What seals a bundle, or the attempt of a stage.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct SealWith {
    /// Sign the manifest of the run's bundle, or of the stage's attempt and the bundles of its runs, with this secret
    /// key, in minisign's format, as `minisign -G` makes one: beside it, with .minisig.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_SIGN_KEY")]
    pub sign_key: Option<PathBuf>,
    /// File whose first line is the password of that key; left out, KHALA_HARNESS_SIGN_PASSWORD holds it.
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_password_file: Option<PathBuf>,
    /// Tell the decision as an in-toto statement too: statement.json, PASSED for GO and FAILED for NO-GO and HOLD.
    #[arg(long)]
    pub statement: bool,
}

/// `seal`
#[derive(Debug, ClapArgs)]
pub struct Seal {
    /// Folder of the run (its bundle), or of the stages; it must verify.
    pub dir: PathBuf,
    /// What seals it.
    #[command(flatten)]
    pub with: SealWith,
}

/// `docs-gate`
#[derive(Debug, ClapArgs)]
pub struct DocsGate {
    /// Folder of the repository.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Markdown file with the matrix of surfaces and their topics; left out, docs/sync/SURFACES.md or
    /// harness/CONTRACT.md, where one of them is there.
    #[arg(long, value_name = "FILE")]
    pub surfaces: Option<PathBuf>,
    /// Leave out what lies in folders of this name; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub skip: Vec<String>,
    /// Print what was found as JSON.
    #[arg(long)]
    pub json: bool,
}
