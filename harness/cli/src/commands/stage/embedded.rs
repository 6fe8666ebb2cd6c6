//! The embedded runtime, for what asks a runtime by its URL: one of this program, with secrets of its own, for as
//! long as this is held.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use khala_engine::target::child::env;
use serde_json::Value;
use tempfile::TempDir;

/// For how long its first line is waited for, and how long that may be, in bytes.
const START_MAX: Duration = Duration::from_secs(30);
const LINE_MAX: u64 = 64 << 10;

/// It, running.
pub struct Embedded {
    child: Child,
    /// The key of session access tokens.
    pub session_key: String,
    /// A target profile of it.
    pub profile: String,
    _keys: TempDir,
}

impl Embedded {
    /// Starts it with these defects.
    ///
    /// # Errors
    /// When it does not begin to listen.
    pub fn start(defects: &[String]) -> anyhow::Result<Self> {
        let keys = TempDir::new().context("cannot make a folder for keys")?;
        let secret = || format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let me = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(me);
        command.args(["reference", "--listen", "127.0.0.1:0", "--with-parent"]);
        for defect in defects {
            command.args(["--defect", defect]);
        }
        let mut session_key = String::new();
        let mut files = Vec::new();
        for name in [env::SYNC_KEY, env::SIGNATURE_SECRET, env::ADMIN_TOKEN, env::SESSION_KEY] {
            let secret = secret();
            let path = keys.path().join(name);
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(secret.as_bytes()))
                .context("cannot write a key")?;
            command.env(name, &secret);
            files.push(format!("{{ file = {:?} }}", path.display().to_string()));
            if name == env::SESSION_KEY {
                session_key = secret;
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the embedded runtime")?;
        let url = listening(&mut child).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let [sync, signature, admin, _] = &files[..] else { return Err(anyhow!("four keys")) };
        let profile = format!(
            "[target]\nkind = \"url\"\nurl = \"{url}\"\nexclusive = true\nsnapshot = \"http\"\ncommand_secret = \
             {signature}\nadmin_token = {admin}\n\n[auth]\nmint = \"hs256\"\nsecret = {sync}\n"
        );
        Ok(Self { child, session_key, profile, _keys: keys })
    }
}

/// Where it listens: the first line that it prints.
fn listening(child: &mut Child) -> anyhow::Result<String> {
    let stdout = child.stdout.take().context("it has no standard output")?;
    // The thread ends with the child, which whoever started it kills when nothing came.
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("khala-embedded".to_owned())
        .spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout.take(LINE_MAX)).read_line(&mut line);
            let _ = tell.send(read.map(|_| line));
        })
        .context("cannot start a thread")?;
    let line = told
        .recv_timeout(START_MAX)
        .map_err(|_| {
            anyhow!("the embedded runtime did not say within {START_MAX:?} where it listens")
        })?
        .context("the embedded runtime did not start")?;
    let said: Value = serde_json::from_str(&line)
        .map_err(|_| anyhow!("the embedded runtime did not say where it listens"))?;
    let address = said["listening"].as_str().context("it did not say where it listens")?;
    Ok(format!("http://{}", address.trim_start_matches("http://")))
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
