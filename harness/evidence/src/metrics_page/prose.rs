//! The words of the page, with the judge's constants in them. What is said here is what the code
//! does, not what it should do.

use khala_plan::metric::MetricId;

use crate::hist::HIGHEST_US;
use crate::judge::CONFIDENCE;
use crate::judge::fitness::WAITED_SHARE_MAX;
use crate::judge::oracle::UNDECIDED_SHARE_MAX;
use crate::judge::ratio::SAMPLES_MIN;
use crate::shard::metrics::CLIENT_GROUPS;
use crate::stats::bootstrap;

/// Groups that clients are hashed into.
pub(super) const GROUPS: u32 = CLIENT_GROUPS;

/// Title and what the page is.
pub(super) fn head() -> String {
    "# Metrics\n\n\
     What a gate may claim, and how a claim is judged. This page is made by `khala-harness metrics`\n\
     from the catalogue in [`plan::metric`](../plan/src/metric.rs) and the judge's constants; a test\n\
     tells when it is out of date.\n"
        .to_owned()
}

/// What there is to say of one metric besides its definition.
pub(super) fn note(metric: MetricId) -> Option<&'static str> {
    Some(match metric {
        MetricId::TimeToRecovered => {
            "A client that is not back by the end of the fault's phase is a censored sample: beyond \
             every threshold."
        }
        MetricId::ReconnectAttempts => {
            "A client that is not back by the end of the fault's phase is beyond every threshold, \
             however many attempts it made."
        }
        MetricId::TopicErrors => {
            "A subscribe that a fault made stale and that is refused as stale is no error."
        }
        MetricId::PeakConnects => {
            "The busiest second that touches the objective's phases, over all surfaces."
        }
        MetricId::Violations => {
            "Counted over the whole run, whatever `during` names; see the rules below."
        }
        MetricId::BystanderRatio => "The seconds of each side are resampled; see `ratio` below.",
        _ => return None,
    })
}

/// How samples come about.
pub(super) fn samples() -> String {
    let longest_min = HIGHEST_US / 60_000_000;
    format!(
        "\n## Samples\n\n\
         - A sample belongs to the phase of its intended start, and to the surface of its client.\n\
         - Latencies are gated from the intended start (`response`); the figure from the actual start\n  \
         (`service`) stands beside it in `run.json`.\n\
         - A time-out enters at the time it took. An operation that failed in another way is no sample\n  \
         of its latency, and one that a fault or the end of the run interrupted is no sample at all.\n\
         - Latencies and magnitudes are kept in HDR histograms of 3 significant digits up to\n  \
         {longest_min} minutes; what is larger is kept at that and counted. A histogram's bucket (0.1 %\n  \
         wide) that holds a bound of `<` counts as beyond it.\n\
         - Histograms of threads, surfaces and phases are added; percentiles are never averaged.\n\
         - A percentile is printed only with at least 10 samples beyond it; the median always. That is\n  \
         about printing: a claim is judged by its bound, not by the printed percentile.\n"
    )
}

