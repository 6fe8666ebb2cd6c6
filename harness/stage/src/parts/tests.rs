//! Holds of a day, under a clock that the tests keep.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::series::Second;
use crate::windows::observed_s;

const HOUR: u64 = 3_600;

/// What happens to the machine at a moment of the wall clock, in seconds since 1970.
#[derive(Clone, Copy)]
enum Happens {
    /// It sleeps for so many seconds: the clock on the wall goes on, and nothing else.
    Sleeps(i64, i64),
    /// Somebody moves the clock on the wall by so many seconds.
    Moves(i64, i64),
    /// Somebody ends the stage.
    Ends(i64),
}

/// A machine on which a second passes as soon as somebody waits for it.
struct Machine {
    wall_s: i64,
    /// By how much somebody moved that clock.
    set_s: i64,
    happens: Vec<Happens>,
    ended: bool,
    seconds: Vec<Second>,
    /// The wall clock at each second that was observed.
    at: Vec<i64>,
    /// Parts: their length, and whether they came to their end.
    parts: Vec<(u64, bool)>,
    least_s: f64,
    /// What a part takes before it holds: clients arrive.
    lead_s: u64,
    told: RefCell<Vec<String>>,
    gave_up: Option<String>,
}

impl Machine {
    fn at(moment: &str, hold_s: u64) -> Self {
        Self {
            wall_s: seconds_of(moment),
            set_s: 0,
            gave_up: None,
            happens: Vec::new(),
            ended: false,
            seconds: Vec::new(),
            at: Vec::new(),
            parts: Vec::new(),
            least_s: 0.95 * hold_s as f64,
            lead_s: 0,
            told: RefCell::default(),
        }
    }

    fn with(mut self, happens: Happens) -> Self {
        self.happens.push(happens);
        self
    }

    /// One second of the clock that nobody sets.
    fn tick(&mut self) {
        self.wall_s += 1;
        let (wall_s, set_s) = (&mut self.wall_s, &mut self.set_s);
        let ended = &mut self.ended;
        self.happens.retain(|happens| match *happens {
            Happens::Sleeps(at, by) if *wall_s >= at => {
                *wall_s += by;
                false
            }
            Happens::Moves(at, by) if *wall_s >= at => {
                *wall_s += by;
                *set_s += by;
                false
            }
            Happens::Ends(at) if *wall_s >= at => {
                *ended = true;
                false
            }
            _ => true,
        });
    }

    fn carry_out(&mut self, length: &HoldLength) -> bool {
        let hold_s = length.duration().as_secs();
        let parts = Parts { hold_s, length };
        parts.carry_out(self).expect("there is such a day")
    }

    fn observed(&self) -> u64 {
        observed_s(&self.seconds).round() as u64
    }

    /// The days on which something was observed, with how many seconds of each.
    fn days(&self, tz: &str) -> Vec<(String, usize)> {
        let zone = TimeZone::get(tz).expect("a zone");
        let mut days: Vec<(String, usize)> = Vec::new();
        for at in &self.at {
            let moment = Timestamp::from_second(*at).expect("a moment");
            let day = moment.to_zoned_datetime(zone.clone()).strftime("%a %d").to_string();
            match days.last_mut().filter(|(last, _)| *last == day) {
                Some((_, count)) => *count += 1,
                None => days.push((day, 1)),
            }
        }
        days
    }

    /// The time of day of the last second that was observed, in minutes after midnight.
    fn latest_minute(&self, tz: &str) -> i64 {
        let zone = TimeZone::get(tz).expect("a zone");
        let minute = |at: &i64| {
            let moment =
                Timestamp::from_second(*at).expect("a moment").to_zoned_datetime(zone.clone());
            i64::from(moment.hour()) * 60 + i64::from(moment.minute())
        };
        self.at.iter().map(minute).max().expect("something was observed")
    }
}

impl World for Machine {
    type Error = String;

    fn now_ms(&self) -> i64 {
        self.wall_s * 1_000
    }

    fn set_ms(&self) -> i64 {
        self.set_s * 1_000
    }

    fn pause(&mut self) -> bool {
        self.tick();
        !self.ended
    }

    fn tell(&self, what: &str) {
        self.told.borrow_mut().push(what.to_owned());
    }

