//! A worker thread: one current-thread runtime, its share of the clients, its own sink.
//!
//! Clients are dealt out by number and never move. Nothing is shared with other threads but
//! [`Heads`], the stage of the run, and a few numbers for progress.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::record::Sink;
use khala_plan::Plan;
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_plan::surface::Surface;
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use crate::aside::{Asides, Who};
use crate::client::contents::Known;
use crate::client::dialect::Dialect;
use crate::client::driver::{Driver, Surroundings};
use crate::client::machine::{Machine, Settings};
use crate::client::orders::{Control, Order};
use crate::client::reader::Reader;
use crate::clock::{Clock, micros};
use crate::contact::{Contact, Ear};
use crate::fault::{self, Undo};
use crate::handshake::Interim;
use crate::heads::{Heads, LocalHeads};
use crate::http::Http;
use crate::mint::Minter;
use crate::publisher::addressed;
use crate::reach::Outgoing;
use crate::session::Connector;
use crate::session::web_socket::Lane;
use crate::stall::Watch;
use crate::switches::Switches;
use crate::target::window::Windows;
use crate::target::{Target, scopes};
use crate::transport::{Backlog, Dial};
use crate::turnstile::Turnstile;

/// How often a thread shows its numbers.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// How long the goodbyes of all clients may take.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a thread may take to end once the run has, goodbyes included; one that takes longer is lost.
pub const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The phases.
    Running,
    /// The phases are over: no command waits any longer for the target to make room for it.
    Draining,
    /// Everybody leaves.
    Retire,
}

/// Numbers of a thread, for progress and for the drain.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Clients with a socket.
    pub online: AtomicU64,
    /// Clients with replay complete.
    pub live: AtomicU64,
    /// Live clients that have not applied all that any client has seen.
    pub behind: AtomicU64,
    /// When the last of these numbers was shown, in microseconds of the run.
    pub shown_at: AtomicU64,
}

/// All that a thread needs.
#[derive(Clone)]
pub struct Setup {
    /// Which thread, from 0.
    pub index: u32,
    /// The run's clock.
    pub clock: Clock,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its schedule.
    pub schedule: Arc<Schedule>,
    /// The target.
    pub target: Arc<Target>,
    /// What any client has seen.
    pub heads: Arc<Heads>,
    /// Whether the target is heard.
    pub contact: Arc<Contact>,
    /// What holds connects down, where something does.
    pub turnstile: Option<Arc<Turnstile>>,
    /// Id of the run.
    pub run_id: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Our workers, name to number.
    pub workers: HashMap<String, u16>,
    /// How far the run is.
    pub stage: watch::Receiver<Stage>,
    /// Where numbers are shown.
    pub numbers: Arc<Numbers>,
    /// Where reads show what they left waiting.
    pub backlog: Arc<Backlog>,
    /// Where first subscribes resume.
    pub first_cursors: Arc<Vec<(TopicId, u64)>>,
    /// The faults that wait for a hand.
    pub switches: Arc<Switches>,
}

/// Starts a thread; it ends after [`Stage::Retire`] and gives its sink back.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn<S: Sink + Send + 'static>(setup: Setup, sink: S) -> std::io::Result<JoinHandle<S>> {
    let name = format!("{THREAD_PREFIX}{}", setup.index);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name(name)
        .spawn(move || LocalSet::new().block_on(&runtime, work(setup, sink)))
}

/// Start of the worker threads' names.
pub const THREAD_PREFIX: &str = "khala-worker-";

