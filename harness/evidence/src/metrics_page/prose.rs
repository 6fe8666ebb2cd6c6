//! The words of the page, with the judge's constants in them. What is said here is what the code
//! does, not what it should do.

use khala_plan::gate::power::SECONDS_MIN;
use khala_plan::metric::MetricId;

use crate::hist::HIGHEST_US;
use crate::judge::CONFIDENCE;
use crate::judge::fitness::WAITED_SHARE_MAX;
use crate::judge::oracle::UNDECIDED_SHARE_MAX;
use crate::judge::ratio::SAMPLES_MIN;
use crate::shard::metrics::CLIENT_GROUPS;
use crate::stats::{bootstrap, quantile};

/// The rows of the table of false passes, as the test that draws them leaves them.
const FALSE_PASSES: &str = include_str!("../../FALSE_PASSES.txt");

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
        MetricId::DeliverySpread => {
            "What a passive run has in place of `delivery`: it needs no time of the publisher's. A runtime that \
             is late for everybody alike has no spread."
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
         - Among the figures a percentile is printed only with at least 10 samples beyond it; the median\n  \
         always, and the one that a gate claims always, with its interval, which says what it is worth.\n"
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
         `p(q) < T` claims that the q-th percentile of what was measured in the objective's phases is\n\
         below `T` (with `<=`: at most): the smallest value that a share q/100 of the samples does not\n\
         exceed. It is always shown, with its interval. The interval comes of two, and is as wide as the\n\
         wider at either end; either is one of 95 %, with 2.5 % beyond each end. A claim rests on one end:\n\
         the other 2.5 % of the 5 % are for what the interval rests on and is estimated itself.\n\n\
         1. *Block bootstrap of the percentile.* Of a metric that flows all the time, blocks of seconds are\n   \
         drawn, {quantile_resamples} resamples; of one that comes of occasions, groups of clients. The length of a block\n   \
         follows from the autocorrelation of the seconds' shares beyond the sample's own 50th, 90th and\n   \
         q-th percentile, and the longest counts, at least n^(1/3) of n seconds. Of few blocks (by weight:\n   \
         (Σn)²/Σn² units over the block's length) the ends are moved out, on a logarithmic scale, by\n   \
         Student's over the normal quantile. The seed follows from the plan's and stands, with blocks and units, in `resampled` of\n   \
         `run.json`.\n\
         2. *Ranks.* A resample never exceeds its sample, so the interval is never narrower than Clopper's\n   \
         and Pearson's bounds for n/deff independent samples make it. deff is the variance of the share\n   \
         beyond a threshold over the same resamples, against that of independent samples: the larger of\n   \
         those at the sample's own 90th and q-th percentile, with the same allowance for few blocks. n\n   \
         samples must be enough by themselves; where n/deff are not, the tail goes on beyond the largest\n   \
         sample as the largest tenth falls off (Weissman's estimator with Hill's index).\n\n\
         Fewer than {seconds} seconds with samples decide nothing, one way or the other. Seconds beyond\n\
         {units_max} are added up by twos, threes and so on before they are resampled.\n\n\
         *Reach* is what the run says of other times. A second is worse when the claim does not hold of it\n\
         by itself; with k of n seconds worse, at most the {percent:.0} % bound of Clopper and Pearson of all seconds\n\
         are, 1 − 0.05^(1/n) for k = 0, if one second says as much as another: 30 clean seconds leave 9.5 %\n\
         open, 299 leave 1 %. It stands beside the interval and decides nothing, unless the objective asks\n\
         for it (`reach = \"1 %\"`): then a PASS that reaches less far is INCONCLUSIVE. A soak and the hold of\n\
         a stage ask. An occasion, such as a resume after a storm, has no other times.\n\n\
         An objective that is undecided says how many more seconds (or samples) like those would decide it:\n\
         what the rule of {seconds} seconds and `min_samples` lack, else by how much the interval, which narrows\n\
         with the root of the sample, is too wide. `check` promises by the same rules, of a run in which\n\
         nothing lies near the bound.\n\n\
         Sources: H. R. Künsch, Annals of Statistics 17 (1989), for blocks; P. Hall, J. L. Horowitz and\n\
         B.-Y. Jing, Biometrika 82 (1995), for n^(1/3); D. N. Politis and H. White,\n\
         Econometric Reviews 23 (2004), corrected by A. Patton, D. N. Politis and H. White, 28 (2009), for\n\
         their length; B. Schmeiser, Operations Research 30 (1982), for t and few blocks; C. J. Clopper and\n\
         E. S. Pearson, Biometrika 26 (1934); E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998), for\n\
         n/deff; I. Weissman, JASA 73 (1978), and B. M. Hill, Annals of Statistics 3 (1975), for the tail.\n\n\
         ### `max`\n\n\
         Exact: a single sample at or beyond the bound (with `<=`: beyond it) breaks the claim.\n\n\
         ### `proportion`\n\n\
         Bad over all, x of n, with the bounds of Clopper and Pearson on `x/deff` of `n/deff`: the lower one\n\
         is the {lower:.2} quantile of Beta(x, n − x + 1), the upper one the {upper:.2} quantile of Beta(x + 1,\n\
         n − x). Beta quantiles take real arguments. deff, the design effect, is max(1, 1 + (m − 1) ρ): ρ is\n\
         the intra-cluster correlation of being bad, by the analysis-of-variance estimator for clusters of\n\
         unequal size, and m is Σn²/Σn over the clusters. Several clusters without a bad one have deff 1; of\n\
         a single cluster, deff is its size.\n\n\
         Sources: as above, and L. Kish, Survey Sampling (1965), for the design effect; S. M. Kerry and J. M.\n\
         Bland, Statistics in Medicine 20 (2001), for m; M. S. Ridout, C. G. B. Demétrio and D. Firth,\n\
         Biometrics 55 (1999), for ρ.\n\n\
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
        quantile_resamples = quantile::RESAMPLES,
        units_max = quantile::UNITS_MAX,
        seconds = SECONDS_MIN,
    )
}