    fn observed_s(&self) -> f64 {
        observed_s(&self.seconds)
    }

    fn is_settled(&self) -> bool {
        let has_an_end = self.parts.iter().any(|(_, whole)| *whole);
        self.observed_s() >= self.least_s && has_an_end
    }

    /// As a run does it: what happens is seen a second at a time, and a part is cut once its day is over.
    fn part(&mut self, part_s: u64, closes_ms: Option<i64>) -> Result<After, String> {
        (0..self.lead_s).for_each(|_| self.tick());
        for held in 0..part_s {
            if self.ended {
                self.parts.push((held, false));
                return Ok(After::Interrupted);
            }
            if closes_ms
                .is_some_and(|closes_ms| is_over(self.now_ms(), closes_ms, 1_000 * self.lead_s))
            {
                self.parts.push((held, false));
                return Ok(After::Another);
            }
            self.at.push(self.wall_s);
            self.seconds.push(Second { observed_ms: 1_000, ..Second::default() });
            self.tick();
        }
        self.parts.push((part_s, true));
        Ok(After::Another)
    }

    fn no_such_day(why: String) -> String {
        why
    }

    fn give_up(&mut self, why: String) {
        self.gave_up = Some(why);
    }
}

fn seconds_of(moment: &str) -> i64 {
    moment.parse::<Timestamp>().expect("a moment").as_second()
}

const BERLIN: &str = "Europe/Berlin";

fn day(tz: &str, from: u16, to: u16) -> HoldLength {
    let (from, to, tz) = (from * 60, to * 60, tz.to_owned());
    HoldLength::BusinessDay { from, to, tz, holidays: Vec::new() }
}

fn nine_to_five() -> HoldLength {
    day(BERLIN, 9, 17)
}

fn held(moment: &str) -> Machine {
    let mut machine = Machine::at(moment, 8 * HOUR);
    assert!(machine.carry_out(&nine_to_five()));
    machine
}

#[test]
fn a_business_day_that_is_begun_before_its_hours_is_held_in_one_part() {
    // 2026-12-01 is a Tuesday.
    let machine = held("2026-12-01T05:00:00Z");
    assert_eq!(machine.parts, [(8 * HOUR, true)]);
    assert_eq!(machine.days(BERLIN), [("Tue 01".to_owned(), 28_800)]);
    assert_eq!(machine.told.borrow().len(), 1, "what is waited for is told once");
    assert!(machine.told.borrow()[0].contains("in 180 min"), "{:?}", machine.told);
}

#[test]
fn one_that_is_begun_within_its_hours_goes_on_the_next_business_day() {
    // A Friday, at 15:00.
    let machine = held("2026-12-04T14:00:00Z");
    assert_eq!(machine.parts, [(2 * HOUR, true), (6 * HOUR, true)]);
    assert_eq!(machine.days(BERLIN), [("Fri 04".to_owned(), 7_200), ("Mon 07".to_owned(), 21_600)]);
}

#[test]
fn one_that_is_begun_after_its_hours_or_on_no_business_day_waits() {
    for moment in ["2026-12-04T16:00:00Z", "2026-12-05T10:00:00Z", "2026-12-06T23:30:00Z"] {
        let machine = held(moment);
        assert_eq!(machine.days(BERLIN), [("Mon 07".to_owned(), 28_800)], "{moment}");
    }
    // What is left of Friday is too short to be worth a part.
    let machine = held("2026-12-04T15:59:30Z");
    assert_eq!(machine.days(BERLIN), [("Mon 07".to_owned(), 28_800)]);
}

#[test]
fn a_part_whose_clients_take_their_time_to_arrive_is_not_cut_for_it() {
    let mut machine = Machine { lead_s: 300, ..Machine::at("2026-12-01T05:00:00Z", 8 * HOUR) };
    assert!(machine.carry_out(&nine_to_five()));
    assert_eq!(machine.parts, [(8 * HOUR, true)]);
}

#[test]
fn a_day_of_a_minute_is_held_too() {
    let (from, to, tz) = (540, 541, BERLIN.to_owned());
    let length = HoldLength::BusinessDay { from, to, tz, holidays: Vec::new() };
    let mut machine = Machine::at("2026-12-01T05:00:00Z", 60);
    assert!(machine.carry_out(&length));
    assert_eq!(machine.parts, [(60, true)]);
}

