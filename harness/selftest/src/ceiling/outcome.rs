//! What the steps came to, and how it is told.

use std::fmt::Write as _;
use std::time::Duration;

use khala_evidence::journal::Host;
use serde::Serialize;

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Its number, from 1.
    pub step: u32,
    /// Clients planned.
    pub clients: u32,
    /// Clients live at the end.
    pub clients_live: u64,
    /// The generator's worker threads.
    pub threads: u32,
    /// Deliveries measured in the judged phase.
    pub deliveries: u64,
    /// Deliveries of the same events that the null server handed over.
    pub deliveries_true: u64,
    /// Deliveries measured, per second.
    pub deliveries_per_s: f64,
    /// Cores that the generator used.
    pub cpu_cores: f64,
    /// Share of a core that its busiest thread used.
    pub hottest_thread: f64,
    /// Lateness of the latest thread's timers, in microseconds: at p99, or the largest where there are
    /// too few for a p99.
    pub lag_us: Option<u64>,
    /// The latency that it was to be fit for, in microseconds.
    pub threshold_us: u64,
    /// Lateness up to which it is fit, in microseconds.
    pub lag_allowed_us: f64,
    /// Delivery latency at p99 as the harness reports it, in microseconds.
    pub delivery_p99_us: Option<u64>,
    /// The same by the null server's record.
    pub delivery_p99_true_us: u64,
    /// How late the null server itself was at p99, in microseconds.
    pub null_server_late_p99_us: u64,
    /// Cores that the null server used, over the whole run.
    pub null_server_cores: Option<f64>,
    /// Why the generator was unfit; nothing when it was fit.
    pub unfit: Vec<String>,
    /// The run's evidence.
    pub bundle: String,
}

impl Step {
    /// Whether the null server was later than the generator may be: then what made the one late may have
    /// made the other.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a step")]
    pub fn null_server_late(&self) -> bool {
        self.null_server_late_p99_us as f64 > self.lag_allowed_us
    }

    /// Whether the null server did not keep up with the rate, so that a larger step would be no larger.
    pub fn null_server_behind(&self) -> bool {
        self.null_server_late_p99_us > self.threshold_us
    }
}

/// Why there is no further step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// The generator was unfit with little more than it carries, or with next to nothing.
    Unfit {
        /// The smallest of the unfit steps.
        step: u32,
        /// Whether the null server was late as well.
        null_server_late: bool,
    },
    /// The null server did not keep up, and the generator was fit.
    NullServer {
        /// The step.
        step: u32,
    },
    /// A step did not end in the time that was left.
    Late {
        /// The step.
        step: u32,
    },
    /// A step could not be run: no descriptors, no ports, no disk.
    Failed {
        /// The step.
        step: u32,
        /// Why.
        why: String,
    },
    /// There is no time for another step.
    Time,
    /// There are no more steps.
    Steps,
    /// Somebody ended it.
    Interrupted,
}

/// The steps, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Version of this format.
    pub format_version: u32,
    /// UTC, RFC 3339.
    pub measured_at: String,
    /// Version of the tool.
    pub tool_version: String,
    /// The machine.
    pub host: Host,
    /// Seconds that it was allowed to take.
    pub max_time_s: f64,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Why there is no further one.
    pub end: End,
}

