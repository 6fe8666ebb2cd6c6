//! What was learnt of a target, for its profile: what is beyond doubt is filled in, all else stands as a comment.

use khala_plan::Plan;
use khala_wire::topic::TopicId;

use super::lines::{Came, Line};
use crate::command::Redactor;

/// What a line has for a key of the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The replay budget of a topic, as the target itself shows it.
    Budget(TopicId, u64),
    /// A key that is not filled in, as it would be written, and why.
    Open(String, String),
}

/// Lines that tell of the target and not of the run or of this machine.
const OF_THE_TARGET: [&str; 12] = [
    "TLS",
    "health",
    "clock",
    "fan-out metrics",
    "limits",
    "framing",
    "close codes",
    "time-outs",
    "heartbeats",
    "idle channel",
    "idle socket",
    "subscribe",
];

/// The plan with what the lines tell for sure of its target, where it said nothing itself; and comments, a line each: what
/// else was seen, and why no key has it.
#[must_use]
pub fn filled(plan: &Plan, lines: &[Line]) -> (Plan, Vec<String>) {
    let mut filled = plan.clone();
    let mut open = Vec::new();
    for fact in lines.iter().flat_map(|line| &line.facts) {
        match fact {
            Fact::Budget(topic, events) => {
                let said = filled.target.retains.entry(*topic).or_default();
                match said.replay_budget_events {
                    None => said.replay_budget_events = Some(*events),
                    Some(said) if said == *events => {}
                    Some(said) => open.push(format!(
                        "target.retains.\"{}\".replay_budget_events = {events}: the target shows that; {said} was given, and stands",
                        topic.name()
                    )),
                }
            }
            Fact::Open(key, why) => open.push(format!("{key}: {why}")),
        }
    }
    let of_the_target = lines.iter().filter(|line| OF_THE_TARGET.contains(&line.what));
    let seen: Vec<_> = of_the_target
        .map(|Line { what, came, seen, advice, .. }| match came {
            Came::Skipped => format!("{what}: not tried ({seen}); {advice}"),
            _ => format!("{what}: {seen}"),
        })
        .collect();
    let mut comments = Vec::new();
    if !open.is_empty() {
        comments.push("Seen, and not filled in, since it is yours to say:".to_owned());
        comments.extend(open.into_iter().map(|line| format!("  {line}")));
    }
    if !seen.is_empty() {
        comments.push("What was seen of the target, beside what has a key:".to_owned());
        comments.extend(seen.into_iter().map(|line| format!("  {line}")));
    }
    (filled, comments.iter().map(|line| harmless(line)).collect())
}

/// A comment ends with its line, and TOML takes no control characters in one; secrets stand in no file.
fn harmless(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Redactor::of_process().word(&one_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: TopicId = TopicId::WORKER_EVENTS;

    fn plan() -> Plan {
        crate::testing::plan(crate::client::driver_tests::TEXT)
    }

    fn line(what: &'static str, seen: &str, facts: Vec<Fact>) -> Line {
        Line::good(what, "t", seen).of_the_profile(facts)
    }

    #[test]
    fn what_the_target_shows_is_filled_in_where_nobody_said_anything() {
        let shown = line("limits", "seen", vec![Fact::Budget(EVENTS, 7)]);
        let (filled, _) = super::filled(&plan(), std::slice::from_ref(&shown));
        let budget = |plan: &Plan| plan.target.retains[&EVENTS].replay_budget_events;
        assert_eq!(budget(&filled), Some(7));
        let mut said = plan();
        said.target.retains.entry(EVENTS).or_default().replay_budget_events = Some(9);
        let (filled, comments) = super::filled(&said, &[shown]);
        assert_eq!(budget(&filled), Some(9));
        assert!(comments.iter().any(|it| it.contains("= 7: the target shows that; 9 was given")));
    }

    #[test]
    fn what_is_not_filled_in_is_a_comment_of_one_line_with_its_reason() {
        let open = Fact::Open("target.close_codes = [4001]".to_owned(), "why".to_owned());
        let lines = [
            line("close codes", "it closed\nwith 4001", vec![open]),
            line("disk", "of this machine", vec![]),
            Line::skipped("time-outs", "they wait", "--time-outs has them tried"),
        ];
        let (_, comments) = super::filled(&plan(), &lines);
        assert!(
            comments.contains(&"  target.close_codes = [4001]: why".to_owned()),
            "{comments:?}"
        );
        assert!(
            comments.contains(&"  close codes: it closed with 4001".to_owned()),
            "{comments:?}"
        );
        assert!(comments.iter().any(|it| it.contains("not tried (they wait)")), "{comments:?}");
        assert!(!comments.iter().any(|it| it.contains("this machine")), "{comments:?}");
    }
}
