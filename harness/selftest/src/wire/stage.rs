//! A row's run with all that stands around it: runtimes, a proxy in front of them, the harness.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use khala_engine::target::child::env;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::deviation::Deviation;
use super::proxy::Proxy;
use crate::child::{Ended, Order, Place};
use crate::pool::Work;

/// How long a runtime may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A row's run.
pub struct Staged {
    /// What stands between the harness and the runtime.
    pub deviation: Deviation,
    /// More arguments for the runtime.
    pub runtime: &'static [&'static str],
    /// The harness's run; its target is the proxy.
    pub order: Order,
}

impl Work for Staged {
    async fn run(self, interrupt: CancellationToken) -> Ended {
        match self.stage().await {
            // The runtimes and the proxy go when the run has ended.
            Ok((order, _scenery)) => order.run(interrupt).await,
            Err(error) => Ended::failed(format!("{error:#}")),
        }
    }
}

/// What must stay while a run goes on.
struct Scenery {
    _runtimes: Vec<Runtime>,
    _proxy: Proxy,
}

impl Staged {
    async fn stage(self) -> anyhow::Result<(Order, Scenery)> {
        let secrets = secrets();
        let mut runtimes = vec![Runtime::start(self.runtime, &secrets).await?];
        if self.deviation.split {
            runtimes.push(Runtime::start(self.runtime, &secrets).await?);
        }
        let targets = runtimes.iter().map(|runtime| runtime.address).collect();
        let proxy = Proxy::start(self.deviation, targets).await.context("cannot start a proxy")?;
        let url = format!("http://{}", proxy.address);
        let order = Order { place: Some(Place { url, secrets }), ..self.order };
        Ok((order, Scenery { _runtimes: runtimes, _proxy: proxy }))
    }
}

/// By environment variable, drawn anew for each row.
fn secrets() -> Vec<(&'static str, String)> {
    let names = [env::SYNC_KEY, env::SESSION_KEY, env::ADMIN_TOKEN];
    let secret = || (0..4).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
    names.into_iter().map(|name| (name, secret())).collect()
}

/// A reference runtime as a process of its own.
struct Runtime {
    address: SocketAddr,
    /// Killed when it is dropped.
    _child: Child,
}

/// First line of its standard output.
#[derive(Deserialize)]
struct Listening {
    listening: SocketAddr,
}

impl Runtime {
    async fn start(arguments: &[&str], secrets: &[(&'static str, String)]) -> anyhow::Result<Self> {
        let me = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(me);
        command.args(["reference", "--listen", "127.0.0.1:0", "--with-parent"]);
        command.args(arguments);
        command.envs(secrets.iter().map(|(name, secret)| (name, secret)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a runtime")?;
        let stdout = child.stdout.take().context("a runtime has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_TIMEOUT, lines.next_line()).await;
        let line = line.context("a runtime did not listen in time")?;
        let line = line.context("cannot read from a runtime")?.context("a runtime ended")?;
        let Listening { listening } =
            serde_json::from_str(&line).with_context(|| format!("a runtime said `{line}`"))?;
        Ok(Self { address: listening, _child: child })
    }
}