impl Ceiling {
    /// Nothing tried yet.
    pub fn new(host: Host, max_time: Duration) -> Self {
        Self {
            format_version: 1,
            measured_at: khala_bundle::utc_now(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            host,
            max_time_s: max_time.as_secs_f64(),
            steps: Vec::new(),
            end: End::Steps,
        }
    }

    /// The largest step at which the generator was fit, of those that are smaller than every unfit one.
    pub fn last_fit(&self) -> Option<&Step> {
        let unfit = self.smallest_unfit().map_or(u32::MAX, |step| step.clients);
        let fit = self.steps.iter().filter(|step| step.unfit.is_empty() && step.clients < unfit);
        fit.max_by_key(|step| step.clients)
    }

    fn smallest_unfit(&self) -> Option<&Step> {
        self.steps.iter().filter(|step| !step.unfit.is_empty()).min_by_key(|step| step.clients)
    }

    /// The end of a search that came to its answer.
    pub fn found(&self) -> End {
        self.smallest_unfit().map_or(End::Steps, |step| End::Unfit {
            step: step.step,
            null_server_late: step.null_server_late(),
        })
    }

    /// The answer, in a sentence or two.
    pub fn answer(&self) -> String {
        let why = self.why();
        let Some(fit) = self.last_fit() else {
            let none =
                if self.steps.is_empty() { "Nothing was tried." } else { "No step was fit." };
            return format!("{none} {why}");
        };
        let least = match self.end {
            End::Unfit { null_server_late: false, .. } => "",
            _ => "at least ",
        };
        format!(
            "The generator carries {least}{} clients with {:.0} deliveries a second on this machine. \
             {why}",
            fit.clients, fit.deliveries_per_s
        )
    }

    fn why(&self) -> String {
        match &self.end {
            End::Unfit { step, null_server_late } => {
                let unfit = self.steps.iter().find(|s| s.step == *step);
                let why = unfit.map(|step| step.unfit.join("; ")).unwrap_or_default();
                let shared = if *null_server_late {
                    " The null server, which shares the machine, was late as well: without it, the \
                     generator may carry more."
                } else {
                    ""
                };
                let clients = unfit.map_or(0, |step| step.clients);
                format!("Step {step}, {clients} clients: {why}.{shared}")
            }
            End::NullServer { step } => format!(
                "At step {step} it was fit, and the null server did not keep up: that is as far as it \
                 can be tried here."
            ),
            End::Late { step } => format!("Step {step} did not end in time."),
            End::Failed { step, why } => format!("Step {step} could not be run: {why}."),
            End::Time => {
                format!("There was no time for another step in {:.0} s.", self.max_time_s)
            }
            End::Steps => "There are no more steps.".to_owned(),
            End::Interrupted => "It was interrupted.".to_owned(),
        }
    }

    /// The table and the answer, for a terminal.
    pub fn table(&self) -> String {
        let mut out = format!("{HEAD}\n");
        for step in &self.steps {
            let cells = cells(step);
            let [number, clients, rate, cpu, hottest, lag, null, null_cpu, fit] = &cells;
            let _ = writeln!(
                out,
                "{number:>4} {clients:>8} {rate:>13} {cpu:>9} {hottest:>8} {lag:>9} {null:>10} \
                 {null_cpu:>10}  {fit}"
            );
        }
        let _ = writeln!(out, "\n{}", self.answer());
        out
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let Host { name, system, cores, memory_mib } = &self.host;
        let threads = self.steps.first().map_or(0, |step| step.threads);
        let mut out = format!(
            "# Ceiling of the generator\n\n{}\n\n\
             {}, khala-harness {}, on {name}: {system}, {cores} cores, {memory_mib} MiB; \
             {threads} worker threads.\n\n\
             | step | clients | deliveries/s | CPU | hottest thread | lag | null server late, p99 \
             | null server CPU | fit |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
            self.answer(),
            self.measured_at,
            self.tool_version,
        );
        for step in &self.steps {
            let _ = writeln!(out, "| {} |", cells(step).join(" | "));
        }
        out.push_str(
            "\nEach step is a run against a null server on the same machine; its generator is judged \
             as that of any run\n(harness/evidence/METRICS.md, \"The generator\"), for a latency \
             of half a second. CPU is in cores. Lag is\nat p99, or the largest where there are too few \
             for one.\n`ceiling.json` has the figures and each run's \
             bundle.\n",
        );
        out
    }
}

const HEAD: &str =
    "step  clients  deliveries/s  CPU cores  hottest       lag  null late   null CPU  fit";

fn cells(step: &Step) -> [String; 9] {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a step")]
    let ms = |us: u64| format!("{:.1} ms", us as f64 / 1e3);
    [
        step.step.to_string(),
        step.clients.to_string(),
        format!("{:.0}", step.deliveries_per_s),
        format!("{:.2}", step.cpu_cores),
        format!("{:.0} %", step.hottest_thread * 100.0),
        step.lag_us.map_or_else(|| "–".to_owned(), ms),
        ms(step.null_server_late_p99_us),
        step.null_server_cores.map_or_else(|| "–".to_owned(), |cores| format!("{cores:.2}")),
        if step.unfit.is_empty() { "yes" } else { "no" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(end: End, unfit_from: u32, late_from: u32) -> Ceiling {
        let step = |number: u32| Step {
            step: number,
            clients: 100 * number,
            deliveries_per_s: 2_000.0 * f64::from(number),
            threshold_us: 500_000,
            lag_allowed_us: 50_000.0,
            null_server_late_p99_us: if number >= late_from { 60_000 } else { 900 },
            unfit: (number >= unfit_from).then(|| "it was late".to_owned()).into_iter().collect(),
            ..Step::default()
        };
        let steps = (1..=3).map(step).collect();
        Ceiling { steps, end, ..Ceiling::new(Host::default(), Duration::from_secs(180)) }
    }

    #[test]
    fn the_answer_is_the_largest_fit_step_below_every_unfit_one_whatever_their_order() {
        let mut found = ceiling(End::Steps, 9, 9);
        found.steps[0].clients = 250;
        found.steps[1].unfit = vec!["it was late".to_owned()];
        assert!(found.last_fit().is_none(), "250 and 300 are beyond 200, which was unfit");
        found.steps[2].clients = 190;
        assert_eq!(found.last_fit().map(|step| step.clients), Some(190));
        assert_eq!(found.found(), End::Unfit { step: 2, null_server_late: false });
    }

    #[test]
    fn the_answer_is_the_last_step_before_the_first_unfit_one() {
        let found = ceiling(End::Unfit { step: 3, null_server_late: false }, 3, 9);
        assert_eq!(
            found.answer(),
            "The generator carries 200 clients with 4000 deliveries a second on this machine. \
             Step 3, 300 clients: it was late."
        );
        assert!(found.markdown().contains("| 2 | 200 | 4000 |"), "{}", found.markdown());
        assert!(found.table().contains(&found.answer()));
    }

    #[test]
    fn what_is_not_a_ceiling_is_called_a_least() {
        for end in [
            End::NullServer { step: 3 },
            End::Time,
            End::Steps,
            End::Interrupted,
            End::Late { step: 4 },
            End::Failed { step: 4, why: "no descriptors".to_owned() },
        ] {
            let found = ceiling(end, 9, 3).answer();
            assert!(found.contains("at least 300 clients"), "{found}");
        }
        let both = ceiling(End::Unfit { step: 3, null_server_late: true }, 3, 3).answer();
        assert!(both.contains("at least 200") && both.contains("may carry more"), "{both}");
    }

    #[test]
    fn a_machine_on_which_nothing_is_fit_has_no_ceiling() {
        let none = ceiling(End::Unfit { step: 1, null_server_late: false }, 1, 9);
        assert!(none.last_fit().is_none());
        assert_eq!(none.answer(), "No step was fit. Step 1, 100 clients: it was late.");
    }

    #[test]
    fn a_null_server_is_late_beyond_what_the_generator_may_be() {
        let found = ceiling(End::Steps, 9, 3);
        let late: Vec<_> = found.steps.iter().map(Step::null_server_late).collect();
        assert_eq!(late, [false, false, true]);
        assert!(!found.steps[2].null_server_behind());
        let behind = Step { null_server_late_p99_us: 500_001, ..found.steps[2].clone() };
        assert!(behind.null_server_behind());
    }
}
