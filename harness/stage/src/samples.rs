//! What a hold is told of the target's build, a line for each request: written down as it is told, in a file beside the
//! journal, for a kill may end the hold at any moment.
//!
//! The lines are a chain as those of the journal are, which begins with the attempt that they are of. Once the hold has
//! ended, the journal says up to where they were written and what the last of them is: so that none can be taken out,
//! changed or added afterwards either, nor the file be another attempt's.

use serde::{Deserialize, Serialize};

use crate::builds::Seen;
use crate::history::Attempt;
use crate::journal::{Chain, Head, sha256};

/// The samples of an attempt.
pub type Samples = Chain<Sample>;

/// One request, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// For how many it stands: more than one where the answer took longer than the time between two.
    pub times: u64,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a request for the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The build.
    Build(String),
    /// One without a build.
    Untold,
    /// None, and why.
    Failed(String),
}

/// What the first sample of an attempt has in place of a digest.
#[must_use]
pub fn first(attempt: &Attempt) -> String {
    let (number, at) = (attempt.begun.attempt, &attempt.at);
    let of = format!("attempt {number} of stage {}, begun {}", attempt.begun.stage, at.unix_ms);
    sha256(of.as_bytes())
}

/// Reads the samples of an attempt and holds them against the head that lies beside them; `begun` says that its hold has
/// a run, before which both files were made.
///
/// # Errors
/// What is missing or was changed, in a clause.
pub fn read(
    attempt: &Attempt,
    (text, head): (Option<&str>, Option<&Head>),
    begun: bool,
) -> Result<Samples, String> {
    let gone = || "is gone, although the hold had begun".to_owned();
    let text = match text {
        None if begun || head.is_some() => return Err(gone()),
        None => "",
        Some(text) => text,
    };
    let samples = Samples::read_after(&first(attempt), text)
        .map_err(|error| format!("is damaged: {error}"))?;
    match head {
        None if begun || !samples.lines.is_empty() => {
            Err("has nothing beside it that says up to where it was written".to_owned())
        }
        None => Ok(samples),
        Some(head) => samples.follows(Some(head)).map(|()| samples),
    }
}

/// What the samples come to.
#[must_use]
pub fn seen(samples: &Samples) -> Seen {
    let mut seen = Seen::default();
    for line in &samples.lines {
        let Sample { times, answer } = &line.entry;
        let answer = match answer {
            Answer::Build(build) => Ok(Some(build.clone())),
            Answer::Untold => Ok(None),
            Answer::Failed(why) => Err(why.clone()),
        };
        seen.take(answer, *times);
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, attempt};

    fn one() -> Attempt {
        attempt(at(7), [])
    }

    /// The text of three samples, the second of another build than the others, and the head after each.
    fn three() -> (String, Vec<Head>) {
        let mut samples = Samples::after(&first(&one()));
        let (mut text, mut heads) = (String::new(), vec![samples.head()]);
        for (second, build) in (10..).zip(["7", "6", "7"]) {
            let sample = Sample { times: 1, answer: Answer::Build(build.to_owned()) };
            text.push_str(&samples.append(at(second), sample).expect("serialises"));
            heads.push(samples.head());
        }
        (text, heads)
    }

    #[test]
    fn what_was_written_is_read_and_counted() {
        let (text, heads) = three();
        let samples = read(&one(), (Some(&text), heads.last()), true).expect("it is whole");
        assert_eq!(seen(&samples).told, [("6".to_owned(), 1), ("7".to_owned(), 2)].into());
        // Killed before the head was written, and while the next line was.
        read(&one(), (Some(&text), heads.get(2)), true).expect("one line more");
        let torn = format!("{text}{{\"format\":1,");
        assert_eq!(read(&one(), (Some(&torn), heads.last()), true), Ok(samples));
    }

    #[test]
    fn none_can_be_taken_out_changed_put_between_or_cut_off() {
        let (text, heads) = three();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        for changed in [
            text.replacen("\"build\":\"6\"", "\"build\":\"7\"", 1),
            text.replacen("\"times\":1", "\"times\":9", 1),
            [lines[0], lines[2]].concat(),
            lines[1..].concat(),
            [lines[0], lines[1], lines[1], lines[2]].concat(),
            lines[..2].concat(),
            lines[..1].concat(),
            String::new(),
            format!("{text}{}", lines[2]),
        ] {
            let found = read(&one(), (Some(&changed), heads.last()), true);
            assert!(found.is_err(), "it is read:\n{changed}");
        }
    }

    #[test]
    fn files_that_are_gone_are_missed_once_the_hold_has_begun() {
        let (text, heads) = three();
        for (text, head) in [(None, None), (Some(text.as_str()), None), (None, heads.first())] {
            read(&one(), (text, head), true).expect_err("something is gone");
        }
        read(&one(), (Some(""), None), true).expect_err("the head is gone");
        read(&one(), (Some(text.as_str()), None), false).expect_err("samples, and no head");
        for (text, head) in [(None, None), (Some(""), None), (Some(""), heads.first())] {
            let samples = read(&one(), (text, head), false).expect("killed as it began");
            assert_eq!(samples.lines, []);
        }
    }

    #[test]
    fn those_of_another_attempt_are_not_read() {
        let (text, heads) = three();
        let mut others = attempt(at(8), []);
        assert!(read(&others, (Some(&text), heads.last()), true).is_err(), "begun at another time");
        others = one();
        others.begun.attempt = 2;
        assert!(read(&others, (Some(&text), heads.last()), true).is_err());
    }
}
