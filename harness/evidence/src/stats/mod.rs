//! The estimators behind the verdicts: pure functions from counts to bounds.
//!
//! Each file names the source of its formulas. Nothing here reads a clock, does I/O, knows a
//! metric or decides a verdict. Nothing here returns NaN: where a sample carries no information
//! that a bound could be made of, the answer is `None`, and the caller says INCONCLUSIVE.
//!
//! | file | what it bounds |
//! | --- | --- |
//! | [`binomial`] | a proportion, and with it `p(q) < T` |
//! | [`poisson`] | a rate per second |
//! | [`order`] | a quantile, by the ranks of its sample |
//! | [`quantile`] | a quantile of a sample that hangs together |
//! | [`blocks`] | (the length of the blocks of a bootstrap) |
//! | [`cluster`] | how much less than `n` independent observations a clustered sample is worth |
//! | [`bootstrap`] | a ratio or any other statistic of a time series |

pub mod binomial;
pub mod blocks;
pub mod bootstrap;
pub mod cluster;
pub mod order;
pub mod poisson;
pub mod quantile;
mod special;

/// Whether `confidence` is a probability that a bound can be made for.
fn is_confidence(confidence: f64) -> bool {
    0.0 < confidence && confidence < 1.0
}

/// Asserts that two numbers agree to a relative error, and says both when they do not.
#[cfg(test)]
fn assert_close(actual: f64, expected: f64, relative: f64) {
    let error = (actual - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    assert!(
        error <= relative,
        "{actual:e} is not {expected:e}: relative error {error:.1e} > {relative:.0e}"
    );
}
