//! Clauses that several renderings say in the same words.

use super::units::{count, counted, duration, duration_or_dash, utc};
use crate::facts::Generator;
use crate::judge::{ObjectiveVerdict, Unit};
use crate::oracle::Rule;
use crate::report::RunReport;

/// The bundle's folder, for those who read in it.
pub const HERE: &str = ".";

/// The point estimate with its unit, as the claim has it; of a percentile with its interval and reach.
pub fn estimate(objective: &ObjectiveVerdict) -> String {
    let Some(value) = objective.estimate else { return "–".to_owned() };
    let value = match objective.never {
        0 => figure(objective, value),
        _ => format!("> {}", figure(objective, value)),
    };
    if objective.resampled.is_none() {
        return value;
    }
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), |end| figure(objective, end));
    let (lower, upper) = (end(objective.lower), end(objective.upper));
    let reach = objective.reach.map(|reach| format!("; reach {:.1} %", reach.share * 100.0));
    format!("{value} ({lower} to {upper}){}", reach.unwrap_or_default())
}

/// A value in the unit of an objective's claim.
pub fn figure(objective: &ObjectiveVerdict, value: f64) -> String {
    match objective.unit {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "microseconds of a histogram"
        )]
        Unit::Micros => duration(value as u64),
        Unit::Share => format!("{:.3} %", value * 100.0),
        Unit::Ratio => format!("{value:.2}"),
        Unit::PerSecond => format!("{value:.3}/s"),
        Unit::Count => format!("{value}"),
    }
}

/// A figure of a metric as it can be told: where it is of a sample that had not ended, only what it exceeds. `told` has
/// it with such samples by how long they had been waited for, `ended` without.
pub fn beyond(
    told: Option<u64>,
    ended: Option<Option<u64>>,
    words: impl Fn(Option<u64>) -> String,
) -> String {
    match (told, ended) {
        (Some(_), Some(None)) => format!("> {}", words(told)),
        (Some(_), Some(value)) => words(value),
        _ => words(told),
    }
}

/// What the reach beside an estimate is, where any is shown.
pub fn reach(report: &RunReport) -> Option<&'static str> {
    let objectives = report.gates.iter().flat_map(|gate| &gate.objectives);
    let shown = |one: &ObjectiveVerdict| one.resampled.is_some() && one.reach.is_some();
    objectives.into_iter().any(shown).then_some(
        "reach: what the seconds that were measured say of other times: up to this share of them may be worse \
         than the claim, with 95 % confidence. 30 clean seconds show no less than 9.5 %, 299 show 1 %; a gate \
         can ask for it (`reach = \"1 %\"`)",
    )
}

/// A moment of the run, on its own clock and on the wall's.
pub fn at(report: &RunReport, us: u64) -> String {
    let seconds = std::time::Duration::from_micros(us).as_secs_f64();
    match utc(&report.started_at, us) {
        Some(utc) => format!("{seconds:.3} s ({utc} UTC)"),
        None => format!("{seconds:.3} s"),
    }
}

/// A time in seconds.
pub fn seconds(us: u64) -> String {
    format!("{:.2} s", std::time::Duration::from_micros(us).as_secs_f64())
}

/// Deliveries that are the run's own, and those of others, which are held against nothing that was published.
pub fn deliveries(report: &RunReport) -> (u64, u64) {
    let foreign = report.oracle.foreign;
    (report.oracle.deliveries.saturating_sub(foreign), foreign)
}

/// Whether deliveries that are not the run's own are the target's past: nobody else publishes there, and nothing came
/// that nobody had published.
pub fn is_past(report: &RunReport) -> bool {
    let phantoms = report.oracle.violations.get(Rule::Phantom.name()).is_some_and(|it| *it > 0);
    report.target.exclusive && report.oracle.foreign > 0 && !phantoms
}

/// The rules that the run never put to the test, in a line.
pub fn not_exercised(report: &RunReport) -> Option<String> {
    let names = &report.oracle.not_exercised;
    let rules = if names.len() == 1 { "rule" } else { "rules" };
    (!names.is_empty())
        .then(|| format!("{} {rules} not exercised: {}", names.len(), names.join(", ")))
}

/// The command with which an engineer sees again what befell the client of a violation, for a reader to
/// whom the bundle's folder is `bundle`. It writes beside the bundle: whatever is written into one is no
/// evidence of the run.
pub fn again(
    report: &RunReport,
    violation: &crate::oracle::Violation,
    bundle: &str,
) -> Option<String> {
    let shared = writes_beside_others(report);
    Some(once_more(report.scenario.seed, violation.client?, bundle, shared))
}

/// The command that runs a bundle's scenario once more with one client alone; `shared` of a target to which others
/// write.
pub fn once_more(seed: u64, client: u32, bundle: &str, shared: bool) -> String {
    let (scenario, beside) = resolved(bundle);
    let flag = shared_flag(shared);
    format!(
        "khala-harness run {scenario} --seed {seed} --only-client {client}{flag} --out-dir {beside}"
    )
}

