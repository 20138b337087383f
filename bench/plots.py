#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Plots of what table.py tabulates: plots.py FOLDER JSON...

Into the folder go those that the JSON has figures for; points are medians, bars the lowest
and highest repetition.

  tree_alloc.svg, tree_free.svg  cost over live ranges
  tails.svg                      how many tree operations take how long
  lcores.svg                     cached pairs of all lcores together
  bounce.svg                     cost over length: where a mapping becomes cheaper than a copy
  aging_day.svg, aging_leak.svg  how far down a space reaches, hour by hour
"""
import math
import os
import statistics
import sys

from table import HOURS, PERCENTS, Run

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 70, 150, 40, 50
COLOURS = ["#1f5fa8", "#d1495b", "#5b8c3a", "#8a5ca8", "#c98a1b", "#555555"]


class Axis:
    """From the data's range, widened to ticks, to pixels."""

    def __init__(self, values, start, end, log, ticks=None):
        self.log, self.start, self.end = log, start, end
        if ticks:
            self.ticks = ticks
        elif log:
            low, high = (edge(math.log10(v)) for edge, v in ((math.floor, min(values)), (math.ceil, max(values))))
            self.ticks = [(10 ** i, short(10 ** i)) for i in range(low, max(high, low + 1) + 1)]
        else:
            step = nice_step(max(values) / 5)
            self.ticks = [(i * step, short(i * step)) for i in range(math.ceil(max(values) / step) + 1)]

    def scale(self, value):
        return math.log10(value) if self.log else value

    def at(self, value):
        low, high = self.scale(self.ticks[0][0]), self.scale(self.ticks[-1][0])
        return self.start + (self.scale(value) - low) / (high - low) * (self.end - self.start)


def nice_step(step):
    decade = 10 ** math.floor(math.log10(step))
    return next(decade * n for n in (1, 2, 5, 10) if decade * n >= step)


def short(value):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def text(x, y, what, anchor="middle", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{what}</text>'


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def curve(points, x, y, colour):
    """points: (x, samples)."""
    at = [(x.at(px), y.at(statistics.median(samples))) for px, samples in points]
    yield f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in at)}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (a, b), (_, samples) in zip(at, points):
        yield f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>'
        yield line(a, y.at(min(samples)), a, y.at(max(samples)), colour)


def labels(series, x, y):
    """Names, where their curves end, but not over each other."""
    ends = sorted((y.at(statistics.median(points[-1][1])), x.at(points[-1][0]), name, colour)
                  for colour, (name, points) in zip(COLOURS, series.items()))
    below = -math.inf
    for at_y, at_x, name, colour in ends:
        below = max(at_y + 4, below + 13)
        yield text(at_x + 8, below, name, "start", f'fill="{colour}"')


def plot(path, title, x_label, y_label, series, log_x=True, log_y=True, x_ticks=None):
    """series: name -> [(x, samples)]."""
    series = {name: sorted(points) for name, points in series.items() if points}
    if not series:
        return
    xs = [px for points in series.values() for px, _ in points]
    ys = [sample for points in series.values() for _, samples in points for sample in samples]
    x = Axis(xs, LEFT, WIDTH - RIGHT, log_x, x_ticks)
    y = Axis(ys, HEIGHT - BOTTOM, TOP, log_y)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
           text(WIDTH / 2, 22, title, extra='font-size="14"'), text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label),
           text(0, 0, y_label, extra=f'transform="translate(16 {HEIGHT / 2}) rotate(-90)"')]
    for value, label in x.ticks:
        out += [line(x.at(value), TOP, x.at(value), HEIGHT - BOTTOM, "#ddd"), text(x.at(value), HEIGHT - BOTTOM + 18, label)]
    for value, label in y.ticks:
        out += [line(LEFT, y.at(value), WIDTH - RIGHT, y.at(value), "#ddd"), text(LEFT - 6, y.at(value) + 4, label, "end")]
    for colour, points in zip(COLOURS, series.values()):
        out += curve(points, x, y, colour)
    out += labels(series, x, y)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n</svg>\n")
    print(path)


def series_of(run, x_of_case, counter="ns", only=None):
    """By contestant; x_of_case: where a case lies, or None."""
    series = {}
    for case, contestants in run.cases.items():
        x = x_of_case(case)
        for name, samples in contestants.items() if x is not None else ():
            if counter in samples and (only is None or name in only):
                series.setdefault(name, []).append((x, samples[counter]))
    return series


def number_after(prefix, case):
    rest = case.removeprefix(prefix)
    try:
        return float(rest) if rest != case or not prefix else None
    except ValueError:
        return None


def tree_plots(run, folder):
    for what in ("alloc", "free"):
        series = series_of(run, lambda case: number_after("replace:", case), f"{what}_ns")
        plot(f"{folder}/tree_{what}.svg", f"Tree: {what} of a random range, 1 to 32 pages", "live ranges", "ns",
             {name: points for name, points in series.items() if len(points) > 1})
    x_of = {percent: 1 / (1 - float(percent) / 100) for percent in PERCENTS}
    def points(samples):
        return [(x_of[percent], samples[f"p{percent}"]) for percent in PERCENTS if f"p{percent}" in samples]
    tails = {name: points(samples) for name, samples in run.cases.get("tails:1e6", {}).items()}
    tails |= {"lock held": points(samples) for samples in run.cases.get("holds:1e6", {}).values()}
    plot(f"{folder}/tails.svg", "Tree: single operations at 1e6 live ranges", "share of operations that take at most so long", "ns",
         tails, x_ticks=[(x, f"{percent} %") for percent, x in x_of.items()])


def cache_plots(run, folder):
    def lcores(case):
        return 1.0 if case == "pair" else number_after("lcores:", case)
    series = {name: [(n, [n * 1000 / sample for sample in samples]) for n, samples in points]
              for name, points in series_of(run, lcores).items()}
    most = max((n for points in series.values() for n, _ in points), default=1)
    if most > 1:
        plot(f"{folder}/lcores.svg", "Cached pairs of all lcores", "lcores", "million pairs per second", series,
             log_y=False, x_ticks=[(2 ** i, str(2 ** i)) for i in range(int(math.log2(most)) + 1)])


def bounce_plots(run, folder):
    plot(f"{folder}/bounce.svg", "Bounce pools: a buffer to the device and back", "bytes", "ns",
         series_of(run, lambda case: number_after("", case), only=("memcpy", "bounce", "to", "mapped")))


def aging_plots(run, folder):
    for case, contestants in run.cases.items():
        plot(f"{folder}/aging_{case}.svg", f"A {case} of ranges of all lengths and lifetimes", "hour",
             "from the lowest to the top, times what is live",
             {name: [(hour, samples[f"footprint_{hour}"]) for hour in HOURS if f"footprint_{hour}" in samples]
              for name, samples in contestants.items()}, log_x=False, log_y=False)


PLOTS = {"tree": tree_plots, "cache": cache_plots, "bounce": bounce_plots, "aging": aging_plots}


def main(folder, paths):
    os.makedirs(folder, exist_ok=True)
    for path in paths:
        if os.path.getsize(path):  # empty: nothing matched
            run = Run(path)
            PLOTS.get(run.program, lambda run, folder: None)(run, folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
