//! `null-server`: the server by which the harness is measured, alone.

use anyhow::Context as _;
use khala_selftest::null::{Config, NullServer};

use super::reference::{
    die_with_parent, end_with_standard_input, no_listening, say_where, stays_here,
};
use crate::args;
use crate::exit::{Exit, Failure};
use crate::signals;

/// Serves until a signal comes, or the parent goes.
pub fn run(server: &args::NullServer) -> Result<Exit, Failure> {
    stays_here("--listen", server.listen, server.allow_remote, "--allow-remote")?;
    if server.with_parent {
        die_with_parent()?;
    }
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of descriptors")?;
    // Its own threads do the work; this one waits.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let stopped = signals::quiet_token().context("cannot handle signals")?;
        let config = Config {
            listen: server.listen,
            latency: server.latency,
            seed: server.seed,
            freezes: server.freeze.clone(),
            threads: server.threads,
        };
        let cannot = |error: std::io::Error| {
            let help = no_listening(&error);
            format!("the null server cannot listen on {}: {error}{help}", server.listen)
        };
        let serving =
            NullServer::start(config).map_err(|error| Failure::new(Exit::Setup, cannot(error)))?;
        if server.with_parent {
            end_with_standard_input(stopped.clone());
        }
        say_where(serving.local_addr())?;
        stopped.cancelled().await;
        Ok(Exit::Go)
    })
}
