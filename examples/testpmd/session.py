#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An unmodified testpmd forwards between two NICs whose mbufs lie where iovad put them.

Runs on the machine that has the NICs, bound to vfio-pci; run.sh arranges that. Shows rates
while it runs, then checks three witnesses against each other: what the mempool driver says
it mapped, what the kernel's iommu:map and iommu:unmap events say, and the kernel's log of
accesses that the IOMMU refused. Exit status 0: packets went both ways and all agree.
"""

import argparse
import json
import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = 4096
# When a container gets its IOMMU type the kernel tries large pages: it maps two pages at 0.
TRIAL_END = 2 * PAGE
# What mempool driver, kernel trace and kernel log write.
MAPPED = re.compile(r"pool (\S+): (0x[0-9a-f]+), (\d+) bytes, is (0x[0-9a-f]+) for devices")
EVENT = re.compile(r"(map|unmap): IOMMU: iova=(0x[0-9a-f]+) - (0x[0-9a-f]+)")
FAULT = re.compile(r"DMAR:.*fault addr|AMD-Vi:.*IO_PAGE_FAULT|arm-smmu.*(fault|FSR)")
SUPPRESSED = re.compile(r"(?:dmar_fault|iommu).*: (\d+) callbacks suppressed")
PORT = re.compile(r"NIC statistics for port (\d+)")
COUNTS = re.compile(r"(RX|TX)-packets: (\d+)")


class Trouble(Exception):
    """Ends the session with a message for people."""


def fault_count():
    """How many accesses the IOMMU refused since boot, by the kernel's log."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    return sum(1 if FAULT.search(line) else int(m[1]) if (m := SUPPRESSED.search(line)) else 0
               for line in log.splitlines())


class IommuEvents:
    """The kernel's own account, in an instance of the tracer that nobody else uses."""

    def __init__(self):
        self.path = None
        for root in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
            if Path(root, "events/iommu/map").is_dir():
                self.path = Path(root, "instances", f"iovad-testpmd-{os.getpid()}")
                self.path.mkdir()
                (self.path / "buffer_size_kb").write_text("16384")
                (self.path / "events/iommu/enable").write_text("1")
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.path:
            self.path.rmdir()

    def read(self):
        """[(map or unmap, first, end)] in order, or None where the kernel has no such events."""
        if not self.path:
            return None
        text = (self.path / "trace").read_text()
        return [(m[1], int(m[2], 16), int(m[3], 16)) for m in EVENT.finditer(text)]


