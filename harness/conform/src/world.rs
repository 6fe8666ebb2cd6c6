//! The target, and what opens it: read from the same keys and variables as a scenario by URL.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use khala_engine::command;
use khala_engine::environment;
use khala_engine::http::Http;
use khala_engine::mint::Minter;
use khala_engine::preflight::heads::{self, Learnt};
use khala_engine::reach::guard::Guard;
use khala_engine::target::extras::Extras;
use khala_engine::target::lock::{self, Lock};
use khala_engine::target::{Target, keys};
use khala_engine::{SetupError, preflight};
use khala_plan::model::SnapshotPath;
use khala_plan::{Plan, Schedule, Sources};
use khala_wire::token::{DEFAULT_KID, Key};
use khala_wire::topic::KNOWN;

use crate::case::{Does, Need, Times};

/// How long the name of a target may take to be looked up.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Most sockets that cases have open at once: 35 were counted, and how cases meet is no two times the same.
pub const SOCKETS_MAX: u32 = 64;

/// Waits in vain after which nobody waits any more, as long as not one has ended well.
const IN_VAIN: u32 = 3;
/// The same where some have: what is wrong is then with many.
const IN_VAIN_OF_MANY: u32 = 12;

/// Ends the target, gracefully.
pub type Stopper = Box<dyn Fn() -> Result<(), String>>;

/// How a target is named.
pub enum Named {
    /// By its base URL.
    Url(String),
    /// By a target profile: its path, for messages, and its text.
    Profile(String, String),
}

/// What is asked of whom.
pub struct Options {
    /// What is asked.
    pub named: Named,
    /// Keys of a scenario, as `run --set` takes them.
    pub set: Vec<String>,
    /// What may be spoken to.
    pub guard: Guard,
    /// What may be done to the target; `None` leaves it to the target's profile, else it is read and written.
    pub allow: Option<Vec<Does>>,
    /// Its times.
    pub times: Times,
    /// Cases that wait longer than this for a time-out of the target's are left out.
    pub wait_max: Duration,
    /// Ends the target.
    pub stop: Option<Stopper>,
    /// A short id that no other run has.
    pub run_id: String,
    /// The tool's version.
    pub version: String,
    /// Whether commands may tell the secrets of which the profile says so.
    pub commands: bool,
    /// The key of session access tokens, in place of the environment's.
    pub session_key: Option<String>,
}

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key or its value means nothing: as a scenario's mistakes are told.
    #[error("{0}")]
    Settings(String),
    /// What the command line asks for does not go with the target's profile, or needs a word more.
    #[error("{0}")]
    Usage(String),
    /// The target is not there, is not Khala's, or lets nobody in.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Somebody wanted the end before the target had answered.
    #[error("interrupted before any case was asked")]
    Interrupted,
}

/// The target and all that cases share.
pub struct World {
    /// Of which only the target's and the tokens' keys matter.
    pub plan: Plan,
    /// Where it is, and what opens it.
    pub target: Target,
    /// Its commands.
    pub http: Http,
    /// Its control service.
    pub control: Http,
    /// Its tokens.
    pub minter: Minter,
    /// The key of session access tokens, whoever mints.
    pub session_key: Option<Key>,
    /// What may be done.
    pub allow: Vec<Does>,
    /// Its times.
    pub times: Times,
    /// See [`Options`].
    pub wait_max: Duration,
    /// See [`Options`].
    pub stop: Option<Stopper>,
    /// A short id that no other run has.
    pub run_id: String,
    /// `User-Agent`
    pub user_agent: String,
    /// Where topics stood when they were heard of last: what is subscribed from there has little to replay.
    pub heads: RefCell<BTreeMap<String, u64>>,
    /// Workers that were created, with who did: they are stopped at the end.
    pub workers: RefCell<Vec<(String, String)>>,
    /// Events that were published.
    pub published: Cell<u64>,
    /// Whether any of them came live to who waited for it.
    pub came_back: Cell<bool>,
    /// Waits for some of them in which none came.
    pub in_vain: Cell<u32>,
    _lock: Option<Lock>,
}

