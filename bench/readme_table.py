#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""README's table of figures, from what bench/run.sh measured. Normally called by bench/figures.sh:

  readme_table.py filter PROGRAM         the benchmarks of a program that the table needs, for run.sh -f
  readme_table.py keep FOLDER JSON...    their samples alone, and on which machine, into a folder
  readme_table.py write README JSON...   the table of these, into README between its two marks
  readme_table.py check README JSON...   exit status 1 where README has another table
"""
import difflib
import json
import os
import re
import subprocess
import sys

from table import COUNTERS, Run, names, ratio, spread

BEGIN, END = "<!-- figures: bench/figures.sh writes this -->", "<!-- figures end -->"

# What iovad does; program, case, counter; the contestant beside it, and what that does.
ROWS = [
    ("a page's address from the lcore's cache and back", "cache", "pair", "ns",
     "mempool", "`rte_mempool`, cache of 512: an object and back"),
    ("the same on two lcores at once", "cache", "lcores:2", "ns", "mempool", "the same on two lcores at once"),
    ("bulk of 32 and back, per address", "cache", "bulk:32", "ns", "mempool", "bulk of 32 and back, per object"),
    ("out on one lcore, back on another", "cache", "handover", "ns", "mempool", "out on one lcore, back on another"),
    ("past the caches, 100 000 ranges live: alloc", "tree", "replace:1e5", "alloc_ns",
     "augmented_rbtree", "red-black tree that knows the largest gap of each subtree"),
    ("the same: free", "tree", "replace:1e5", "free_ns", "augmented_rbtree", "that tree: free"),
    ("1 000 000 live: alloc", "tree", "replace:1e6", "alloc_ns", "augmented_rbtree", "that tree: alloc"),
    ("the same: free", "tree", "replace:1e6", "free_ns", "augmented_rbtree", "that tree: free"),
    ("1024 buffers below 4 GiB, past 300 000 holes too small for them, **ms**", "tree", "refill_past_holes:1024", "round_ms",
     "linear_rbtree", "red-black tree walked from the top, as Linux 6.x does it, **ms**"),
    ("mempool driver without a cache: bulk of 32 and back, per object", "mempool", "bulk:32", "ns",
     "ring_mp_mc", "DPDK's driver `ring_mp_mc`"),
    ("the same on two lcores at once", "mempool", "bulk:32:two_lcores", "ns", "ring_mp_mc", "`ring_mp_mc` on two lcores at once"),
    ("lazy unmap of a page, on the lcore", "lazy", "back:1024", "ns", "free", "iovad's cached free of an address"),
    ("1500 bytes through a bounce pool, there and back", "bounce", "1500", "ns", "memcpy", "two plain `memcpy()`"),
    ("the same", "bounce", "1500", "ns", "mapped", "mapped and unmapped strictly, software IOMMU"),
]
CONTESTANT = {"lazy": "unmap", "bounce": "bounce"}  # iovad's, where it has another name


def iovads(program):
    return CONTESTANT.get(program, "iovad")


def needed(program):
    """The benchmarks, as case/contestant."""
    return {f"{case}/{who}" for _, its, case, _, peer, _ in ROWS if its == program for who in (iovads(program), peer)}


def pattern(program):
    return f"^({'|'.join(sorted(needed(program)))})(/|$)"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", file.read(), re.MULTILINE))
    dpdk = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True, check=True).stdout.strip()
    kind = "virtual machine" if "hypervisor" in cpu["flags"].split() else "machine"
    return (f"{kind} of {os.cpu_count()} CPUs, {cpu['model name']} (family {cpu['cpu family']}, model {cpu['model']}) "
            f"at {float(cpu['cpu MHz']) / 1000:.1f} GHz, DPDK {dpdk}")


def keep(folder, paths):
    """In Google Benchmark's form, one repetition a line: without what the table does not need, or names this host."""
    os.makedirs(folder, exist_ok=True)
    for path in paths:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        context = data["context"]
        program = os.path.basename(context["executable"]).removesuffix("_bench")
        wanted = ("run_name", "family_index", "run_type", "real_time", *COUNTERS)
        rows = [{key: row[key] for key in wanted if key in row} for row in data["benchmarks"]
                if row["run_type"] == "iteration" and re.search(pattern(program), row["run_name"])]
        missing = needed(program) - {f"{case}/{who}" for case, who in map(names, rows)}
        if missing:
            sys.exit(f"{path}: not measured: {', '.join(sorted(missing))}")
        kept = {key: context[key] for key in ("date", "iovad_isa", "memory") if key in context}
        kept |= {"date": context["date"][:10], "executable": os.path.basename(context["executable"]), "machine": machine()}
        with open(f"{folder}/{program}.json", "w", encoding="utf-8") as file:
            lines = ",\n    ".join(json.dumps(row) for row in rows)
            file.write(f'{{\n  "context": {json.dumps(kept)},\n  "benchmarks": [\n    {lines}\n  ]\n}}\n')


def caption(runs):
    """Programs that were measured elsewhere, or at another time, get a sentence of their own."""
    facts = {}
    for run in runs.values():
        facts.setdefault((run.context["machine"], run.context["date"]), []).append(run.program)
    memory = {run.context["memory"] for run in runs.values() if "memory" in run.context}
    where = " ".join(f"{where}; {date}" + (f" ({', '.join(sorted(programs))})" if len(facts) > 1 else "") + "."
                     for (where, date), programs in sorted(facts.items()))
    return (f"The median of the repetitions, and in brackets the lowest and the highest. On a {where} "
            f"DPDK's memory: {', '.join(sorted(memory))}.")


def table(paths):
    runs = {run.program: run for run in map(Run, paths)}
    yield from ("", "| iovad | ns | peer | ns | iovad / peer |", "|---|--:|---|--:|--:|")
    for what, program, case, counter, peer, beside in ROWS:
        run = runs[program]
        ours, theirs = (run.cases[case][who][counter] for who in (iovads(program), peer))
        times = ratio(run.median(case, iovads(program), counter), run.median(case, peer, counter))
        yield f"| {what} | {spread(ours)} | {beside} | {spread(theirs)} | {times} |"
    yield from ("", caption(runs), "")


def with_table(text, paths):
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"no place for the table: {BEGIN} ... {END}")
    return "\n".join([before + BEGIN, *table(paths), END]) + after


def main(command, *arguments):
    if command == "filter":
        print(pattern(*arguments))
    elif command == "keep":
        keep(arguments[0], arguments[1:])
    elif command in ("write", "check"):
        readme, *paths = arguments
        with open(readme, encoding="utf-8") as file:
            text = file.read()
        new = with_table(text, paths)
        if command == "check":
            sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), new.splitlines(True), readme, "what the figures say"))
            return int(new != text)
        with open(readme, "w", encoding="utf-8") as file:
            file.write(new)
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else __doc__)
