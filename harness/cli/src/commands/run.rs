//! `run`: scenario to plan, plan to records, records to a verdict, and the evidence of all of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use khala_bundle::{Bundle, Leftover, LogSink, Maker, Reading, Wanted, Writer, this_host, utc_now};
use khala_engine::command::{self, Redactor};
use khala_engine::environment;
use khala_engine::reach::guard::Guard;
use khala_engine::switches::Switches;
use khala_engine::webhook::Webhook;
use khala_engine::{Options, Outcome};
use khala_evidence::journal::Begin;
use khala_evidence::render::Renderer as _;
use khala_evidence::render::report_html::ReportHtml;
use khala_evidence::report::RunReport;
use khala_evidence::standing::Standing;
use khala_live::{Dashboard, Watch};
use khala_plan::{Plan, Schedule, resolved};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio_util::sync::CancellationToken;

use super::{dry_run, refusals, repeat, seal, webhook};
use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::show::{Shown, complain, show};
use crate::{args, command_line, output, scenario, setup, signals};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Names the variable that gives the dashboard's token.
const DASHBOARD_TOKEN: &str = "KHALA_HARNESS_DASHBOARD_TOKEN";

/// Runs a scenario and judges it.
pub fn run(run: &args::Run) -> Result<Exit, Failure> {
    if run.with_parent {
        set_parent_process_death_signal(Some(Signal::TERM))
            .context("cannot ask for a signal on the parent's death")?;
    }
    let loaded = Loaded::of(&run.scenario)?;
    if run.dry_run {
        return dry_run::tell(run, &loaded);
    }
    let interrupt = signals::token().context("cannot handle signals")?;
    let job = Job::of(run, loaded, interrupt)?;
    let exit = match run.repeat {
        Some(times) => repeat::run(&job, times)?,
        None => {
            let ran = job.once(None)?;
            let path = ran.dir.display().to_string();
            let how = match run.quiet {
                true if !run.json => Shown::Head,
                _ => Shown::of(run.json, run.shown.summary),
            };
            show(&ran.report, how, &ran.dir, &path)?;
            if run.json {
                output::say(&path);
            }
            ran.exit()
        }
    };
    let decided = matches!(exit, Exit::Go | Exit::NoGo | Exit::Hold);
    Ok(if run.exit_zero && decided { Exit::Go } else { exit })
}

/// A scenario that can be run.
pub struct Loaded {
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The plan unrolled.
    pub schedule: Arc<Schedule>,
    /// What may be spoken to.
    pub guard: Arc<Guard>,
}

impl Loaded {
    /// The scenario that the command line names.
    ///
    /// # Errors
    /// When it cannot be read, or the allow file cannot.
    pub fn of(scenario: &args::Scenario) -> Result<Self, Failure> {
        let plan = Arc::new(scenario::load(scenario)?.plan);
        let guard = Arc::new(scenario::guard(scenario)?);
        let schedule = Arc::new(Schedule::of(&plan));
        Ok(Self { plan, schedule, guard })
    }
}

/// Is told where the evidence will be, before anything is sent: the bundle can be read by then.
pub type Begun<'a> = &'a mut dyn FnMut(&Path) -> Result<(), Failure>;

/// What a run leaves that did not get into its bundle, and where it was watched.
type Ended = (Leftover, Option<Dashboard>);

/// What is to be run, all of it read and checked.
pub struct Job<'a> {
    /// As it was asked for.
    pub run: &'a args::Run,
    plan: Arc<Plan>,
    schedule: Arc<Schedule>,
    /// Both as they may be told: that is what evidence and pages are made of.
    told: (Arc<Plan>, Arc<Schedule>),
    guard: Arc<Guard>,
    seal: seal::With,
    /// Ends it early.
    interrupt: CancellationToken,
}

/// A run that came to a report.
pub struct Ran {
    /// Its report.
    pub report: RunReport,
    /// Its bundle.
    pub dir: PathBuf,
}

impl Ran {
    /// What a process that ran it ends with.
    pub fn exit(&self) -> Exit {
        match self.report.interrupted {
            true => Exit::Interrupted,
            false => self.report.decision.into(),
        }
    }
}

/// Why a run came to no report.
#[derive(Debug)]
pub enum Unrun {
    /// It could not be set up.
    NotBegun(Failure),
    /// It was carried out, and what it wrote is not there, or cannot be read or written: its folder is gone, or its disk fails.
    Lost(Failure),
}

impl From<Unrun> for Failure {
    fn from(unrun: Unrun) -> Self {
        match unrun {
            Unrun::NotBegun(failure) => failure,
            Unrun::Lost(failure) => Self::new(
                failure.exit,
                format!(
                    "the run was carried out, and its evidence cannot be had: {}",
                    failure.what()
                ),
            ),
        }
    }
}

