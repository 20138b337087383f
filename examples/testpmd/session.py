#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An unmodified testpmd forwards between two NICs whose mbufs lie where iovad put them.

Runs on the machine that has the NICs, bound to vfio-pci; run.sh arranges that. Shows rates
while it runs, then checks witnesses against each other: what the mempool driver and its
domain say they mapped, what the kernel's iommu:map and iommu:unmap events say, the kernel's
log of accesses that the IOMMU refused, and with --witness each mbuf. Exit status 0: packets
went both ways and all agree.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import witnesses
from testpmd import SHOW_COUNTS, Testpmd, Trouble, command_line, environment, port_counts, settings, staged

POLL_SECONDS = 0.2
STALL_SECONDS = 60


def forward(pmd, args):
    """Packets until there are enough; returns {port: {RX, TX}} and the seconds."""
    pmd.ask(f"start tx_first {args.bursts}")
    started = moved = time.monotonic()
    counts, progress = {}, Progress(started)
    while not enough(counts, args, time.monotonic() - started):
        pmd.pause(POLL_SECONDS)
        before, counts = counts, port_counts(pmd.ask(SHOW_COUNTS))
        now = time.monotonic()
        progress.show(now, counts)
        if counts != before:
            moved = now
        elif now - moved > STALL_SECONDS:
            raise Trouble(f"no packet moved for {STALL_SECONDS} s: {counts}")
    pmd.ask("stop")
    return port_counts(pmd.ask(SHOW_COUNTS)), time.monotonic() - started


def enough(counts, args, seconds):
    if args.packets is None:
        return seconds >= args.seconds
    return len(counts) == len(args.nics) and all(c.get("RX", 0) >= args.packets for c in counts.values())


class Progress:
    """A line each second."""

    def __init__(self, now):
        self.started = self.then = now
        self.before = {}

    def show(self, now, counts):
        if self.before and now - self.then < 1:
            return
        if self.before:
            rates = "   ".join(f"port {p}: " + " ".join(
                f"{key.lower()} {self.rate(now, p, key, c):>9,}" for key in c) for p, c in sorted(counts.items()))
            print(f"  {now - self.started:5.1f} s   {rates}  packets/s", flush=True)
        self.before, self.then = counts, now

    def rate(self, now, port, key, counts):
        return int((counts[key] - self.before.get(port, {}).get(key, 0)) / (now - self.then))


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nics", required=True, type=lambda s: s.replace(",", " ").split(),
                        help="PCI addresses of NICs that are bound to vfio-pci and can hear each other")
    parser.add_argument("--build", required=True, type=Path, help="iovad's build folder")
    parser.add_argument("--seconds", type=float, default=10, help="of traffic")
    parser.add_argument("--packets", type=int, help="instead: until each port received so many")
    parser.add_argument("--limit", type=lambda s: int(s, 0), default=0xffffffff, help="highest address of an mbuf")
    parser.add_argument("--lcores", default="0-1")
    parser.add_argument("--mbufs", type=int, default=8192)
    parser.add_argument("--bursts", type=int, default=8, help="of 32 packets, that go round")
    parser.add_argument("--at-least", type=int, default=1, help="packets per port and direction")
    parser.add_argument("--eal", action="append", default=[], help="one more argument for EAL")
    parser.add_argument("--testpmd", action="append", default=[], help="one more argument for testpmd")
    parser.add_argument("--witness", type=Path, help="a library that tells of each mbuf: "
                        "test/vm/programs/libmbuf_witness.so of the build folder")
    parser.add_argument("--json", type=Path, help="results")
    parser.add_argument("--verbose", action="store_true", help="show what testpmd says")
    return parser.parse_args(arguments)


def run(args):
    if args.witness and not args.witness.exists():
        raise Trouble(f"{args.witness} is not there")
    faults = witnesses.fault_count()
    with witnesses.IommuEvents() as trace, tempfile.TemporaryDirectory(dir="/run", prefix="iovad-testpmd-") as folder:
        driver = staged(args.build.resolve(), folder)
        command = command_line(args, driver)
        print("  IOVAD_MEMPOOL=" + settings(args), " ".join(command), flush=True)
        with Testpmd(command, environment(args, driver, folder), args.verbose) as pmd:
            pmd.wait_for("testpmd>", 60)
            ports, seconds = forward(pmd, args)
            pmd.end()
        events, lost = trace.read()
    return pmd.lines, judge(args, pmd.lines, ports, seconds, events, lost, (faults, witnesses.fault_count()))


def judge(args, lines, ports, seconds, events, lost, faults):
    """What is known of the run, as --json writes it, with what is wrong with it."""
    claims = witnesses.claims_in(lines)
    problems = witnesses.check_packets(ports, len(args.nics), max(args.at_least, 1))
    problems += witnesses.check_claims(claims, args.limit)
    problems += witnesses.check_domain(lines, claims)
    problems += witnesses.check_faults(*faults)
    result = {"ports": ports, "seconds": round(seconds, 2),
              "window": [(f"{c.pages()[0]:#x}", f"{c.pages()[1] - 1:#x}") for c in claims],
              "faults": None if None in faults else faults[1] - faults[0]}
    if args.witness:
        runs, sizes = witnesses.mbufs_in(lines)
        problems += witnesses.check_mbufs(runs, sizes, claims, args.mbufs)
        result["mbufs"] = sum(r.buffers for r in runs)
    if events is not None:
        problems += witnesses.check_events(events, lost, claims, args.limit)
        result["page_tables"] = len(witnesses.replay(events)[0])
    result["kernel_events"] = None if events is None else len(events)
    result["problems"] = problems
    return result


def show(args, lines, result):
    print("\n  packets (all of the run)")
    for port, c in sorted(result["ports"].items()):
        rx, tx = c.get("RX", 0), c.get("TX", 0)
        print(f"    port {port}:  received {rx:>12,}   sent {tx:>12,}   "
              f"{(rx + tx) / 2 / result['seconds']:>10,.0f} packets/s each way")
    print("\n  the window (iovad)")
    for claim in witnesses.claims_in(lines):
        first, end = claim.pages()
        print(f"    {first:#014x} - {end - 1:#014x}  {claim.pool}, {(end - first) >> 10:,} KiB of mbufs")
    for line in lines:
        if line.startswith("  0x") and "reserved" in line:
            print("  " + line)
    print(f"\n  limit {args.limit:#x}; accesses the IOMMU refused: {result['faults']}; ", end="")
    if "mbufs" in result:
        print(f"{result['mbufs']:,} mbufs seen; ", end="")
    print("the kernel's iommu events were not to be had" if result["kernel_events"] is None
          else f"{result['kernel_events']} iommu events of the kernel")
    for problem in result["problems"]:
        print(f"  WRONG: {problem}")
    if not result["problems"]:
        print("  All agree: packets went both ways, mapped is what iovad says, and nothing is left behind."
              if result["kernel_events"] is not None else "  Packets went both ways.")


def main():
    args = parse_arguments()
    try:
        lines, result = run(args)
    except (Trouble, OSError) as trouble:
        print(f"session.py: {trouble}", file=sys.stderr)
        return 1
    show(args, lines, result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
