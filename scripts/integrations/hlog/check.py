"""Reads a bundle's latency.hlog with the HdrHistogram package for Python, which shares no code with
the harness, adds up the intervals of each tag, and compares them with run.json, figure by figure.

Usage: check.py BUNDLE
"""

import json
import math
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

# What run.json prints of a histogram, and where. Values are the highest of their bucket in both.
FIGURES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


def sums(path):
    """The histograms of a log, added up by tag; and how many intervals there were."""
    total, intervals = {}, 0
    reader = HistogramLogReader(str(path), HdrHistogram(1, 600_000_000, 3))
    while True:
        interval = reader.get_next_interval_histogram()
        if interval is None:
            return total, intervals
        intervals += 1
        tag = interval.get_tag()
        total.setdefault(tag, HdrHistogram(1, 600_000_000, 3)).add(interval)


def percentile(hist, quantile):
    """The value at a percentile, its rank rounded up as Java, Rust and C do it. The package's own
    get_value_at_percentile rounds to the nearest rank, which can be one lower.
    """
    rank = max(1, math.ceil(quantile / 100 * hist.get_total_count() - 1e-9))
    seen = 0
    for step in hist.get_recorded_iterator():
        seen += step.count_added_in_this_iter_step
        if seen >= rank:
            return hist.get_highest_equivalent_value(step.value_iterated_to)
    return None


def tag_of(line):
    surface = f"/{line['surface']}" if line["surface"] else ""
    return f"{line['metric']}/{line['phase'].replace(' ', '_').replace(',', '_')}{surface}"


def main():
    bundle = pathlib.Path(sys.argv[1])
    report = json.loads((bundle / "run.json").read_text())
    logged, intervals = sums(bundle / "latency.hlog")
    compared, problems = 0, []
    for line in report["metrics"]:
        # What is settled when all threads' records have come together is of no second.
        if line["unit"] != "us" or line.get("settled_at_end"):
            continue
        for figure, suffix in (("response", ""), ("service", ":service")):
            tag = tag_of(line) + suffix
            # What was censored had waited so long, and is in the histogram with it.
            expected = line["n"] if figure == "response" else line["n"] - line["apart"]
            hist = logged.pop(tag, None)
            count = hist.get_total_count() if hist else 0
            if count != expected:
                problems.append(f"{tag}: {count} samples in the log, {expected} in run.json")
                continue
            if not hist:
                continue
            for name, quantile in FIGURES.items():
                value = line[figure][name]
                if value is None:
                    continue
                compared += 1
                read = percentile(hist, quantile)
                if read != value:
                    problems.append(f"{tag}: {name} is {read} in the log, {value} in run.json")
            compared += 1
            if hist.get_max_value() != line[figure]["max"]:
                problems.append(
                    f"{tag}: max is {hist.get_max_value()} in the log, "
                    f"{line[figure]['max']} in run.json"
                )
    problems += [f"{tag} is in the log alone" for tag in logged]
    for problem in problems:
        print(problem)
    print(f"{intervals} intervals read, {compared} figures compared, {len(problems)} differ")
    return 1 if problems or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