async fn work<S: Sink + 'static>(setup: Setup, sink: S) -> S {
    let Setup { plan, target, clock, .. } = setup.clone();
    let http = |reach, extras| {
        Http::new(reach, &setup.user_agent, plan.target.request_timeout)
            .carrying(extras)
            .heard_by(Arc::clone(&setup.contact))
    };
    let control = http(&target.control, target.extras_of_control());
    let http = http(&target.reach, target.extras.clone());
    let around = Rc::new(Surroundings {
        clock,
        watch: Watch::new(plan.generator.thread_of(setup.index), clock),
        plan: Arc::clone(&plan),
        target,
        sink: std::cell::RefCell::new(sink),
        reader: std::cell::RefCell::new(Reader::new(known(&setup))),
        heads: LocalHeads::new(Arc::clone(&setup.heads)),
        ear: Ear::new(Arc::clone(&setup.contact)),
        minter: Minter::new(control),
        windows: Windows::new(http.clone()),
        turnstile: setup.turnstile.clone(),
        http,
    });

    let mut controls: HashMap<u32, Rc<Control>> = HashMap::new();
    let mut people: HashMap<u32, Rc<Who>> = HashMap::new();
    let mut clients = tokio::task::JoinSet::new();
    for (cohort, driver) in drivers(&setup, &around) {
        controls.insert(driver.client, Rc::clone(&driver.control));
        people.insert(driver.client, Rc::new(who(&plan, cohort, &driver)));
        clients.spawn_local(driver.run());
    }
    let worker = setup.workers.iter().min_by_key(|(_, number)| **number);
    let worker = worker.map(|(name, _)| name.clone());
    let asides = Rc::new(Asides::new(Rc::clone(&around), setup.run_id.clone(), worker));
    let mut chores = tokio::task::JoinSet::new();
    for planned in &setup.schedule.faults {
        let targets: Vec<_> = if planned.kind.hits_everybody() {
            people.values().map(Rc::clone).collect()
        } else {
            planned.targets.iter().filter_map(|id| people.get(id)).map(Rc::clone).collect()
        };
        let switches = Arc::clone(&setup.switches);
        let deed = inject(clock, planned.clone(), targets, Rc::clone(&asides), switches);
        chores.spawn_local(deed);
    }
    drop((people, asides));
    for arrival in setup.schedule.arrivals.iter() {
        if let (Some(leaves_us), Some(control)) = (arrival.leaves_us, controls.get(&arrival.client))
        {
            chores.spawn_local(depart(clock, leaves_us, Rc::clone(control)));
        }
    }
    chores.spawn_local(tick(Rc::clone(&around)));
    if setup.index == 0 {
        chores.spawn_local(listen(Rc::clone(&around)));
    }
    let shown: Vec<_> = controls.values().map(Rc::clone).collect();
    let (numbers, index) = (Arc::clone(&setup.numbers), setup.index);
    chores.spawn_local(show(Rc::clone(&around), shown, numbers, index));

    let mut stage = setup.stage.clone();
    // An error means that the run's end of the channel is gone: leave as well.
    let _ = stage.wait_for(|stage| *stage >= Stage::Retire).await;
    chores.shutdown().await;
    controls.values().for_each(|control| control.give(Order::Retire));
    let everybody = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(RETIRE_TIMEOUT, everybody).await.is_err() {
        clients.shutdown().await;
    }
    drop(controls);
    match Rc::try_unwrap(around) {
        Ok(around) => around.sink.into_inner(),
        // Only tasks hold the other ends, and all have been joined or aborted.
        Err(_) => unreachable!("a task outlived its JoinSet"),
    }
}

/// What is known of the run to whoever reads what comes.
fn known(setup: &Setup) -> Known {
    let publishes = setup.schedule.publishes.iter();
    Known {
        run_id: setup.run_id.clone(),
        workers: setup.workers.clone(),
        addressed: publishes.map(|planned| addressed(&setup.plan, planned)).collect(),
    }
}

/// The thread's clients, each with the index of its cohort.
fn drivers<S: Sink>(
    setup: &Setup,
    around: &Rc<Surroundings<S>>,
) -> impl Iterator<Item = (u16, Driver<S, Lane>)> {
    let plan = &setup.plan;
    let settings: Vec<_> = plan
        .fleet
        .cohorts
        .iter()
        .map(|cohort| {
            Rc::new(Settings {
                seed: plan.seed,
                topics: cohort.topics.clone(),
                backoff: cohort.backoff,
                heartbeat: cohort.heartbeat,
                replay_batch_size: cohort.replay_batch_size,
                request_timeout: plan.target.request_timeout,
                apply: plan.target.apply,
                snapshot: plan.target.snapshot,
                settle_within: plan.oracle.settle_within,
                token_ttl: plan.auth.ttl,
                manners: <Lane as Connector>::Dialect::MANNERS,
            })
        })
        .collect();
    let thread = plan.generator.thread_of(setup.index);
    let is_mine = move |client| plan.generator.thread_of(client) == thread;
    let mine = setup.schedule.arrivals.iter().filter(move |arrival| is_mine(arrival.client));
    mine.map(move |arrival| {
        let cohort = &settings[usize::from(arrival.cohort)];
        let mut identity = Schedule::identity(plan, arrival.client);
        // Two runs must not share a session: revocation and eviction go by it.
        identity.session = format!("{}-{}", identity.session, setup.run_id);
        identity.surface = Some(plan.fleet.cohorts[usize::from(arrival.cohort)].surface);
        let control = Rc::new(Control::new(identity.session.clone(), Arc::clone(&setup.heads)));
        let mut machine = Machine::new(arrival.client, Rc::clone(cohort), arrival.at_us);
        machine.begin_at(&setup.first_cursors);
        let dial = Dial {
            reach: setup.target.reach.for_client(),
            from: Outgoing {
                source: source_address(plan, arrival.client),
                receive_buffer: receive_buffer(&setup.schedule, arrival.client),
            },
            timeout: plan.target.connect_timeout,
            user_agent: setup.user_agent.clone(),
            extras: setup.target.extras.clone(),
            backlog: Some(Arc::clone(&setup.backlog)),
            interim: interim(plan.fleet.cohorts[usize::from(arrival.cohort)].surface),
            message_max: plan.target.message_max,
        };
        let driver = Driver {
            around: Rc::clone(around),
            machine,
            dialect: Dialect::new(arrival.client, Rc::clone(cohort)),
            client: arrival.client,
            identity,
            scopes: scopes(plan, arrival.cohort),
            lane: Rc::new(Lane { dial, target: Arc::clone(&setup.target) }),
            control,
            resume: None,
            bearer: None,
            slow: None,
            cut_by: None,
            has_turn: false,
        };
        (arrival.cohort, driver)
    })
}