impl<'a> Job<'a> {
    /// Checks what can be known before anything is sent.
    ///
    /// # Errors
    /// When it cannot be run so.
    pub fn of(
        run: &'a args::Run,
        loaded: Loaded,
        interrupt: CancellationToken,
    ) -> Result<Self, Failure> {
        let Loaded { plan, schedule, guard } = loaded;
        refusals::together(&refusals::of(&plan, &schedule, &guard, &run.start))?;
        let seal = seal::With::of(&run.start.seal)?;
        if run.start.allow_hooks {
            setup::learn_secrets(&plan, &interrupt)?;
        }
        refusals::warn(&refusals::in_vain(&plan, &run.scenario, &run.start));
        let told = told(&plan, &schedule);
        Ok(Self { run, plan, schedule, told, guard, seal, interrupt })
    }

    /// Runs it and writes the evidence.
    ///
    /// # Errors
    /// When it cannot be set up, or the evidence not be had; whatever `begun` refuses it for.
    pub fn once(&self, begun: Option<Begun<'_>>) -> Result<Ran, Unrun> {
        let (writer, webhook, ended) = self.carried_out(begun).map_err(Unrun::NotBegun)?;
        self.concluded(writer, webhook.as_ref(), ended).map_err(Unrun::Lost)
    }

    /// Carries it out; gives what is still to be written.
    fn carried_out(
        &self,
        begun: Option<Begun<'_>>,
    ) -> Result<(Writer, Option<Webhook>, Ended), Failure> {
        let (run_id, started_at) = (new_run_id(), utc_now());
        let webhook = self.run.start.webhook.as_deref();
        let webhook =
            webhook.map(|url| webhook::of(url, &self.guard, VERSION, &format!("run {run_id}")));
        let webhook = webhook.transpose()?;
        let writer = Writer::create(&self.run.start.out_dir, &started_at, &self.plan.name, &run_id);
        let mut writer = writer.map_err(setup::no_evidence)?;
        match self.execute(run_id, started_at, &mut writer, begun) {
            Ok(ended) => Ok((writer, webhook, ended)),
            Err(failure) => {
                if failure.exit == Exit::Setup {
                    writer.abandon();
                    khala_bundle::drop_dangling_latest(&self.run.start.out_dir);
                }
                Err(failure)
            }
        }
    }

    /// Judges it by what it wrote, and writes what follows.
    fn concluded(
        &self,
        writer: Writer,
        webhook: Option<&Webhook>,
        (left, dashboard): Ended,
    ) -> Result<Ran, Failure> {
        let dir = writer.dir().to_owned();
        let reading = Reading { hlog: true, ..Reading::default() };
        let derived = Bundle::open(&dir)?.settle_with(reading, left)?.derive(Maker::Run)?;
        complain(&derived, &dir);
        if let Err(error) = self.seal.seal(&dir, &derived.report) {
            output::say(&format!(
                "warning: the bundle is not sealed, and the verdict stands: {error}"
            ));
        }
        drop(writer);
        if self.is_listed() {
            warn(khala_bundle::write_index(&self.run.start.out_dir));
        }
        let ran = Ran { report: derived.report, dir };
        if let Some(dashboard) = dashboard {
            show_last(dashboard, &ran)?;
        }
        if let Some(webhook) = webhook {
            webhook::tell(webhook, &ran.report, ran.exit(), &ran.dir);
        }
        Ok(ran)
    }

    /// Whether it has a place in the index of its folder: a child's run is its parent's matter.
    fn is_listed(&self) -> bool {
        !self.run.with_parent
    }
}

/// Says what could not be done beside the evidence.
fn warn(done: Result<(), khala_bundle::Error>) {
    if let Err(error) = done {
        output::say(&format!("warning: {error}; the evidence is whole without it"));
    }
}

/// A plan and its schedule without secrets; the same ones where there is none in them.
fn told(plan: &Arc<Plan>, schedule: &Arc<Schedule>) -> (Arc<Plan>, Arc<Schedule>) {
    let told = command::told_plan(plan);
    if resolved::to_toml(&told) == resolved::to_toml(plan) {
        return (Arc::clone(plan), Arc::clone(schedule));
    }
    let schedule = Arc::new(Schedule::of(&told));
    (Arc::new(told), schedule)
}

/// By what a run is watched while it goes on.
struct Watched {
    standing: Arc<Mutex<Standing>>,
    of: khala_live::Run,
    /// There once the engine runs, where it is wanted.
    dashboard: Option<Dashboard>,
}