impl World {
    /// Finds the target, and asks whether it speaks Khala.
    ///
    /// # Errors
    /// As [`OpenError`] says; nothing was asked then but what the message names.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let plan = plan(&options.named, &options.set)?;
        let allow = allowed(&plan, options.allow)?;
        if plan.is_passive() && allow.iter().any(|does| *does != Does::Reads) {
            let why = "the target profile says `commands = \"none\"`: nothing may be written to it, so ask it with \
                       `--allow reads` alone";
            return Err(OpenError::Usage(why.to_owned()));
        }
        let ways = preflight::reached(&plan, &Schedule::of(&plan), &options.guard)?;
        let Some((reach, control)) = ways else {
            let why =
                "the target profile names no URL: conform asks a runtime that is there already";
            return Err(OpenError::Settings(format!("error: {why}")));
        };
        let writes = u32::from(allow.iter().any(|does| *does != Does::Reads));
        reach.permit().covers(SOCKETS_MAX, writes).map_err(SetupError::from)?;
        let told = command::told_plan(&plan);
        let told_by_command = told.secret_told_by_command("--allow-hooks lets it run");
        if let Some(why) = told_by_command.filter(|_| !options.commands) {
            return Err(OpenError::Usage(why));
        }
        let credentials = keys::credentials(&plan).await?;
        let extras = Extras::of(&plan)?;
        let lock = match preflight::address(&reach, ADDRESS_TIMEOUT).await? {
            Some(address) => Some(lock::take(address)?),
            None => None,
        };
        let (base_url, socket_path) = (reach.place().origin(), plan.target.socket_path.clone());
        let target = Target { base_url, reach, control, socket_path, credentials, extras };
        let user_agent = format!("khala-harness/{} (conform {})", options.version, options.run_id);
        preflight::speaks_khala(&plan, &target, &user_agent).await?;
        // A command is a step on the way: one that is slow is no case's matter.
        let http = Http::new(&target.reach, &user_agent, 3 * options.times.patience)
            .carrying(target.extras.clone());
        let control = Http::new(&target.control, &user_agent, 3 * options.times.patience)
            .carrying(target.extras_of_control());
        let given = options.session_key.as_deref().map(|key| Key::new(DEFAULT_KID, key));
        let session_key =
            given.or_else(|| target.credentials.session_key.clone()).or_else(keys::session_key);
        let world = Self {
            minter: Minter::new(control.clone()),
            control,
            http,
            session_key,
            allow,
            times: options.times,
            wait_max: options.wait_max,
            stop: options.stop,
            run_id: options.run_id,
            user_agent,
            heads: RefCell::default(),
            workers: RefCell::default(),
            published: Cell::new(0),
            came_back: Cell::new(false),
            in_vain: Cell::new(0),
            plan,
            target,
            _lock: lock,
        };
        world.learn_heads().await;
        Ok(world)
    }

    /// Where topics stand, so that no case has to replay a long past. A target that does not say it is
    /// asked from the start, each time.
    async fn learn_heads(&self) {
        let asked = heads::learn(&self.plan, &self.target, &self.user_agent);
        let asked = tokio::time::timeout(6 * self.times.patience, asked).await;
        if let Ok(Ok(Learnt::Heads(heads))) = asked {
            for (topic, head) in heads {
                self.heard(topic.name(), head);
            }
        }
    }

    /// A topic has come so far.
    pub fn heard(&self, topic: &str, seq: u64) {
        let mut heads = self.heads.borrow_mut();
        let head = heads.entry(topic.to_owned()).or_default();
        *head = seq.max(*head);
    }

    /// Whether it is in vain to wait for what is published: several have waited, and it came to none of them, or to some
    /// and not to many others.
    #[must_use]
    pub fn waits_in_vain(&self) -> bool {
        let most = if self.came_back.get() { IN_VAIN_OF_MANY } else { IN_VAIN };
        self.in_vain.get() >= most
    }

    /// What is missing of a need, and what would mend it.
    #[must_use]
    pub fn lacks(&self, need: Need) -> Option<(String, String)> {
        let credentials = &self.target.credentials;
        let lack = |why: &str, mend: &str| Some((why.to_owned(), mend.to_owned()));
        match need {
            Need::Minting if !self.plan.auth.mint.is_of_planned_identities() => lack(
                "tokens are of users and sessions that others made up",
                "auth.mint = \"hs256\" with auth.secret, or auth.mint = \"control\"",
            ),
            Need::SigningKey if credentials.sync_key.is_none() => lack(
                "the case makes bad tokens itself, and has no key",
                "auth.mint = \"hs256\" with auth.secret",
            ),
            Need::SessionKey if self.session_key.is_none() => lack(
                "no key of session access tokens is given, so that the control service cannot be asked",
                "environment variable KHALA_TARGET_SESSION_KEY",
            ),
            Need::AdminToken if credentials.admin_token.is_none() => lack(
                "no token of operators is given",
                "environment variable KHALA_TARGET_ADMIN_TOKEN, or target.admin_token",
            ),
            Need::CommandSecret if !self.plan.target.command.is_empty() => lack(
                "a program carries commands out, and signs them if anybody does",
                "target.commands = \"codex-workers\"",
            ),
            Need::CommandSecret if credentials.signature_secret.is_none() => lack(
                "commands are not signed here",
                "environment variable KHALA_TARGET_COMMAND_SECRET, or target.command_secret",
            ),
            Need::Snapshot if self.plan.target.snapshot != SnapshotPath::Http => lack(
                "the target is not said to have snapshots over HTTP",
                "target.snapshot = \"http\", if it has",
            ),
            Need::Stop if self.stop.is_none() => {
                lack("it ends the target, which nobody asked for", "--stop-pid PID")
            }
            _ => None,
        }
    }
}

