//! What tests are made of: a stage in which everything went well, to be spoilt one thing at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::judge::{Decision, Verdict};
use khala_plan::rollout::{
    Canary, Check, Hold, HoldLength, Precondition, Rollout, ScenarioRun, Stage,
};

use crate::decide::{Decided, Opened};
use crate::entry::{Before, Begun, Ended, Entry, HoldResult, Segment, StepResult};
use crate::evidence::{GateLine, ObjectiveLine, RunSummary, Whole};
use crate::fanout::Fanout;
use crate::history::{Attempt, History, StepRun};
use crate::journal::Journal;
use crate::stamp::Stamp;
use crate::windows::Windows;

/// So many seconds after everything began.
pub fn at(seconds: i64) -> Stamp {
    let unix_ms = 1_800_000_000_000 + seconds * 1_000;
    Stamp { at: format!("t+{seconds}"), unix_ms, uptime_ms: seconds * 1_000, boot: "b".to_owned() }
}

/// An attempt of a stage for build 7.
pub fn begun(attempt: u32, stage: &str) -> Begun {
    Begun {
        attempt,
        stage: stage.to_owned(),
        build: Some("7".to_owned()),
        owner: "Ada".to_owned(),
        tool_version: "0.1.0".to_owned(),
        tool_commit: None,
        rollout: "khala".to_owned(),
        rollout_sha256: "00".to_owned(),
        target: "canary".to_owned(),
        embedded: false,
        target_sha256: "at".to_owned(),
        asks_sha256: "asks".to_owned(),
        files: BTreeMap::new(),
        before: Some(Before::default()),
        defects: Vec::new(),
        set: Vec::new(),
        allowed: Vec::new(),
        hold_s: 60,
        hold_planned_s: None,
        without_predecessor: None,
        waivers: Vec::new(),
        rollout_file: "rollout.toml".to_owned(),
        stage_dir: "stages".to_owned(),
        variables: BTreeMap::new(),
        secrets: Vec::new(),
        asked_by: None,
        command: vec!["khala-harness".to_owned(), "stage".to_owned()],
    }
}

/// A step that went well.
pub fn passed() -> StepResult {
    StepResult::of(Verdict::Pass, "all of it")
}

/// A journal of these entries, one a second.
pub fn journal(entries: Vec<Entry>) -> Journal {
    let mut journal = Journal::default();
    for (second, entry) in (0..).zip(entries) {
        journal.append(at(second), entry).expect("serialises");
    }
    journal
}

/// A run in which everything went well.
pub fn run() -> RunSummary {
    RunSummary {
        bundle: "runs/one".to_owned(),
        manifest_sha256: Some("ab".to_owned()),
        scenario: "smoke".to_owned(),
        profile: None,
        seed: 1,
        started_at: "t".to_owned(),
        duration_s: 16.0,
        decision: Decision::Go,
        verdict: Verdict::Pass,
        finished: true,
        ended_early: None,
        build: Some("7".to_owned()),
        sockets: None,
        clients_peak: 20,
        deliveries: 900,
        acknowledged: 40,
        violations: 0,
        gates: vec![GateLine {
            name: "ux".to_owned(),
            verdict: Some(Verdict::Pass),
            advisory: false,
            open: Vec::new(),
            passed: 1,
            held: Vec::new(),
            untested: Vec::new(),
        }],
        reasons: Vec::new(),
        told: Vec::new(),
        kpis: Vec::new(),
        fanout: Some(Fanout { snapshots: 3, lines: Vec::new(), contradictions: Vec::new() }),
        command: "khala-harness run smoke.toml".to_owned(),
    }
}

/// A run of which one objective has this verdict.
pub fn run_with(verdict: Verdict, metric: &str, selector: &str) -> RunSummary {
    let decision = if verdict == Verdict::Fail { Decision::NoGo } else { Decision::Hold };
    let objective = ObjectiveLine {
        metric: metric.to_owned(),
        selector: selector.to_owned(),
        require: "proportion <= 3%".to_owned(),
        warn: None,
        verdict,
        n: 100,
        measured: "12.000 %".to_owned(),
        bound: "at least 9.000 %".to_owned(),
        reason: "12 of 100".to_owned(),
    };
    let gate = GateLine {
        name: "error-budget".to_owned(),
        verdict: Some(verdict),
        advisory: false,
        open: vec![objective],
        passed: 0,
        held: Vec::new(),
        untested: Vec::new(),
    };
    let mut run = run();
    run.gates.push(gate);
    RunSummary { decision, verdict, reasons: vec!["12 of 100".to_owned()], ..run }
}

/// What comes of a run.
pub fn of_run(run: RunSummary) -> StepResult {
    let mut result = StepResult::of(run.step_verdict(), run.told());
    result.run = Some(Box::new(run));
    result
}

/// A scenario of which an objective failed.
pub fn failed_objective(metric: &str, selector: &str) -> StepResult {
    of_run(run_with(Verdict::Fail, metric, selector))
}

/// An attempt with these results, a step each.
pub fn attempt(at: Stamp, results: impl IntoIterator<Item = StepResult>) -> Attempt {
    let runs = results.into_iter().zip(1..).map(|(result, number)| StepRun {
        step: format!("scenario {number}"),
        run: 1,
        at: at.clone(),
        bundle: None,
        ended: Some((result, at.clone())),
    });
    Attempt {
        begun: begun(1, "0"),
        at: at.clone(),
        runs: runs.collect(),
        resumed: Vec::new(),
        set_back: Vec::new(),
        set_ms: 0,
        ended: None,
        last: at,
    }
}

