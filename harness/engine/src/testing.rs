//! What the engine's unit tests share: plans from text, and a target that answers nothing.

use std::net::TcpListener;
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