#[test]
fn a_change_to_summer_time_makes_no_hour_that_nobody_saw() {
    // In Berlin on a Sunday: the Monday after it begins an hour earlier by UTC.
    let machine = held("2027-03-26T15:00:00Z");
    assert_eq!(machine.days(BERLIN), [("Fri 26".to_owned(), 3_600), ("Mon 29".to_owned(), 25_200)]);
    assert_eq!(machine.at[3_600], seconds_of("2027-03-29T07:00:00Z"));
    // In Cairo on a business day, a Friday: at midnight the clock goes to one, so that a day of ten hours has nine.
    let cairo = day("Africa/Cairo", 0, 10);
    let mut machine = Machine::at("2027-04-29T21:30:00Z", 10 * HOUR);
    assert!(machine.carry_out(&cairo));
    assert_eq!(
        machine.days("Africa/Cairo"),
        [("Fri 30".to_owned(), 32_400), ("Mon 03".to_owned(), 3_600)]
    );
    // And back, in the night to a Friday: as long as the hold is to be, and no longer.
    let mut machine = Machine::at("2027-10-28T20:30:00Z", 10 * HOUR);
    assert!(machine.carry_out(&cairo));
    assert_eq!(machine.days("Africa/Cairo"), [("Fri 29".to_owned(), 36_000)]);
}

#[test]
fn a_machine_that_sleeps_holds_nothing_meanwhile_and_not_into_the_night() {
    let sleeps = Happens::Sleeps(seconds_of("2026-12-01T11:00:00Z"), 2 * HOUR as i64);
    let mut machine = Machine::at("2026-12-01T08:00:00Z", 8 * HOUR).with(sleeps);
    assert!(machine.carry_out(&nine_to_five()));
    // Three hours before, three behind: the part ends with the day, and what is left is held on the next one.
    let days = machine.days(BERLIN);
    assert_eq!(machine.observed(), 8 * HOUR);
    assert_eq!(machine.parts.len(), 2, "{:?}", machine.parts);
    assert!(!machine.parts[0].1 && machine.parts[1].1);
    assert!(days[0].1 as u64 <= 6 * HOUR + LATE_S, "{days:?}");
    assert_eq!(days[1].0, "Wed 02");
    let latest = machine.latest_minute(BERLIN);
    assert!((17 * 60..17 * 60 + LATE_S as i64 / 60).contains(&latest), "{latest}");

    // Over the whole night: no second of it counts.
    let sleeps = Happens::Sleeps(seconds_of("2026-12-01T11:00:00Z"), 14 * HOUR as i64);
    let mut machine = Machine::at("2026-12-01T08:00:00Z", 8 * HOUR).with(sleeps);
    assert!(machine.carry_out(&nine_to_five()));
    let days = machine.days(BERLIN);
    assert_eq!(days, [("Tue 01".to_owned(), 10_800), ("Wed 02".to_owned(), 18_000)]);
}

#[test]
fn a_clock_that_is_moved_while_it_is_held_neither_adds_to_it_nor_takes_from_it() {
    for by in [-3 * HOUR as i64, -60, 60, 3 * HOUR as i64] {
        let moves = Happens::Moves(seconds_of("2026-12-01T11:00:00Z"), by);
        let mut machine = Machine::at("2026-12-01T08:00:00Z", 8 * HOUR).with(moves);
        assert!(machine.carry_out(&nine_to_five()));
        assert!(machine.observed() >= (0.95 * 8.0 * HOUR as f64) as u64, "{by}");
        assert!(machine.observed() <= 8 * HOUR, "{by}");
        assert!(machine.latest_minute(BERLIN) < 17 * 60 + LATE_S as i64 / 60, "{by}");
        let is_small = by.unsigned_abs() <= 60;
        assert_eq!(
            machine.parts == [(8 * HOUR, true)],
            is_small || by < 0,
            "{by}: {:?}",
            machine.parts
        );
    }
}

