//! What is sealed with what.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// What seals a bundle.
#[derive(Debug, ClapArgs)]
pub struct SealWith {
    /// Sign the bundle with this secret key, in minisign's format, as `minisign -G` makes one:
    /// manifest.json.minisig.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_SIGN_KEY")]
    pub sign_key: Option<PathBuf>,
    /// File whose first line is the password of that key; left out, KHALA_HARNESS_SIGN_PASSWORD holds it.
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_password_file: Option<PathBuf>,
    /// Tell the run as an in-toto statement too: statement.json, PASSED for GO and FAILED for NO-GO and HOLD.
    #[arg(long)]
    pub statement: bool,
}

/// `seal`
#[derive(Debug, ClapArgs)]
pub struct Seal {
    /// Folder of the run (its bundle); it must verify.
    pub dir: PathBuf,
    /// What seals it.
    #[command(flatten)]
    pub with: SealWith,
}