/// Each estimator: what is computed, and where it was published.
pub(super) fn estimators() -> String {
    let percent = CONFIDENCE * 100.0;
    let resamples = bootstrap::Plan::for_len(1, CONFIDENCE, 0).resamples;
    format!(
        "\n## Estimators\n\n\
         Every bound is one-sided with {percent:.0} % confidence.\n\n\
         ### `p(q)`\n\n\
         `p(q) < T` claims that at most a share `1 - q/100` of the operations is at or beyond `T`. Of n\n\
         samples, x are (with `<=`: beyond). Bounds on the share are those of Clopper and Pearson on\n\
         `x/deff` of `n/deff`: the lower one is the {lower:.2} quantile of Beta(x, n − x + 1), the upper\n\
         one the {upper:.2} quantile of Beta(x + 1, n − x). Beta quantiles take real arguments.\n\n\
         deff, the design effect, is max(1, 1 + (m − 1) ρ): ρ is the intra-cluster correlation of\n\
         exceeding the sample's own 90th percentile, by the analysis-of-variance estimator for clusters\n\
         of unequal size, and m is Σn²/Σn over the clusters. Where samples are alike, it is estimated at\n\
         the 90th percentile and just beyond it, and the larger counts. The threshold is the sample's\n\
         own, so that no sample beyond `T` does not hide that samples hang together. Of a single cluster,\n\
         deff is its size.\n\n\
         Sources: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934). E. L. Korn and B. I. Graubard,\n\
         Survey Methodology 24 (1998), for x/deff of n/deff. L. Kish, Survey Sampling (1965), for the\n\
         design effect; S. M. Kerry and J. M. Bland, Statistics in Medicine 20 (2001), for m; M. S.\n\
         Ridout, C. G. B. Demétrio and D. Firth, Biometrics 55 (1999), for ρ.\n\n\
         ### `max`\n\n\
         Exact: a single sample at or beyond the bound (with `<=`: beyond it) breaks the claim.\n\n\
         ### `proportion`\n\n\
         Bad over all, with the bounds of `p(q)`; ρ is that of the bad ones themselves, so that several\n\
         clusters without a bad one have deff 1.\n\n\
         ### `rate`\n\n\
         Occurrences over the seconds of the phases. Bounds are those of Garwood on `x/deff` in\n\
         `seconds/deff`: the {lower:.2} quantile of Gamma(x) and the {upper:.2} quantile of Gamma(x + 1).\n\
         deff is the index of dispersion, variance over mean, of the counts of the {GROUPS} groups of\n\
         clients, at least 1.\n\n\
         Source: F. Garwood, Biometrika 28 (1936).\n\n\
         ### `count`\n\n\
         Exact: the number of occurrences is compared as it is. Beside a rule of the oracle without a\n\
         violation stands 3/n, what none in n still allows at 95 %.\n\n\
         Source of 3/n: J. A. Hanley and A. Lippman-Hand, JAMA 249 (1983).\n\n\
         ### `ratio`\n\n\
         One p99 over another. Its interval is a moving-block bootstrap over seconds: blocks of\n\
         ⌈seconds^(1/3)⌉ of the shorter side, {resamples} resamples, the two sides apart; each end of the\n\
         interval is a bound. The seed follows from the plan's and stands in the reason. With\n\
         fewer than {SAMPLES_MIN} samples or two blocks on either side there is no interval.\n\n\
         Sources: H. R. Künsch, Annals of Statistics 17 (1989). P. Hall, J. L. Horowitz and B.-Y. Jing,\n\
         Biometrika 82 (1995), for the length of blocks. A. C. Davison and D. V. Hinkley, Bootstrap\n\
         Methods and their Application (1997), for the interval.\n",
        lower = 1.0 - CONFIDENCE,
        upper = CONFIDENCE,
    )
}

/// From bounds to a verdict.
pub(super) fn verdicts() -> String {
    "\nThat is `min_samples` where an objective names none; for all other claims it is 1. A rate goes\n\
     by time: with no occurrence, `rate <= r` takes −ln 0.05 / r seconds. What hangs together takes\n\
     more.\n\n\
     ## Verdicts\n\n\
     - PASS: the upper bound is within the claim. FAIL: the lower bound is beyond it. Else\n  \
     INCONCLUSIVE. Exact claims hold or do not.\n\
     - WARN: `require` passes, and `warn` does not.\n\
     - NOT APPLICABLE: the plan has no occasion for it, and no sample came all the same. It counts as\n  \
     nothing; where `must_apply` names its gate, metric or rule, it is INCONCLUSIVE.\n\
     - INCONCLUSIVE, whatever the bounds say (for `violations` see below): no sample, or fewer\n  \
     than `min_samples`; an estimate that is not a number; a fault in the phases that was not\n  \
     proven to have bitten, or a storm with fewer than `oracle.storm_min_deliveries` before or\n  \
     after it; the p99 of the harness's scheduler lag in these phases is above\n  \
     `generator.lag_share_max` of the claim's threshold (of `oracle.converge_within` where the\n  \
     claim is not about a latency); what else makes the generator unfit, below.\n"
        .to_owned()
}

