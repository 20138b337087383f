#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One table of the repetitions in Google Benchmark's JSON: medians, spread, ratios.

Times are nanoseconds: the median of the repetitions, and in brackets their lowest and
highest. A ratio is a median divided by the median of the reference in the same run:

  tree   x aug    the augmented red-black tree in the same case
  cache  x pair   one get and put of a mempool with a cache of 512
         x pool   the mempool in the same case
         exchanges  with the depot or the tree, per address
  lazy   x free   a cached free of an address, in the same burst
         x strict the same with strict unmapping
  mempool  x ring, x stack  DPDK's driver in the same case
  bounce x memcpy the same data copied both ways
         best     ns in the best slice of time
  setup  x backend  the backend alone
  aging  N h      after so many hours, how many times what is live the space reaches down
         gap      the largest at the end, in pages
"""
import collections
import json
import os
import re
import statistics
import sys


HOURS = range(1, 25)
PERCENTS = ("50", "90", "99", "99.9", "99.99", "99.999")
COUNTERS = ("ns", "best_ns", "alloc_ns", "free_ns", "bytes_packed", "bytes_holes", "found", "exchanges", "round_ms",
            *(f"p{percent}" for percent in PERCENTS), *(f"{what}_{h}" for what in ("footprint", "gap") for h in HOURS))


def names(row):
    """Case and contestant: without what Google Benchmark adds to them."""
    case, _, contestant = row["run_name"].partition("/")
    return case, re.sub(r"/(real_time|manual_time|(threads|iterations|repeats):\d+)", "", contestant)


class Run:
    """Samples of one JSON file: [case][contestant][counter] -> list of numbers."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.context = data["context"]
        self.program = os.path.basename(self.context["executable"]).removesuffix("_bench")
        self.errors = []
        self.cases = collections.defaultdict(lambda: collections.defaultdict(dict))
        rows = sorted(data["benchmarks"], key=lambda row: row["family_index"])
        groups = list(dict.fromkeys(row["run_name"].split(":")[0] for row in rows))
        # Sizes of one case together, whichever contestant was registered first.
        rows.sort(key=lambda row: (groups.index(row["run_name"].split(":")[0]), names(row)[0]))
        for row in rows:
            case, contestant = names(row)
            if row.get("error_occurred"):
                self.errors.append(f"{case}/{contestant}: {row['error_message']}")
            elif row["run_type"] == "iteration":
                self.add(case, contestant, row)

    def add(self, case, contestant, row):
        samples = self.cases[case][contestant]
        found = {counter: row[counter] for counter in COUNTERS if counter in row}
        for counter, value in (found or {"ns": row["real_time"]}).items():
            samples.setdefault(counter, []).append(value)

    def median(self, case, contestant, counter):
        samples = self.cases.get(case, {}).get(contestant, {}).get(counter)
        return statistics.median(samples) if samples else None


def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(samples):
    return f"{number(statistics.median(samples))} [{number(min(samples))}-{number(max(samples))}]" if samples else ""


def ratio(value, reference):
    if value is None or not reference:
        return ""
    value /= reference
    small = f"{float(f'{value:.1g}'):.9f}".rstrip("0")
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else small


def tree_rows(run):
    yield ["case", "contestant", "alloc ns", "x aug", "free ns", "x aug", "B packed", "B holes", "found", "round ms",
           *(f"{percent} %" for percent in PERCENTS)]
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            row = [case, name]
            for counter in ("alloc_ns", "free_ns"):
                reference = run.median(case, "augmented_rbtree", counter)
                row += [spread(samples.get(counter)), ratio(run.median(case, name, counter), reference)]
            row += [number(run.median(case, name, counter)) for counter in ("bytes_packed", "bytes_holes")]
            found = run.median(case, name, "found")
            row += ["" if found is None else f"{found:.0%}", number(run.median(case, name, "round_ms"))]
            yield row + [number(run.median(case, name, f"p{percent}")) for percent in PERCENTS]


def cache_rows(run):
    yield ["case", "contestant", "ns", "x pair", "x pool", "exchanges"]
    pair = run.median("pair", "mempool", "ns")
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            median = run.median(case, name, "ns")
            pool = run.median(case, "mempool", "ns")
            yield [case, name, spread(samples.get("ns")), ratio(median, pair), ratio(median, pool),
                   number(run.median(case, name, "exchanges"))]


def lazy_rows(run):
    yield ["case", "contestant", "ns", "x free", "x strict"]
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            median = run.median(case, name, "ns")
            yield [case, name, spread(samples.get("ns")), ratio(median, run.median(case, "free", "ns")),
                   ratio(median, run.median(case, "strict", "ns"))]


def mempool_rows(run):
    yield ["case", "driver", "ns", "x ring", "x stack"]
    for case, drivers in run.cases.items():
        for name, samples in drivers.items():
            median = run.median(case, name, "ns")
            yield [case, name, spread(samples.get("ns")), ratio(median, run.median(case, "ring_mp_mc", "ns")),
                   ratio(median, run.median(case, "stack", "ns"))]


def bounce_rows(run):
    yield ["case", "contestant", "ns", "best", "x memcpy"]
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            memcpy = run.median(case, "memcpy", "ns")
            yield [case, name, spread(samples.get("ns")), number(run.median(case, name, "best_ns")),
                   ratio(run.median(case, name, "ns"), memcpy)]


def soft_rows(run):
    yield ["case", "of", "ns"]
    for case, variants in run.cases.items():
        for name, samples in variants.items():
            yield [case, name, spread(samples.get("ns"))]


def setup_rows(run):
    yield ["case", "contestant", "ns", "x backend"]
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            yield [case, name, spread(samples.get("ns")), ratio(run.median(case, name, "ns"), run.median(case, "backend", "ns"))]


def aging_rows(run):
    hours = HOURS[3::4]
    yield ["case", "contestant", "ns", *(f"{hour} h" for hour in hours), "gap"]
    for case, contestants in run.cases.items():
        for name, samples in contestants.items():
            yield [case, name, spread(samples.get("ns")), *(number(run.median(case, name, f"footprint_{hour}")) for hour in hours),
                   number(run.median(case, name, f"gap_{HOURS[-1]}"))]


ROWS = {"tree": tree_rows, "cache": cache_rows, "lazy": lazy_rows, "mempool": mempool_rows,
        "bounce": bounce_rows, "soft": soft_rows,
        "setup": setup_rows, "aging": aging_rows}


def show(rows):
    rows = list(rows)
    used = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}
    previous = None
    for row in rows:
        if previous and row[0] != previous:
            print()
        previous = row[0]
        cells = [row[i].ljust(widths[i]) if i < 2 else row[i].rjust(widths[i]) for i in used]
        print("  ".join(cells).rstrip())


def main(paths):
    failed = False
    # Google Benchmark leaves an empty file where the filter matched nothing.
    matched = [path for path in paths if os.path.getsize(path)]
    if not matched:
        print("no benchmark has a name that matches", file=sys.stderr)
        return 1
    for path in matched:
        run = Run(path)
        facts = {k: run.context[k] for k in ("iovad_isa", "clock_ns", "lcores", "memory", "backend") if k in run.context}
        print(f"\n{path}: " + ", ".join(f"{k} {v}" for k, v in facts.items()) + "\n")
        show(ROWS[run.program](run))
        for error in run.errors:
            print(f"failed: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