/// With one address the kernel chooses ports; with several the clients are dealt out over them.
fn source_address(plan: &Plan, client: u32) -> Option<Ipv4Addr> {
    let addresses = &plan.generator.source_addresses;
    match addresses.len() {
        0 | 1 => None,
        count => addresses.get(client as usize % count).copied(),
    }
}

/// A client that will be slow has a small receive buffer from its first connect on: the kernel does
/// not shrink one that exists.
fn receive_buffer(schedule: &Schedule, client: u32) -> Option<u32> {
    let faults = schedule.faults.iter();
    let slow = faults.filter(|fault| fault.targets.binary_search(&client).is_ok());
    slow.filter_map(|fault| Some(fault.kind.slowness()?.rcvbuf_bytes)).min()
}

/// What the surface's own client makes of an interim answer to the upgrade: web shell and phone live on a
/// browser's and URLSession's stacks, the desktop application on tokio-tungstenite.
fn interim(surface: Surface) -> Interim {
    match surface {
        Surface::WebShell | Surface::Ios => Interim::Skipped,
        Surface::Desktop => Interim::Refused,
    }
}

/// For whom a driver's client stands when a fault tries something beside it.
fn who<S>(plan: &Plan, cohort: u16, driver: &Driver<S, Lane>) -> Who {
    let cohort = &plan.fleet.cohorts[usize::from(cohort)];
    Who {
        client: driver.client,
        identity: driver.identity.clone(),
        scopes: driver.scopes.clone(),
        topics: cohort.topics.clone(),
        dial: driver.lane.dial.clone(),
        backoff: cohort.backoff,
        control: Rc::clone(&driver.control),
    }
}

async fn inject<S: Sink>(
    clock: Clock,
    planned: PlannedFault,
    targets: Vec<Rc<Who>>,
    asides: Rc<Asides<S>>,
    switches: Arc<Switches>,
) {
    let fault = fault::of(&planned.kind);
    let told_us = planned.at_us.saturating_sub(micros(fault.lead()));
    tokio::time::sleep_until(clock.instant(told_us)).await;
    // Locked by now: every thread sees the same.
    if !switches.is_on(planned.id) {
        return;
    }
    let controls: Vec<_> = targets.iter().map(|who| Rc::clone(&who.control)).collect();
    let undo = match planned.spread_us {
        None => fault.on_clients(&planned, &controls),
        Some(_) => {
            // In the order of their instants, for targets are sorted.
            for who in &targets {
                let own = planned.of(who.client);
                let told_us = own.at_us.saturating_sub(micros(fault.lead()));
                tokio::time::sleep_until(clock.instant(told_us)).await;
                // Instants have nothing to take back.
                drop(fault.on_clients(&own, &[Rc::clone(&who.control)]));
            }
            Undo::nothing()
        }
    };
    if let Some(aside) = fault.aside(&planned) {
        asides.run(aside, &planned, &targets).await;
    }
    if let Some(duration_us) = planned.duration_us {
        tokio::time::sleep_until(clock.instant(planned.at_us + duration_us)).await;
    }
    drop(undo);
}

/// Has a client leave in good order, as the stages of the fleet want it.
async fn depart(clock: Clock, leaves_us: u64, control: Rc<Control>) {
    tokio::time::sleep_until(clock.instant(leaves_us)).await;
    control.give(Order::Retire);
}

async fn tick<S: Sink>(around: Rc<Surroundings<S>>) {
    around.watch.tick(|act: &mut dyn FnMut(&mut S)| act(&mut around.sink.borrow_mut())).await;
}

/// Tells of silences of the target: one thread is enough.
async fn listen<S: Sink>(around: Rc<Surroundings<S>>) {
    let bound = around.plan.stability.absence;
    around.ear.contact().watch(bound, |record| around.record(record)).await;
}

async fn show<S: Sink>(
    around: Rc<Surroundings<S>>,
    controls: Vec<Rc<Control>>,
    numbers: Arc<Numbers>,
    index: u32,
) {
    let mut ticks = tokio::time::interval(SHOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (mut online, mut live, mut behind) = (0, 0, 0);
        let (mut present, mut waiting) = (0, 0);
        for control in &controls {
            let view = control.view.borrow();
            online += u64::from(view.online);
            present += u64::from(view.present);
            waiting += u64::from(view.waiting);
            live += u64::from(view.live);
            behind += u64::from(view.live && !view.at_head(&around.heads));
        }
        if let Some(thread) = around.ear.contact().thread(index) {
            thread.present.store(present, Ordering::Relaxed);
            thread.waiting.store(waiting, Ordering::Relaxed);
        }
        numbers.online.store(online, Ordering::Relaxed);
        numbers.live.store(live, Ordering::Relaxed);
        numbers.behind.store(behind, Ordering::Relaxed);
        numbers.shown_at.store(around.clock.now(), Ordering::Relaxed);
    }
}
