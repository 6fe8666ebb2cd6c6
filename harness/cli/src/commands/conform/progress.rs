//! What is said on standard error while cases are asked: those that wait for a time-out of the target's come
//! to nothing for more than a minute, and a log that stands still looks like one that hangs.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::Duration;

use khala_conform::case::Case;
use khala_conform::report::{CaseResult, Status};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);
/// Cases that a line names.
const NAMED_MAX: usize = 3;

/// How far it has come.
pub struct Progress {
    cases: usize,
    left: RefCell<Vec<&'static str>>,
    deviations: Cell<u64>,
}

impl Progress {
    /// Before the first of these.
    pub fn of(cases: &[(usize, &'static Case)]) -> Self {
        let left = cases.iter().map(|(_, case)| case.id).collect();
        Self { cases: cases.len(), left: RefCell::new(left), deviations: Cell::new(0) }
    }

    /// A case has ended: a line where that is worth one.
    pub fn ended(&self, result: &CaseResult) -> Option<String> {
        self.left.borrow_mut().retain(|id| *id != result.id);
        if result.status == Status::Deviation {
            self.deviations.set(self.deviations.get() + 1);
        }
        let told = matches!(result.status, Status::Deviation | Status::Undecided);
        told.then(|| format!("{}: {}", result.id, result.status.name()))
    }

    /// How far it has come after this long, in a line.
    fn line(&self, elapsed: Duration) -> String {
        let left = self.left.borrow();
        let named = left.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = match left.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let waiting =
            if left.is_empty() { String::new() } else { format!("; left: {named}{more}") };
        format!(
            "{:6} s  cases: {} of {} ended, {} deviating{waiting}",
            elapsed.as_secs(),
            self.cases - left.len(),
            self.cases,
            self.deviations.get(),
        )
    }

    /// Says every few seconds how far it has come, until `asking` has ended.
    pub async fn beside<T>(&self, asking: impl Future<Output = T>, say: impl Fn(&str)) -> T {
        self.at_each(|| tokio::time::sleep(EVERY), asking, say).await
    }

    async fn at_each<T, Tick: Future<Output = ()>>(
        &self,
        tick: impl Fn() -> Tick,
        asking: impl Future<Output = T>,
        say: impl Fn(&str),
    ) -> T {
        let mut asking = pin!(asking);
        let mut elapsed = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                ended = &mut asking => return ended,
                () = tick() => elapsed += EVERY,
            }
            say(&self.line(elapsed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{poll_fn, ready};
    use std::task::Poll;

    use khala_conform::outcome::{Broken, Found, Outcome};
    use khala_conform::select;

    use super::*;

    #[tokio::test]
    async fn a_log_hears_every_few_seconds_how_far_it_has_come_and_of_deviations_at_once() {
        let cases: Vec<_> = select::select(&[]).expect("all").into_iter().take(5).collect();
        let progress = Progress::of(&cases);
        let said = RefCell::new(Vec::new());
        let ends = |at: usize, outcome: Outcome| {
            let line = progress.ended(&CaseResult::new(cases[at].1, outcome, 1.0));
            said.borrow_mut().extend(line);
        };
        // Asked on after one tick; two cases end; asked on after another; that is all.
        let mut asked = 0;
        let asking = poll_fn(|cx| {
            asked += 1;
            if asked == 2 {
                let [did, came, should] = ["d", "c", "s"].map(str::to_owned);
                ends(0, Ok(Found::Broken(Broken { did, came, should })));
                ends(1, Ok(Found::Kept("k".to_owned())));
            }
            cx.waker().wake_by_ref();
            if asked < 3 { Poll::Pending } else { Poll::Ready(7) }
        });
        let say = |line: &str| said.borrow_mut().push(line.to_owned());
        assert_eq!(progress.at_each(|| ready(()), asking, say).await, 7);
        let id = |at: usize| cases[at].1.id;
        let all = format!("{}, {}, {}", id(0), id(1), id(2));
        let rest = format!("{}, {}, {}", id(2), id(3), id(4));
        assert_eq!(
            said.into_inner(),
            [
                format!("     5 s  cases: 0 of 5 ended, 0 deviating; left: {all} and 2 more"),
                format!("{}: deviation", id(0)),
                format!("    10 s  cases: 2 of 5 ended, 1 deviating; left: {rest}"),
            ]
        );
    }
}