fn scenario(name: &str) -> ScenarioRun {
    ScenarioRun {
        name: name.to_owned(),
        file: format!("{name}.toml"),
        profile: None,
        set: Vec::new(),
        stage_load: false,
    }
}

/// Two stages: `0` without a hold, `1` with one of a minute.
pub fn rollout() -> Rollout {
    let canary = Canary {
        target: Some("canary".to_owned()),
        build: Some("7".to_owned()),
        build_samples: 4,
        metrics: true,
        ..Canary::default()
    };
    let stage = |id: &str, hold: Option<Hold>| Stage {
        id: id.to_owned(),
        name: format!("Stage {id}"),
        owner: None,
        clients: 20,
        canary: canary.clone(),
        preconditions: vec!["conform".to_owned()],
        scenarios: vec![scenario("smoke")],
        must_apply: vec!["ux".to_owned()],
        hold,
    };
    let hold = Hold {
        scenario: scenario("hold"),
        length: HoldLength::Time(Duration::from_secs(60)),
        burn_long: Duration::from_secs(3_600),
        burn_short: Duration::from_secs(300),
        burn_rate_max: 1.0,
        observed_min: 0.95,
        must_apply: Vec::new(),
    };
    Rollout {
        name: "khala".to_owned(),
        fresh: Duration::from_secs(24 * 3_600),
        abort_on_fail: true,
        grace: Duration::from_secs(5),
        escalation: None,
        preconditions: vec![Precondition {
            name: "conform".to_owned(),
            check: Check::Token,
            by_url: false,
            within: Duration::from_secs(60),
        }],
        stages: vec![stage("0", None), stage("1", Some(hold))],
    }
}

/// What a hold comes to in which everything went well.
pub fn held() -> StepResult {
    let mut result = of_run(RunSummary { scenario: "hold".to_owned(), ..run() });
    result.hold = Some(Box::new(HoldResult {
        wanted_s: 60,
        observed_s: 60.0,
        segments: vec![Segment {
            bundle: "runs/one".to_owned(),
            manifest_sha256: Some("ab".to_owned()),
            began: "t".to_owned(),
            observed_s: 60.0,
            finished: true,
            decision: Decision::Go,
            build: Some("7".to_owned()),
            sockets: None,
            warned: false,
        }],
        windows: Windows { window_s: 60, clipped: true, ..Windows::default() },
        whole: Whole::default(),
        samples: None,
    }));
    result
}

/// What the builds' steps come to.
pub fn builds(seen: &[(&str, u64)]) -> StepResult {
    let mut result = StepResult::of(Verdict::Pass, "asked");
    let seen = seen.iter().map(|(build, count)| ((*build).to_owned(), *count));
    result.builds = seen.collect::<BTreeMap<_, _>>();
    result
}

/// Writes a whole attempt down, step by step; `spoil` changes what comes of a step, or leaves it out.
pub struct Script {
    pub history: History,
    /// The lines of its journal.
    pub taken: Vec<(Stamp, Entry)>,
    now: i64,
}

impl Script {
    pub fn new() -> Self {
        Self { history: History::default(), taken: Vec::new(), now: 0 }
    }

    pub fn now(&self) -> Stamp {
        at(self.now)
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += seconds;
    }

    pub fn take(&mut self, entry: &Entry) {
        self.now += 1;
        self.take_at(&at(self.now), entry);
    }

    pub fn take_at(&mut self, stamp: &Stamp, entry: &Entry) {
        self.history.take(stamp, entry).expect("it follows");
        self.taken.push((stamp.clone(), entry.clone()));
    }

    pub fn attempt(
        &mut self,
        stage: &str,
        change: impl FnOnce(&mut Begun),
        spoil: impl Fn(&str, StepResult) -> Option<StepResult>,
    ) -> u32 {
        let attempt = u32::try_from(self.history.attempts.len()).expect("few") + 1;
        let mut begun = begun(attempt, stage);
        change(&mut begun);
        self.take(&Entry::Begun(Box::new(begun)));
        let rollout = rollout();
        let of_stage = rollout.stage(stage).expect("a stage");
        for step in crate::steps::of(&rollout, of_stage) {
            let name = step.name();
            let result = match name.as_str() {
                "builds before" | "builds after" => builds(&[("7", 4)]),
                "hold" => held(),
                name if name.starts_with("scenario") => of_run(run()),
                _ => passed(),
            };
            let Some(result) = spoil(&name, result) else { continue };
            self.take(&Entry::StepBegun { attempt, step: name.clone(), run: 1 });
            let result = Box::new(result);
            self.take(&Entry::StepEnded { attempt, step: name, run: 1, result });
        }
        attempt
    }

    pub fn end(&mut self, attempt: u32, decision: Decision) {
        self.take(&Entry::Ended(Box::new(ended(attempt, decision))));
    }
}

/// The end of an attempt that was decided so.
pub fn ended(attempt: u32, decision: Decision) -> Ended {
    let decided = Decided {
        decision,
        reasons: Vec::new(),
        used: Vec::new(),
        unused: Vec::new(),
        opened: Opened::First,
    };
    let (report, report_sha256) = (format!("stage-{attempt}"), format!("sha-{attempt}"));
    Ended { attempt, decided, report, report_sha256 }
}