/// What may be done to the target: what is asked, within what its profile allows.
fn allowed(plan: &Plan, asked: Option<Vec<Does>>) -> Result<Vec<Does>, OpenError> {
    let profile = plan.target.allows.as_ref().map(|names| {
        let all = [Does::Reads, Does::Writes, Does::Revokes, Does::Abuses];
        all.into_iter().filter(|does| names.contains(&does.name())).collect::<Vec<_>>()
    });
    let Some(asked) = asked else {
        return Ok(profile.unwrap_or_else(|| vec![Does::Reads, Does::Writes]));
    };
    let beyond = |does: &&Does| profile.as_ref().is_some_and(|allows| !allows.contains(does));
    match asked.iter().find(beyond) {
        Some(does) => Err(OpenError::Usage(format!(
            "--allow {} is beyond what the target's profile allows (target.allows)",
            does.name()
        ))),
        None => Ok(asked),
    }
}

/// The plan of a scenario that has nothing but a target.
fn plan(named: &Named, set: &[String]) -> Result<Plan, OpenError> {
    // What is wrong with a url is told as of the flag that gave it. A profile's goes before the one of the text.
    let by_url = match named {
        Named::Url(url) => {
            Some(khala_plan::Setting::by("--target", url, format!("target.url={url}")))
        }
        Named::Profile(..) => None,
    };
    let sets_mint = set.iter().any(|set| set.trim_start().starts_with("auth.mint"));
    let sets_secret = set.iter().any(|set| set.trim_start().starts_with("auth.secret"));
    let profiled = matches!(named, Named::Profile(..));
    let auth = match sets_mint || sets_secret || profiled {
        true => "",
        false => "secret = { env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }",
    };
    let topics: Vec<_> = KNOWN.iter().map(|topic| format!("\"{}\"", topic.name)).collect();
    let text = format!(
        "version = 1\nname = \"conform\"\nseed = 1\n[target]\nkind = \"url\"\nurl = \"http://127.0.0.1:4000\"\n[auth]\n{auth}\n\
         [fleet]\nclients = 1\nusers = 1\nramp = \"1s\"\nname_prefix = \"khala-conform\"\n\
         [[fleet.surface]]\nname = \"desktop\"\nshare = 1\ntopics = [{}]\n\
         [[phase]]\nname = \"conform\"\nduration = \"1s\"\n",
        topics.join(", ")
    );
    let loader = |path: &str| Err(format!("{path} is not read here"));
    let options = khala_plan::Options {
        profile: None,
        set: by_url.into_iter().chain(set.iter().cloned().map(khala_plan::Setting::from)).collect(),
        defects: Vec::new(),
        seed: None,
        target: match named {
            Named::Url(_) => None,
            Named::Profile(path, text) => Some((path.as_str(), text.as_str())),
        },
        defect: &|_| Ok(()),
        env: &environment::variable,
    };
    let sources = Sources { path: "(conform)", text: &text, loader: &loader };
    let loaded = khala_plan::load(&sources, &options);
    loaded.map(|loaded| loaded.plan).map_err(|wrong| OpenError::Settings(wrong.render(false)))
}