impl Job<'_> {
    /// Carries the scenario out; what was seen is in the bundle's journal, but for what comes back.
    fn execute(
        &self,
        run_id: String,
        started_at: String,
        writer: &mut Writer,
        begun: Option<Begun<'_>>,
    ) -> Result<Ended, Failure> {
        let of = khala_live::Run {
            id: run_id.clone(),
            started_at: started_at.clone(),
            evidence: writer.dir().display().to_string(),
        };
        let begin = Begin {
            tool_version: VERSION.to_owned(),
            tool_commit: args::commit().map(str::to_owned),
            run_id: run_id.clone(),
            started_at,
            profile: self.plan.profile.clone(),
            host: this_host(),
            command: command_line::this(&Redactor::of_plan(&self.plan)),
        };
        let wanted = Wanted { journal_max: self.run.bundle_max, recording: self.run.record };
        let (plan, schedule) = &self.told;
        let logs = writer.logs(plan, schedule, begin, wanted);
        let mut logs = logs.map_err(setup::no_evidence)?;
        if let Some(begun) = begun {
            begun(writer.dir())?;
        }
        if self.is_listed() && self.plan.fleet.only_clients.is_empty() {
            // Before anything is sent: nobody reads the decision of an earlier run as this one's. A look at one client of a
            // run takes no run's place.
            warn(khala_bundle::point_latest(writer.dir()));
        }
        let mut watched = Watched { standing: logs.standing(), of, dashboard: None };
        let outcome = self.engine(|| logs.sink(), run_id, writer, &mut watched)?;
        let Outcome { sinks, facts, .. } = outcome;
        Ok((writer.finish(logs, sinks, facts)?, watched.dashboard))
    }

    fn engine(
        &self,
        make_sink: impl FnMut() -> LogSink,
        run_id: String,
        writer: &mut Writer,
        watched: &mut Watched,
    ) -> Result<Outcome<LogSink>, Failure> {
        let Self { run, plan, schedule, guard, .. } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        runtime.block_on(async {
            let options = Options {
                run_id,
                version: VERSION.to_owned(),
                reference_command: reference_command()?,
                interrupt: interrupt(&self.interrupt, run.start.stop_file.clone()),
                utc_now,
                allow_shared_writes: run.start.allow_shared_writes,
                hooks_in: run.start.allow_hooks.then(|| setup::folder_of(&run.scenario.file)),
                guard: Arc::clone(guard),
                switches: Arc::new(Switches::of(plan, schedule)),
            };
            let (plan, schedule) = (Arc::clone(plan), Arc::clone(schedule));
            let watch = || {
                let (plan, schedule) = self.told.clone();
                let standing = Arc::clone(&watched.standing);
                Watch::new(plan, schedule, standing, watched.of.clone())
            };
            let begun = run.start.dashboard.map(|listen| dashboard(listen, watch(), &options));
            let screen = (!run.quiet).then(watch);
            watched.dashboard = begun.transpose()?;
            let mut live = Live::new(writer, screen, watched.dashboard.as_ref());
            khala_engine::run(plan, schedule, options, make_sink, &mut live)
                .await
                .map_err(|error| Failure::new(Exit::Setup, error))
        })
    }
}

/// What ends a run early: a signal, or the stop file.
fn interrupt(token: &CancellationToken, stop_file: Option<PathBuf>) -> CancellationToken {
    if let Some(file) = stop_file {
        let token = token.clone();
        tokio::spawn(async move {
            while !file.exists() {
                tokio::time::sleep(signals::LOOK_FOR_STOP_FILE).await;
            }
            output::say(&format!("{} is there: writing the evidence", file.display()));
            token.cancel();
        });
    }
    token.clone()
}

/// Begins the live view, and says where it is.
fn dashboard(listen: SocketAddr, watch: Watch, options: &Options) -> Result<Dashboard, Failure> {
    let token = environment::variable(DASHBOARD_TOKEN);
    let settings = khala_live::Settings { listen, token, version: VERSION.to_owned() };
    let (interrupt, switches) = (options.interrupt.clone(), Arc::clone(&options.switches));
    let dashboard = Dashboard::begin(settings, watch, interrupt, switches).map_err(|error| {
        let help = match &error {
            khala_live::server::Error::Listen { error, .. } => {
                super::reference::no_listening(error)
            }
            khala_live::server::Error::ShortToken(_) => "",
        };
        Failure::new(Exit::Setup, format!("{error}{help}"))
    })?;
    output::say(&format!("dashboard: {}", dashboard.url()));
    Ok(dashboard)
}

/// Shows the report as the last of the live view, as it is in the bundle.
fn show_last(dashboard: Dashboard, ran: &Ran) -> Result<(), Failure> {
    let written = std::fs::read(ran.dir.join(ReportHtml.file_name()));
    let page = written.or_else(|_| ReportHtml.render(&ran.report));
    dashboard.finish(page.context("a rendering failed")?);
    Ok(())
}

/// This binary, as the reference runtime.
fn reference_command() -> anyhow::Result<Vec<std::ffi::OsString>> {
    let me = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(vec![me.into_os_string(), "reference".into()])
}

/// Eight hex digits: short enough for names, and no two runs share them by accident.
fn new_run_id() -> String {
    format!("{:08x}", rand::random::<u32>())
}
