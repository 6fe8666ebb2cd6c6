//! The command line of khala-harness: arguments in, a command run, an exit code out.
//!
//! Results go to standard output, progress and logs to standard error. What every exit code means
//! is in [`exit`].

mod args;
mod command_line;
mod commands;
mod live;
mod scenario;
mod screen;
mod setup;
mod show;

use std::process::ExitCode;

use khala_console::exit::Exit;
use khala_console::{exit, output, signals};
use khala_engine::environment;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(output::bug));
    // The hook has told of the bug by then.
    std::panic::catch_unwind(ended).unwrap_or(Exit::Internal).into()
}

/// Does what the arguments ask, and says what kept it from that.
fn ended() -> Exit {
    let args = match args::Args::of_command_line() {
        Ok(args) => args,
        Err(error) => return output::arguments(&error),
    };
    start_log();
    let ended = match args.command {
        args::Command::Run(run) => commands::run::run(&run),
        args::Command::Report(report) => commands::report::run(&report),
        args::Command::Score(score) => commands::score::run(&score),
        args::Command::Verify(verify) => commands::verify::run(&verify),
        args::Command::Seal(seal) => commands::seal::run(&seal),
        args::Command::DocsGate(gate) => commands::docs_gate::run(&gate),
        args::Command::Explain(explain) => commands::explain::run(&explain),
        args::Command::Prune(prune) => commands::prune::run(&prune),
        args::Command::Stage(stage) => commands::stage::run(&stage),
        args::Command::Check(check) => commands::check::run(&check),
        args::Command::Conform(conform) => commands::conform::run(&conform),
        args::Command::Reference(reference) => commands::reference::run(&reference),
        args::Command::Selftest(selftest) => khala_selftest::run(&selftest),
        args::Command::NullServer(server) => commands::null_server::run(&server),
        args::Command::Completions(completions) => commands::completions::run(&completions),
        args::Command::Init(init) => commands::init::run(&init),
        args::Command::Doctor(doctor) => commands::doctor::run(&doctor),
        args::Command::List(list) => commands::list::run(&list),
        args::Command::Man(man) => commands::man::run(&man),
        args::Command::Metrics => commands::metrics::run(),
        args::Command::Schema(schema) => commands::schema::run(&schema),
    };
    ended.unwrap_or_else(|failure| {
        output::failure(&failure);
        failure.exit
    })
}

/// `KHALA_LOG` chooses what is logged, as in `khala_engine=debug`; warnings by default.
fn start_log() {
    let filter = environment::variable("KHALA_LOG")
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| output::Log).init();
}