/// How often a percentile passes that should not.
pub(super) fn false_passes() -> String {
    format!(
        "\n## False passes\n\n\
         How often `p(q) < T` is PASS of a process whose q-th percentile is `T` or just beyond it, out of\n\
         2,000 simulated runs each: 40 samples a second, whose logarithms are normal with a spread of 0.8. A\n\
         histogram's bucket, 0.1 % wide, that holds `T` counts as beyond it, so the process breaks the claim\n\
         by no more than that. Of the last two `T` lies between the usual and the bad time: 2 % and 1.7 % of\n\
         the samples are beyond it in the long run, where 1 % may be; which seconds are bad, and when in the\n\
         run the pause begins, is drawn.\n\n\
         | process | claim | measured for | PASS, which is false | FAIL | INCONCLUSIVE |\n\
         | --- | --- | ---: | ---: | ---: | ---: |\n\
         {FALSE_PASSES}\n\
         Of independent samples, and of samples that resemble their neighbours, at most 5 % of the runs pass.\n\
         What is rarer than a run is long, or changes more slowly, no run shows: a level that stays for half a\n\
         minute looks steady for a minute, and of the bad second in 50 a run that met none passes, rightly\n\
         by what it measured; that is what the reach is for. With\n\
         `reach = \"1 %\"` such a run takes 299 clean seconds, which that process gives one time in 400.\n\n\
         `cargo test --release -p khala-evidence --test proofs -- --ignored false_passes` draws them again.\n"
    )
}

/// From bounds to a verdict.
pub(super) fn verdicts() -> String {
    format!(
        "\nThat is `min_samples` where an objective names none; for all other claims it is 1. A rate goes\n\
     by time: with no occurrence, `rate <= r` takes −ln 0.05 / r seconds. What hangs together takes\n\
     more.\n\n\
     ## Verdicts\n\n\
     - PASS: the upper bound is within the claim. FAIL: the lower bound is beyond it. Else\n  \
     INCONCLUSIVE. Exact claims hold or do not. A percentile over fewer than {seconds} seconds, or whose reach is\n  \
     less than asked for, is INCONCLUSIVE.\n\
     - WARN: `require` passes, and `warn` does not.\n\
     - NOT APPLICABLE: the plan has no occasion for it, and no sample came all the same. It counts as\n  \
     nothing; where `must_apply` names its gate, metric or rule, it is INCONCLUSIVE.\n\
     - INCONCLUSIVE, whatever the bounds say (for `violations` see below): no sample, or fewer\n  \
     than `min_samples`; an estimate that is not a number; a fault in the phases that was not\n  \
     proven to have bitten, or a storm with fewer than `oracle.storm_min_deliveries` before or\n  \
     after it; the p99 of the harness's scheduler lag in these phases is above\n  \
     `generator.lag_share_max` of the claim's threshold (of `oracle.converge_within` where the\n  \
     claim is not about a latency); what else makes the generator unfit, below. A FAIL by what was\n  \
     answered stays one on an unfit generator: `auth_errors`, and `unrecovered_clients` where enough\n  \
     of them were turned away (401, 403, an incompatible build), who never ask again.\n\
     - INCONCLUSIVE in place of FAIL: a target that answers in no time would have got the same FAIL,\n  \
     by what the plan itself takes of the clients' time (back-off, `offline_for`). The scenario\n  \
     wants mending, and the report says so.\n",
        seconds = SECONDS_MIN
    )
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
         came back, is the fault's; so is what a hook says that it `causes`, while it may: of `socket_closes`\n\
         ends of sockets with the codes of a graceful stop (1012, 1000), and no others. What follows from\n\
         the harness's own stalls (of 500 ms and more), from what it lacked, and from heartbeats that it owed\n\
         for a minute is INCONCLUSIVE, and so are time-outs, beginning again after them and silences that ended,\n\
         where the generator was starved (it waited for a core for more than {waited:.0} % of the time) over the\n\
         whole run or while they were waited for: a target on the same machine was starved with it. So are\n\
         breaches of a rule on lateness that came when the generator had been starved for as long as the settle\n\
         bound, where without them the claim holds. A publish limit that is kept, a stale cursor and a topic\n\
         without a snapshot are no incidents.\n",
        waited = WAITED_SHARE_MAX * 100.0,
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
         whose undecided cases are above {share} of all deliveries (of `lost_publish`, a single one), or\n\
         more than those that were judged. A\n\
         run in which those of all rules together are above {share} of all deliveries is INCONCLUSIVE.\n",
        share = format_args!("{} %", UNDECIDED_SHARE_MAX * 100.0),
    )
}