class Testpmd:
    """A running testpmd: commands in, lines out."""

    def __init__(self, command, environment, show):
        self.show = show
        self.lines = []
        # A terminal, since testpmd keeps back what it writes to anything else.
        self.output, terminal = pty.openpty()
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=terminal,
                                        stderr=terminal, bufsize=0)
        os.close(terminal)
        self.rest = b""

    def say(self, command):
        self.process.stdin.write(command.encode() + b"\n")

    def read(self, seconds, until=None):
        """Lines of the next seconds; returns early after one that holds `until`, which must come."""
        found = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.output], [], [], left)[0]:
                break
            try:
                data = os.read(self.output, 65536)
            except OSError:  # it ended
                break
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                self.lines.append(text)
                found.append(text)
                if self.show:
                    print("   |", text, flush=True)
            if until and any(until in line for line in [*found, self.rest.decode(errors="replace")]):
                return found
        if until:
            tail = "\n".join(line for line in self.lines[-20:] if line)
            raise Trouble(f"testpmd did not say '{until}' in {seconds:.0f} s. What it said last:\n{tail}")
        return found

    def end(self):
        self.say("quit")
        self.read(60, "Bye...")
        if status := self.process.wait(30):
            raise Trouble(f"testpmd ended with status {status}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.output)


def world_writable_above(path):
    return any(p.stat().st_mode & stat.S_IWOTH for p in [path, *path.parents])


def staged(build, folder):
    """The driver and its library where EAL loads them: it refuses folders anybody can write to."""
    driver = build / "lib/mempool/librte_mempool_iovad.so"
    if not driver.exists():
        raise Trouble(f"{driver} is not there: build iovad first (app/quickstart.sh, or ninja -C {build})")
    if not world_writable_above(driver.resolve().parent):
        return driver
    for name in (driver, build / "lib/libiovad.so.0"):
        shutil.copy(name, folder)
    return Path(folder, driver.name)


def command_line(args, driver):
    line = ["dpdk-testpmd", "-l", args.lcores, "-d", str(driver), "--mbuf-pool-ops-name=iovad",
            "--log-level=iovad.mempool:info", "--log-level=lib.eal:warning", "--file-prefix", f"iovad-{os.getpid()}"]
    for nic in args.nics:
        line += ["-a", nic]
    line += args.eal
    return line + ["--", "-i", "--forward-mode=io", f"--total-num-mbufs={args.mbufs}", *args.testpmd]


def environment(args, driver):
    settings = f"backend=vfio,limit={args.limit:#x},stats=1"
    return {**os.environ, "IOVAD_MEMPOOL": settings, "LD_LIBRARY_PATH": str(driver.parent)}


def port_counts(lines):
    """{port: {RX: n, TX: n}} of the last 'show port stats all' in the lines."""
    counts, port = {}, None
    for line in lines:
        if m := PORT.search(line):
            port = counts.setdefault(int(m[1]), {})
        elif port is not None:
            port.update({m[1]: int(m[2]) for m in COUNTS.finditer(line)})
    return counts


def forward(pmd, args):
    """Packets for some seconds, and a line for each; returns {port: {RX, TX}} and the rate."""
    pmd.say(f"start tx_first {args.bursts}")
    pmd.read(30, "packets/burst")
    before, counts, started = {}, {}, time.monotonic()
    then = started
    while time.monotonic() - started < args.seconds:
        pmd.read(1.0)
        pmd.say("show port stats all")
        counts = port_counts(pmd.read(0.3))
        now = time.monotonic()
        if before and counts:
            rates = "   ".join(
                f"port {p}: rx {rate(c, before[p], 'RX', now - then):>9,} tx {rate(c, before[p], 'TX', now - then):>9,}"
                for p, c in sorted(counts.items()))
            print(f"  {now - started:5.1f} s   {rates}  packets/s", flush=True)
        before, then = counts or before, now
    pmd.say("stop")
    pmd.read(30, "Done.")
    pmd.say("show port stats all")
    counts = port_counts(pmd.read(2.0))
    return counts, time.monotonic() - started


def rate(now, before, key, seconds):
    return int((now[key] - before[key]) / seconds)


def pages(first, length):
    """The whole pages around memory, as a range of addresses."""
    return first & ~(PAGE - 1), (first + length + PAGE - 1) & ~(PAGE - 1)


def merge(ranges):
    merged = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([first, end])
    return merged


def check_events(events, claims, limit, problems):
    """Below the limit the kernel mapped what iovad says, no more and no less, and unmapped it."""
    ours = [(kind, first, min(end, limit + 1)) for kind, first, end in events
            if TRIAL_END <= first <= limit]
    mapped = merge((first, end) for kind, first, end in ours if kind == "map")
    unmapped = merge((first, end) for kind, first, end in ours if kind == "unmap")
    claimed = merge(claims)
    if mapped != claimed:
        problems.append(f"the kernel mapped {text(mapped)}, iovad says {text(claimed)}")
    if unmapped != claimed:
        problems.append(f"the kernel unmapped {text(unmapped)} of {text(claimed)}")


def text(ranges):
    return ", ".join(f"{first:#x}-{end - 1:#x}" for first, end in ranges) or "nothing"


def check(args, result, claims, events):
    problems = []
    if not claims:
        problems.append("the mempool driver did not say what it mapped")
    for first, end in claims:
        if end - 1 > args.limit:
            problems.append(f"{first:#x}-{end - 1:#x} lies above the limit {args.limit:#x}")
    for port, counts in sorted(result["ports"].items()):
        for key, count in counts.items():
            if count < args.at_least:
                problems.append(f"port {port}: {key} {count:,} packets, fewer than {args.at_least:,}")
    if len(result["ports"]) != len(args.nics):
        problems.append(f"testpmd shows {len(result['ports'])} ports")
    if result["faults"]:
        problems.append(f"the IOMMU refused {result['faults']} accesses (dmesg)")
    if events is not None:
        check_events(events, claims, args.limit, problems)
    return problems


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nics", required=True, type=lambda s: s.replace(",", " ").split(),
                        help="PCI addresses of NICs that are bound to vfio-pci and can hear each other")
    parser.add_argument("--build", required=True, type=Path, help="iovad's build folder")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--limit", type=lambda s: int(s, 0), default=0xffffffff, help="highest address of an mbuf")
    parser.add_argument("--lcores", default="0-1")
    parser.add_argument("--mbufs", type=int, default=8192)
    parser.add_argument("--bursts", type=int, default=8, help="of 32 packets, that go round")
    parser.add_argument("--at-least", type=int, default=1, help="packets per port and direction")
    parser.add_argument("--eal", action="append", default=[], help="one more argument for EAL")
    parser.add_argument("--testpmd", action="append", default=[], help="one more argument for testpmd")
    parser.add_argument("--json", type=Path, help="results")
    parser.add_argument("--verbose", action="store_true", help="show what testpmd says")
    return parser.parse_args()


