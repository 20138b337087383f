#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What was aimed at and what was reached, from one run of bench/run.sh: goals.py JSON...

A pair is one get and put of a mempool with a cache of 512; the other cells are medians, in pairs
where nothing else is said, with the lowest and highest repetition. What is timed alone is given
without the reading of the clock. Lines whose program was not run are left out.
"""
import os
import statistics
import sys

from table import Run


class Figures:
    """Samples of all programs of a run, in pairs or as they are."""

    def __init__(self, paths):
        self.runs = {run.program: run for run in (Run(path) for path in paths if os.path.getsize(path))}

    def raw(self, program, case, contestant, counter="ns"):
        return self.runs[program].cases[case][contestant][counter]

    def pairs(self, program, case, contestant, counter="ns", alone=False):
        pair = statistics.median(self.raw("cache", "pair", "mempool"))
        clock = float(self.runs["tree"].context["clock_ns"]) if alone else 0
        return [(sample - clock) / pair for sample in self.raw(program, case, contestant, counter)]

    def tree(self, case, counter="alloc_ns", alone=False):
        return self.pairs("tree", case, "iovad", counter, alone)

    def driver(self, cached):
        """Of the cases with a cache or without: the one in which the driver does worst."""
        worst = [0]
        for case, drivers in self.runs["mempool"].cases.items():
            if ("cached" in case) == cached:
                best = min(statistics.median(drivers[peer]["ns"]) for peer in ("ring_mp_mc", "stack"))
                worst = max(worst, [sample / best for sample in drivers["iovad"]["ns"]], key=statistics.median)
        return worst

    def region(self):
        case = next(case for case in self.runs["setup"].cases if case.startswith("region:"))
        backend = statistics.median(self.raw("setup", case, "backend"))
        return [sample / backend for sample in self.raw("setup", case, "iovad")]


# What, the goal, its unit, and the samples.
GOALS = [
    ("cached alloc + free, one lcore", 0.8, "", lambda f: f.pairs("cache", "pair", "iovad")),
    ("bulk of 32, per address", 0.07, "", lambda f: f.pairs("cache", "bulk:32", "iovad")),
    ("alloc on one lcore, free on another", 1.2, "", lambda f: f.pairs("cache", "handover", "iovad")),
    ("replace at 1e5: alloc", 20, "", lambda f: f.tree("replace:1e5")),
    ("replace at 1e5: free by address", 16, "", lambda f: f.tree("replace:1e5", "free_ns")),
    ("replace at 1e6: alloc", 28, "", lambda f: f.tree("replace:1e6")),
    ("replace at 1e6: free by address", 50, "", lambda f: f.tree("replace:1e6", "free_ns")),
    ("two pages past 3e5 holes, 32 bits", 22, "", lambda f: f.tree("past_holes:3e5", alone=True)),
    ("a full 32-bit space refusing", 8, "", lambda f: f.tree("full_space:1e6", alone=True)),
    ("512 aligned pages past 5e4 misfits", 18, "", lambda f: f.tree("aligned_past_misfits:5e4", alone=True)),
    ("1024 exactly fitting aligned holes, each", 15, "", lambda f: f.tree("exact_aligned_holes:1024")),
    ("half 32, half 48 bits at 1e5: alloc", 22, "", lambda f: f.tree("mixed_limits:1e5")),
    ("half 32, half 48 bits at 1e5: free", 16, "", lambda f: f.tree("mixed_limits:1e5", "free_ns")),
    ("metadata at 1e6, packed", 16, "B", lambda f: f.raw("tree", "replace:1e6", "iovad", "bytes_packed")),
    ("metadata at 1e6, with holes", 24, "B", lambda f: f.raw("tree", "replace:1e6", "iovad", "bytes_holes")),
    ("99.999 % of operations at 1e6", 1000, "", lambda f: f.tree("tails:1e6", "p99.999", alone=True)),
    ("99.999 % of the longest holds of the lock", 1000, "", lambda f: f.tree("holds:1e6", "p99.999", alone=True)),
    ("mempool driver, worst case with a cache", 1, "x", lambda f: f.driver(True)),
    ("mempool driver, worst case without", 1, "x", lambda f: f.driver(False)),
    ("domain creation", 20, "ms", lambda f: [ns / 1e6 for ns in f.raw("setup", "create:65536", "soft")]),
    ("a region of 4 GiB", 1.2, "x backend", lambda f: f.region()),
]


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def rows(figures):
    for what, goal, unit, samples_of in GOALS:
        try:
            samples = samples_of(figures)
        except (KeyError, StopIteration):
            continue
        median = statistics.median(samples)
        verdict = "" if median <= goal else f"missed by {median / goal - 1:.0%}"
        yield f"| {what} | {number(goal)} {unit}".rstrip() + f" | {number(median)} [{number(min(samples))}-{number(max(samples))}] | {verdict} |"


def main(paths):
    found = list(rows(Figures(paths)))
    if found:
        print("| case | goal | reached | |", "|---|---|---|---|", *found, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
