//! What may be asked of the self-test, as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;

/// What is asked of the self-test: its part of the command line, with its help.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["matrix", "clean", "wire", "ceiling", "page"])))]
pub struct Args {
    /// Run every defect of the reference runtime against a scenario that must catch it, and print
    /// which rule or gate did (the kill matrix).
    #[arg(long)]
    pub matrix: bool,
    /// Run every shipped scenario and every type of fault on a runtime that keeps the contract, with N
    /// seeds each, and count false alarms.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clean: Option<u32>,
    /// Put a proxy between the harness and a runtime that keeps the contract, which deviates as servers,
    /// proxies and libraries do, in one way a run, and print whether each was judged as it must be (the
    /// wire matrix).
    #[arg(long)]
    pub wire: bool,
    /// Find out how many clients and deliveries a second the generator can carry on this machine before
    /// it is unfit: runs of different sizes, against a null server, until the answer is known to 5 %.
    #[arg(long)]
    pub ceiling: bool,
    /// Print one page of what exams came to, from the results in these folders or files: `matrix.json`,
    /// `wire.json`, `clean.json`, `second-runtime.json` and `middle-boxes.json`. Nothing is run.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub page: Vec<PathBuf>,
    /// Of the matrix only these defects, of the clean runs only these scenarios, of the wire matrix only
    /// these deviations.
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "ceiling")]
    pub only: Vec<String>,
    /// Only every N-th run, from the K-th on: N parts are the whole, as in 2/5.
    #[arg(long, value_name = "K/N", conflicts_with = "ceiling")]
    pub part: Option<Part>,
    /// Runs at once. Those whose gates judge milliseconds run alone, after the others.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(1..=16),
        conflicts_with = "ceiling"
    )]
    pub jobs: u8,
    /// Seed of every run, in place of the scenarios' own; of the matrix's too, but for rows that want a
    /// certain one.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs()),
        conflicts_with_all = ["ceiling", "clean"]
    )]
    pub seed: Option<u64>,
    /// Run nothing, and print what `--wire` would run: each deviation, what must come of it, and where its
    /// like was seen (Markdown).
    #[arg(long, conflicts_with_all = ["matrix", "clean", "ceiling", "page"])]
    pub list: bool,
    /// Keep the bundles of runs that went as they should, too.
    #[arg(long, conflicts_with = "ceiling")]
    pub keep: bool,
    /// Keep every record of every run, for `scripts/second-opinion` to judge again; implies --keep.
    #[arg(long, alias = "record-history", conflicts_with = "ceiling")]
    pub record: bool,
    /// Time that the steps of `--ceiling` may take in all, as in 3m.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration)]
    pub max_time: Duration,
    /// Folder that gets the results, and the bundles of runs that did not go as they should.
    #[arg(long, value_name = "DIR", default_value = "reports/selftest")]
    pub out_dir: PathBuf,
}

/// Every `of`-th of a list, from the `k`-th on, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    k: usize,
    of: usize,
}

impl Part {
    /// Whether the entry at this index, from 0, belongs to the part.
    pub fn has(self, index: usize) -> bool {
        index % self.of == self.k - 1
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = text.split_once('/').and_then(|(k, of)| {
            let part = Self { k: k.parse().ok()?, of: of.parse().ok()? };
            (1..=part.of).contains(&part.k).then_some(part)
        });
        part.ok_or_else(|| format!("`{text}` is not K/N with K from 1 to N, as in 2/5"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    khala_plan::units::duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_list_are_disjoint_and_the_whole() {
        let parts: Vec<Part> = (1..=3).map(|k| format!("{k}/3").parse().expect("K/N")).collect();
        for index in 0..10 {
            assert_eq!(parts.iter().filter(|part| part.has(index)).count(), 1, "{index}");
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["0/3", "4/3", "1/0", "3", "a/b", "1/2/3", ""] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