/// What the generator knows of itself, and what of it decides.
pub(super) fn generator() -> String {
    format!(
        "\n## The generator\n\n\
         The harness judges itself before it judges others. What decides makes an objective of those\n\
         phases INCONCLUSIVE; a breach of a proof stands all the same. What only informs is in\n\
         `generator` of `run.json` and, by second, in `timeseries.csv`: it hurts a verdict by what it\n\
         does to lag, and in no other way.\n\n\
         | figure | how it is taken | unfit when |\n\
         | --- | --- | --- |\n\
         | scheduler lag | every 20 ms on each thread: when a timer fired, less when it was due; and each \
         publish's actual start less its intended one and what it waited for the target to answer others | p99 of the latest thread above \
         `generator.lag_share_max` of the objective's threshold |\n\
         | waiting for a core | `run_delay` in `/proc/self/task/*/schedstat`, each second, of the thread \
         that waited most | above {waited:.0} % of the phases' time |\n\
         | exhaustion | operations that failed for want of file descriptors, ports or socket memory | any |\n\
         | achieved against intended | publishes begun against planned | fewer, by the end of the run; those \
         that the target left no room for, with 1,024 commands unanswered, are told and are errors of it |\n\
         | dropped records, lost threads | counted | any |\n\
         | stalls | a thread did nothing for over 100 ms, ticks included | informs; what was under way \
         on it has no service time and is counted apart, lateness of its clients is judged without them |\n\
         | CPU, hottest thread | process and thread times, each second | informs |\n\
         | resident memory, descriptors | `/proc/self`, each second | informs; descriptors below the plan's \
         need end a run before anything is sent |\n\
         | own queue | how long messages waited for their clients once read, the longest of each second | \
         informs; beside a latency stands what of it may be ours: this (as nine in ten seconds had it) and the \
         lag's p99, where that is above 1 ms or 1 % of the figure; nothing is subtracted |\n\
         | read backlog | bytes left in the kernel after every 16th read at full speed, the most | informs |\n\n\
         Every latency has two figures. *Response* runs from the intended time and is what gates judge;\n\
         *service* runs from when the harness really began. A frozen target shows in both, a frozen\n\
         harness in response and in lag. Time-outs enter at the time-out's value and count as errors.\n",
        waited = WAITED_SHARE_MAX * 100.0,
    )
}

/// How what nobody planned is judged.
pub(super) fn stability() -> String {
    format!(
        "\n## What befalls a run\n\n\
         The gate `stability` is judged whatever a scenario gates. Its objective `absence` is FAIL when the\n\
         target restarted, was lost, cut everybody off at once, or answered or took nobody for longer than\n\
         `stability.absence` (an assumption of {absence}, unless the scenario or the target says otherwise)\n\
         although it was asked, and no fault planned it. Each kind of incident below is FAIL beyond its limit:\n\
         that of the scenario's `[stability]`, else of `[target.stability]`, else of the contract, section 7,\n\
         else none for the embedded runtime and for any other 0.1 % of the clients an hour. Of a target that\n\
         is not the embedded one a single incident is within any limit that nobody gave. What a fault does to\n\
         the clients that it hits, until they are live again or the bound of convergence is over since they\n\
         came back, is the fault's; so is what a hook says that it `causes`, while it may. What follows from\n\
         the harness's own stalls (of 500 ms and more), from what it lacked, and from heartbeats that it owed\n\
         for a minute is INCONCLUSIVE, and so are time-outs of a run whose generator was starved: a target on\n\
         the same machine was starved with it. A publish limit that\n\
         is kept, a stale cursor and a topic without a snapshot are no incidents.\n",
        absence = khala_plan::units::format_duration(khala_plan::stability::ABSENCE),
    )
}

/// What findings are that a key can make rules.
pub(super) fn findings() -> &'static str {
    "On these the contract has no word, so that they break nothing: they are findings, told with how often,\n\
     when first and last, and one client's example. `target.findings_are_rules = [\"…\"]` makes each of them a\n\
     breach of a rule.\n"
}

/// How rules are judged.
pub(super) fn rules() -> String {
    format!(
        "`violations` counts breaches of these rules, `where = {{ rule = \"…\" }}` those of one. They are\n\
         judged whatever a scenario gates. A breach of a *proof* is FAIL whatever the harness's health;\n\
         *lateness* is INCONCLUSIVE when the harness was late itself. A rule that a run never put to the\n\
         test is named in the report; an objective that asks for it is INCONCLUSIVE, or not\n\
         applicable where the plan has no fault that it needs. INCONCLUSIVE is a rule\n\
         whose undecided cases are above {share} of all deliveries (of `lost_publish`, a single one). A\n\
         run in which those of all rules together are above {share} of all deliveries is INCONCLUSIVE.\n",
        share = format_args!("{} %", UNDECIDED_SHARE_MAX * 100.0),
    )
}
