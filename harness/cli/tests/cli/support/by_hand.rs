//! The reference runtime or the null server, started by hand: a target by URL.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// The key that tokens are signed with.
pub const KEY: &str = "a-key-that-must-be-shown-nowhere-0123456789";
/// The bearer of the operators' view.
pub const ADMIN: &str = "an-admin-token";

/// A server of the binary, started by hand; killed when dropped.
pub struct ByHand {
    child: Child,
    pub url: String,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn reference_by_hand() -> ByHand {
    reference_with(&[])
}

/// The same with more arguments.
pub fn reference_with(arguments: &[&OsStr]) -> ByHand {
    started("reference", arguments, KEY, ADMIN)
}

/// The reference runtime that these secrets open.
pub fn reference_opened_by(key: &str, admin: &str) -> ByHand {
    started("reference", &[], key, admin)
}

/// A command of the harness that listens, with more arguments, opened by these secrets.
pub fn started(subcommand: &str, arguments: &[&OsStr], key: &str, admin: &str) -> ByHand {
    let mut child = Command::new(env!("CARGO_BIN_EXE_khala-harness"))
        .args([subcommand, "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", key)
        .env("RUNTIME_ADMIN_TOKEN", admin)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("has one");
    let mut by_hand = ByHand { child, url: String::new() };
    BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
    let listening: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    by_hand.url = format!("http://{}", listening["listening"].as_str().expect("an address"));
    by_hand
}