#[test]
fn a_clock_that_is_set_into_business_hours_makes_none() {
    // In the evening: nine o'clock of the next day is eleven hours away, and is never one by both.
    let into_the_morning = 11 * HOUR as i64;
    let moves = Happens::Moves(seconds_of("2026-12-01T21:00:00Z"), into_the_morning);
    let mut machine = Machine::at("2026-12-01T20:00:00Z", 8 * HOUR).with(moves);
    assert!(machine.carry_out(&nine_to_five()));
    assert_eq!((machine.observed(), machine.parts.len()), (0, 0));
    let why = machine.gave_up.expect("it says why");
    assert!(why.contains("set forward by 11.0 h"), "{why}");
    // By so much that some hours are ones either way: those are held, and no other.
    let moves = Happens::Moves(seconds_of("2026-12-01T05:00:00Z"), 3 * HOUR as i64);
    let mut machine = Machine::at("2026-12-01T04:00:00Z", 8 * HOUR).with(moves);
    assert!(machine.carry_out(&nine_to_five()));
    assert_eq!(machine.observed(), 8 * HOUR);
    assert_eq!(
        machine.days(BERLIN),
        [("Tue 01".to_owned(), 18_000), ("Wed 02".to_owned(), 10_800)]
    );
    assert!(machine.told.borrow()[1].contains("set forward by 3.0 h"), "{:?}", machine.told);
    assert_eq!(machine.at[0], seconds_of("2026-12-01T11:00:00Z"), "nine by the other clock");
}

#[test]
fn a_holiday_is_not_held() {
    let (from, to, tz) = (9 * 60, 17 * 60, BERLIN.to_owned());
    let length = HoldLength::BusinessDay { from, to, tz, holidays: vec!["2026-12-02".to_owned()] };
    let mut machine = Machine::at("2026-12-01T14:00:00Z", 8 * HOUR);
    assert!(machine.carry_out(&length));
    assert_eq!(machine.days(BERLIN), [("Tue 01".to_owned(), 7_200), ("Thu 03".to_owned(), 21_600)]);
}

#[test]
fn twenty_four_hours_are_held_at_any_time_of_day_whatever_the_clock_says() {
    let length = HoldLength::Time(std::time::Duration::from_secs(24 * HOUR));
    for happens in [
        Happens::Sleeps(seconds_of("2026-12-05T11:00:00Z"), 20 * HOUR as i64),
        Happens::Moves(seconds_of("2026-12-05T11:00:00Z"), -(HOUR as i64)),
        Happens::Moves(seconds_of("2026-12-05T11:00:00Z"), 48 * HOUR as i64),
    ] {
        let mut machine = Machine::at("2026-12-05T08:00:00Z", 24 * HOUR).with(happens);
        assert!(machine.carry_out(&length));
        assert_eq!(machine.parts, [(24 * HOUR, true)]);
        assert_eq!(machine.observed(), 24 * HOUR);
    }
}

#[test]
fn a_stage_that_is_interrupted_while_it_waits_or_holds_is_not_at_its_end() {
    let ends = |moment: &str| {
        let ends = Happens::Ends(seconds_of(moment));
        let mut machine = Machine::at("2026-12-01T05:00:00Z", 8 * HOUR).with(ends);
        assert!(!machine.carry_out(&nine_to_five()));
        machine.observed()
    };
    assert_eq!(ends("2026-12-01T06:00:00Z"), 0);
    assert_eq!(ends("2026-12-01T09:00:00Z"), HOUR);
}

#[test]
fn what_is_left_after_an_interruption_is_held_and_has_an_end() {
    // Of what earlier tries observed nearly all was held, and none of them came to its end.
    let mut machine = Machine::at("2026-12-01T08:00:00Z", 8 * HOUR);
    machine.parts.push((8 * HOUR, false));
    machine.seconds = vec![Second { observed_ms: 1_000, ..Second::default() }; 8 * HOUR as usize];
    assert!(machine.carry_out(&nine_to_five()));
    assert_eq!(machine.parts.last(), Some(&(PART_MIN_S, true)));
}

#[test]
fn a_day_that_there_is_not_is_told() {
    let mut machine = Machine::at("2026-12-01T08:00:00Z", 8 * HOUR);
    let length = day("Europe/Nowhere", 9, 17);
    let parts = Parts { hold_s: 8 * HOUR, length: &length };
    assert!(parts.carry_out(&mut machine).is_err());
}