def run(args):
    faults = fault_count()
    with IommuEvents() as trace, tempfile.TemporaryDirectory(dir="/run", prefix="iovad-testpmd-") as folder:
        driver = staged(args.build.resolve(), folder)
        command = command_line(args, driver)
        print("  IOVAD_MEMPOOL=" + environment(args, driver)["IOVAD_MEMPOOL"], " ".join(command), flush=True)
        pmd = Testpmd(command, environment(args, driver), args.verbose)
        try:
            pmd.read(60, "testpmd>")
            counts, seconds = forward(pmd, args)
            pmd.end()
        finally:
            pmd.kill()
        events = trace.read()
    claims = [pages(int(m[4], 16), int(m[3])) for line in pmd.lines if (m := MAPPED.search(line))]
    result = {"ports": counts, "seconds": round(seconds, 2), "faults": fault_count() - faults,
              "window": [[f"{a:#x}", f"{b - 1:#x}"] for a, b in claims],
              "kernel_events": None if events is None else len(events)}
    result["problems"] = check(args, result, claims, events)
    show(args, pmd, result)
    return result


def show(args, pmd, result):
    seconds = result["seconds"]
    print("\n  packets (all of the run)")
    for port, c in sorted(result["ports"].items()):
        print(f"    port {port}:  received {c['RX']:>12,}   sent {c['TX']:>12,}   "
              f"{(c['RX'] + c['TX']) / 2 / seconds:>10,.0f} packets/s each way")
    print("\n  the window (iovad)")
    begin = next((i for i, line in enumerate(pmd.lines) if line.startswith("domain ")), len(pmd.lines))
    for line in pmd.lines:
        if m := MAPPED.search(line):
            first, end = pages(int(m[4], 16), int(m[3]))
            print(f"    {first:#014x} - {end - 1:#014x}  {m[1]}, {(end - first) >> 10:,} KiB of mbufs")
    for line in pmd.lines[begin:]:
        if line.startswith("  0x"):
            print("  " + line)
    print(f"\n  limit {args.limit:#x}; accesses the IOMMU refused: {result['faults']}; ", end="")
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
        result = run(args)
    except (Trouble, OSError) as trouble:
        print(f"session.py: {trouble}", file=sys.stderr)
        return 1
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
