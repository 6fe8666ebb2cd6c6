//! Each case catches what the registry says that it catches, and says so as what it is.

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;

use khala_conform::case::{Case, Catch, Does, Level, Takes};
use khala_conform::cases;
use khala_conform::known::Known;
use khala_conform::report::Status;
use support::bent::Bent;
use support::{Asked, Runtime, ask, bend, config, everything};

/// Runs that go on beside one another: each waits nearly all of its time.
const AT_ONCE: usize = 32;

/// How often what could not be carried out is tried: a busy machine is no defect.
const TRIES: u32 = 3;

/// What is wrong with a catch; nothing if it is one.
fn tried(index: usize, case: &'static Case, catch: Catch) -> Option<String> {
    let mut last = None;
    for _ in 0..TRIES {
        match once(index, case, catch) {
            Ok(wrong) => return wrong,
            Err(undecided) => last = Some(undecided),
        }
    }
    last
}

/// The same, once; an error is what could not be carried out.
fn once(index: usize, case: &'static Case, catch: Catch) -> Result<Option<String>, String> {
    let (defects, bent): (Vec<&str>, Option<&'static str>) = match catch {
        Catch::Defect(spec) => (vec![spec], None),
        Catch::Proxy(name) => (Vec::new(), Some(name)),
    };
    let mut config = config(&defects);
    if bent == Some("unsigned_commands") {
        config.signature_secret = None;
    }
    if case.does != Does::Reads && case.takes != Takes::Idle {
        // As long as the contract's: who does not read, or waits for what does not come, has that long before it counts as
        // idle, and need not be asked again. Who waits for an answer that does not come is told by the end of its channel.
        let usual = khala_reference::config::Config::default();
        config.channel_idle_timeout = usual.channel_idle_timeout;
        config.socket_idle_timeout = usual.socket_idle_timeout;
    }
    let runtime = Runtime::start(config);
    let proxy = bent.map(|name| Bent::start(name, runtime.address));
    let report = ask(Asked {
        address: proxy.as_ref().map_or(runtime.address, |proxy| proxy.address),
        cases: vec![(index, case)],
        allow: everything(),
        known: Known::default(),
        stop: (case.does == Does::Ends).then(|| runtime.stop.clone()),
    });
    let report = report.map_err(|why| format!("{} / {catch:?}: {why}", case.id))?;
    let result = &report.results[0];
    let wanted = match case.level {
        Level::Must => Status::Deviation,
        Level::Should | Level::Silent => Status::Finding,
    };
    let told = format!("{} / {catch:?}: {} ({})", case.id, result.status.name(), result.told());
    match result.status {
        status if status == wanted => Ok(None),
        Status::Undecided => Err(told),
        _ => Ok(Some(told)),
    }
}

#[test]
fn each_case_catches_what_it_is_said_to_catch() {
    let only = std::env::var("KHALA_CONFORM_ONLY").unwrap_or_default();
    let mut jobs: Vec<_> = cases::all()
        .iter()
        .enumerate()
        .filter(|(_, case)| case.id.contains(&only))
        .flat_map(|(index, &case)| case.caught_by.iter().map(move |&catch| (index, case, catch)))
        .collect();
    let count = jobs.len();
    jobs.reverse();
    // Those that wait for what does not come, or for a time-out, take longest: they are taken first, from the end.
    jobs.sort_by_key(|(_, case, _)| case.does != Does::Reads || case.takes != Takes::Moments);
    let jobs = Mutex::new(jobs);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((index, case, catch)) = jobs.lock().expect("whole").pop() else {
                        return;
                    };
                    if let Some(what) = tried(index, case, catch) {
                        wrong.lock().expect("whole").push(what);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}

#[test]
fn every_deviation_of_the_proxy_is_some_cases() {
    let used: BTreeSet<_> = cases::all()
        .iter()
        .flat_map(|case| case.caught_by)
        .filter_map(|catch| match catch {
            Catch::Proxy(name) => Some(*name),
            Catch::Defect(_) => None,
        })
        .collect();
    let there: BTreeSet<_> = bend::NAMES
        .into_iter()
        .filter(|name| {
            ![bend::PLAIN, bend::LIMITS_COMMANDS, bend::LOSES_ALL, bend::HIDES_METRICS]
                .contains(name)
        })
        .collect();
    assert_eq!(used, there);
}
