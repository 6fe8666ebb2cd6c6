//! Keys to sign with.

use std::path::PathBuf;

use tempfile::TempDir;

/// A key pair without a password, as the stock tool makes one.
pub const KEYS: &str = include_str!("../../../../bundle/src/seal/stock.txt");

/// The two files of it.
pub struct Keys {
    dir: TempDir,
}

impl Keys {
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        for (name, part) in ["key", "pub"].iter().zip(KEYS.split("--\n")) {
            std::fs::write(dir.path().join(name), part).expect("is written");
        }
        Self { dir }
    }

    pub fn secret(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    pub fn public(&self) -> PathBuf {
        self.dir.path().join("pub")
    }

    /// A file that is not there.
    pub fn none(&self) -> PathBuf {
        self.dir.path().join("none")
    }
}
