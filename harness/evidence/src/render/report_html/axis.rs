//! Axes: where a value stands, and which values are written beside the line.

use super::super::units::{count, duration};

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Evenly.
    Linear,
    /// By their logarithm; what is not above the lower end stands at it.
    Log,
    /// Quantiles from 0 to below 1, by the logarithm of what is beyond them: HDR's percentile axis.
    Quantile,
}

/// What the values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of something.
    Count,
    /// Microseconds.
    Micros,
    /// Seconds of a run or since a moment.
    Seconds,
    /// A share, from 0 to 1.
    Share,
    /// Millionths of a core.
    Cores,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its lower end.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// What its values are.
    pub kind: Kind,
    spread: Spread,
    /// Where something is written.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to at least `most`, in about so many steps.
    pub fn linear(kind: Kind, most: f64, steps: u32) -> Self {
        let step = match kind {
            Kind::Seconds => seconds_step(most, steps),
            _ => nice_step(most, steps, kind),
        };
        let hi = if kind == Kind::Seconds { most.max(1.0) } else { (most / step).ceil() * step };
        let hi = if hi > 0.0 { hi } else { step };
        let ticks =
            (0_u32..=200).map(|n| f64::from(n) * step).take_while(|at| *at <= hi * 1.000_001);
        Self { lo: 0.0, hi, kind, spread: Spread::Linear, ticks: ticks.collect() }
    }

    /// From at most `least` to at least `most`, both above 0, by powers of ten.
    pub fn log(kind: Kind, least: f64, most: f64) -> Self {
        let lo = 10_f64.powf(least.max(1.0).log10().floor());
        let hi = 10_f64.powf(most.max(lo * 1.1).log10().ceil());
        let decades = (0_i32..=12).map(|n| lo * 10_f64.powi(n)).take_while(|at| *at <= hi * 1.001);
        let decades: Vec<f64> = decades.collect();
        let between: &[f64] = if decades.len() <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = decades.iter().flat_map(|at| between.iter().map(move |times| at * times));
        let ticks = ticks.filter(|at| *at <= hi * 1.001).collect();
        Self { lo, hi, kind, spread: Spread::Log, ticks }
    }

    /// Quantiles up to `most`, below 1.
    pub fn quantiles(most: f64) -> Self {
        let all = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
        let hi = all.into_iter().find(|at| *at >= most).unwrap_or(0.999_999).max(0.9);
        let ticks = all.into_iter().filter(|at| *at <= hi).collect();
        Self { lo: 0.0, hi, kind: Kind::Share, spread: Spread::Quantile, ticks }
    }

    /// Whether it is by powers of ten.
    pub fn is_log(&self) -> bool {
        self.spread == Spread::Log
    }

    /// Where a value stands, from 0 to 1; what is beyond an end stands at it.
    pub fn place(&self, value: f64) -> f64 {
        let of = |value: f64| match self.spread {
            Spread::Linear => value,
            Spread::Log => value.max(self.lo).log10(),
            Spread::Quantile => -(1.0 - value.min(0.999_999_9)).log10(),
        };
        let (lo, hi) = (of(self.lo), of(self.hi));
        ((of(value) - lo) / (hi - lo)).clamp(0.0, 1.0)
    }

    /// A value as it is written beside the axis.
    pub fn label(&self, value: f64) -> String {
        match self.kind {
            Kind::Seconds => self.moment(value),
            Kind::Share if self.spread == Spread::Quantile => percent(value),
            kind => shown(kind, value).replacen(".00 ", " ", 1).replacen(".0 ", " ", 1),
        }
    }

    /// How often a second is named depends on how long the whole is.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    fn moment(&self, value: f64) -> String {
        let whole = value.round() as u64;
        match self.hi {
            long if long >= 7_200.0 => format!("{}:{:02}", whole / 3_600, whole % 3_600 / 60),
            long if long >= 300.0 => format!("{}:{:02}", whole / 60, whole % 60),
            long if long >= 5.0 => whole.to_string(),
            _ => format!("{value:.1}"),
        }
    }

    /// What a label of seconds is in.
    pub fn moments_are(&self) -> &'static str {
        match self.hi {
            long if long >= 7_200.0 => "h:min",
            long if long >= 300.0 => "min:s",
            _ => "s",
        }
    }
}

/// A quantile as a percentile, without digits that say nothing.
pub fn percent(value: f64) -> String {
    let text = format!("{:.4}", value * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A value for people.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "none is negative")]
pub fn shown(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Count if value.fract() > 0.001 && value < 1_000.0 => format!("{value:.1}"),
        Kind::Count => count(value.round() as u64),
        Kind::Micros => duration(value.round() as u64),
        Kind::Seconds => format!("{value:.0} s"),
        Kind::Share => percent(value),
        Kind::Cores => format!("{:.2}", value / 1e6),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that makes no more than so many steps.
fn nice_step(most: f64, steps: u32, kind: Kind) -> f64 {
    let raw = most.max(1e-9) / f64::from(steps.max(1));
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|it| *it >= raw);
    let step = step.unwrap_or(power * 10.0);
    if kind == Kind::Count { step.max(1.0) } else { step }
}

fn seconds_step(most: f64, steps: u32) -> f64 {
    const STEPS: [f64; 16] = [
        0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
        7_200.0, 14_400.0,
    ];
    let raw = most / f64::from(steps.max(1));
    STEPS
        .into_iter()
        .find(|step| *step >= raw)
        .unwrap_or_else(|| (raw / 14_400.0).ceil() * 14_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_over_all_values() {
        let axis = Axis::linear(Kind::Count, 4_321.0, 4);
        assert_eq!(axis.ticks, [0.0, 2_000.0, 4_000.0, 6_000.0]);
        assert_eq!(Axis::linear(Kind::Count, 0.0, 4).ticks, [0.0, 1.0]);
        let axis = Axis::log(Kind::Micros, 130.0, 20_000.0);
        assert_eq!((axis.lo, axis.hi), (100.0, 100_000.0));
        assert_eq!(axis.ticks.iter().map(|at| axis.label(*at)).next().as_deref(), Some("100 µs"));
        let day = Axis::linear(Kind::Seconds, 86_400.0, 10);
        assert!(day.ticks.len() <= 11 && day.label(7_200.0) == "2:00");
    }

    #[test]
    fn a_value_stands_where_its_share_of_the_axis_is() {
        let axis = Axis::linear(Kind::Count, 100.0, 5);
        assert_eq!((axis.place(25.0), axis.place(-1.0), axis.place(1e9)), (0.25, 0.0, 1.0));
        let axis = Axis::log(Kind::Micros, 100.0, 10_000.0);
        assert!((axis.place(1_000.0) - 0.5).abs() < 1e-9);
        let axis = Axis::quantiles(0.9995);
        assert_eq!(axis.hi, 0.9999);
        assert!((axis.place(0.99) - 0.5).abs() < 1e-9, "two nines of four");
        assert_eq!(
            (percent(0.999), percent(0.5), percent(0.0)),
            ("99.9 %".into(), "50 %".into(), "0 %".into())
        );
    }
}