/// What a run of one client alone does not say of a violation, for a reader to whom the bundle's folder is `bundle`: it
/// stands wherever the command for it does.
pub fn alone_says(report: &RunReport, bundle: &str) -> String {
    let drawn: Vec<_> =
        report.target.defects.iter().filter(|defect| !strikes_always(defect)).cloned().collect();
    if drawn.is_empty() {
        return "It shows what that client does by itself. Where no rule breaks there, GO or HOLD, that says nothing of \
                this violation: other clients, their load or chance may have had a part in it."
            .to_owned();
    }
    format!(
        "It shows what that client does by itself, and need not show this violation: the target's defect strikes by \
         chance or by count ({}), and for one client alone the draw falls otherwise. Where no rule breaks there, GO or \
         HOLD, that says nothing of it. The whole run draws among the same odds: `{}`",
        drawn.join("; "),
        whole(report, bundle)
    )
}

/// Whether a defect strikes at each of its occasions from the first on: `NAME,1,after=1`. Of one that says less
/// nobody here knows its odds.
fn strikes_always(defect: &str) -> bool {
    let mut parts = defect.split(',').skip(1).map(str::trim);
    let always = parts.clone().any(|part| part.parse::<f64>().is_ok_and(|odds| odds >= 1.0));
    always && parts.all(|part| part.strip_prefix("after=").is_none_or(|after| after == "1"))
}

/// The command that runs a bundle's scenario once more, whole.
pub fn whole(report: &RunReport, bundle: &str) -> String {
    let (scenario, beside) = resolved(bundle);
    let flag = shared_flag(writes_beside_others(report));
    let seed = report.scenario.seed;
    format!("khala-harness run {scenario} --seed {seed}{flag} --out-dir {beside}")
}

/// Whether the run wrote to a target to which others write.
fn writes_beside_others(report: &RunReport) -> bool {
    let target = &report.target;
    target.kind == "url" && !target.exclusive && !target.passive
}

fn shared_flag(shared: bool) -> &'static str {
    if shared { " --allow-shared-writes" } else { "" }
}

/// The scenario of a bundle, and the folder beside the bundle, for a reader to whom its own is `bundle`.
fn resolved(bundle: &str) -> (String, String) {
    match bundle {
        HERE => ("scenario.resolved.toml".to_owned(), "..".to_owned()),
        _ => (format!("{bundle}/scenario.resolved.toml"), format!("{bundle}/..")),
    }
}

/// One violation in a line.
pub fn violation(violation: &crate::oracle::Violation) -> String {
    let client = violation.client.map(|c| format!(" client {c}")).unwrap_or_default();
    let topic = violation.topic.map(|t| format!(" {}", t.name())).unwrap_or_default();
    let seqs = match violation.seqs {
        Some((first, last)) if first == last => format!(" seq {first}"),
        Some((first, last)) => format!(" seqs {first}..{last}"),
        None => String::new(),
    };
    format!(
        "{}{client}{topic}{seqs} at {:.3} s: {}",
        violation.rule,
        std::time::Duration::from_micros(violation.at_us).as_secs_f64(),
        violation.message
    )
}

/// Whether the generator stood still.
fn stalls(generator: &Generator) -> String {
    let stalled: u64 = generator.stalls.iter().map(|stall| stall.to - stall.from).sum();
    match generator.stalls.len() {
        0 => "never stood still".to_owned(),
        stalls => {
            let stalls = counted(stalls as u64, "stall", "stalls");
            format!("{stalls}, {} of threads' time", duration(stalled))
        }
    }
}

/// What the generator ran out of.
fn exhausted(generator: &Generator) -> String {
    let exhausted = generator.exhausted.iter();
    exhausted
        .map(|(resource, n)| format!(", out of {resource} {}", counted(*n, "time", "times")))
        .collect()
}

/// How fit the generator was, in a few words.
pub fn brief_fitness(generator: &Generator) -> String {
    format!(
        "timers late by {} at most; {}{}",
        duration(generator.lag_max_us),
        stalls(generator),
        exhausted(generator)
    )
}

/// How fit the generator was, in a line.
pub fn fitness(generator: &Generator) -> String {
    format!(
        "timers late by {} at p99, {} at most; a thread waited for a core {:.0} % of the time; \
         messages waited up to {} for their clients; {}{}",
        duration_or_dash(generator.lag_p99_us),
        duration(generator.lag_max_us),
        generator.waited_for_core * 100.0,
        duration(generator.own_queue_max_us),
        stalls(generator),
        exhausted(generator),
    )
}

/// What of the load was never sent, and by whose doing.
pub fn withheld(generator: &Generator) -> String {
    match generator.publishes_withheld {
        0 => String::new(),
        some => format!(", {} never begun because too many had no answer", count(some)),
    }
}

/// Words of a command line, as a shell takes them.
pub fn command(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@…".contains(c);
    let quoted = |word: &String| match word.is_empty() || !word.chars().all(plain) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.clone(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_strikes_always_where_its_odds_say_so_and_not_where_it_is_drawn_or_counted() {
        for always in ["drop_on_reconnect,1,after=1", "swap_two, 1.0", "swap_two,after=1,1"] {
            assert!(strikes_always(always), "{always}");
        }
        for drawn in ["drop_nth,0.02,after=1", "drop_nth", "late_publish,1,after=9", "x,after=2"] {
            assert!(!strikes_always(drawn), "{drawn}");
        }
    }
}
