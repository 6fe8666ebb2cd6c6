//! What the engine's unit tests share: plans from text, a target that answers nothing, and what the code mentions.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use khala_plan::{Options, Plan, Sources};
use khala_wire::token::{DEFAULT_KID, Key};

use crate::reach::Reach;
use crate::target::extras::Extras;
use crate::target::{Credentials, Target};

/// The plan of a scenario's text.
pub fn plan(text: &str) -> Plan {
    let loader = |path: &str| Err(format!("{path} is not there"));
    let sources = Sources { path: "test.toml", text, loader: &loader };
    let options = Options {
        profile: None,
        set: vec![],
        defects: vec![],
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    khala_plan::load(&sources, &options).unwrap_or_else(|e| panic!("{}", e.render(false))).plan
}

/// A target that takes connections into its backlog and never looks at them. It is frozen for as long as
/// the listener lives.
pub fn frozen() -> (TcpListener, Arc<Target>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let credentials = Credentials {
        sync_key: Some(Key::new(DEFAULT_KID, "0123456789abcdef0123456789abcdef".to_owned())),
        issuer: String::new(),
        audience: String::new(),
        session_key: None,
        session_token: None,
        static_tokens: Vec::new(),
        signature_secret: None,
        admin_token: None,
    };
    let (base_url, socket_path) = (format!("http://{address}"), "/".to_owned());
    let (reach, extras) = (Reach::here(&base_url).expect("on this machine"), Extras::default());
    let control = reach.clone();
    (listener, Arc::new(Target { base_url, reach, control, socket_path, credentials, extras }))
}

/// Where the code under `folder`, that of tests apart, has one of these words: the file and the word.
pub fn mentions(folder: &Path, words: &[&str], but: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("can be listed").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if but.contains(&name.as_str()) || name.contains("tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(mentions(&path, words, but));
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("can be read");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let has = words.iter().filter(|word| code.contains(**word));
            found.extend(has.map(|word| format!("{name}: {word}")));
        }
    }
    found
}
