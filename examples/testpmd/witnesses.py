# SPDX-License-Identifier: BSD-3-Clause
"""What iovad, the mbufs and the kernel say of a run, and whether they agree.

Each check_ function returns what is wrong, as lines for people; none where all is well.
Ranges are (first, end), the end not included.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096
# When a container gets its IOMMU type the kernel tries large pages: it maps two pages at 0.
TRIAL_END = 2 * PAGE
MAPPED = re.compile(r"pool (\S+): (0x[0-9a-f]+), (\d+) bytes, is (0x[0-9a-f]+) for devices")
MBUFS = re.compile(r"MBUFS: pool (\S+): (\d+) buffers, (0x[0-9a-f]+) - (0x[0-9a-f]+), are at (0x[0-9a-f]+)")
POOL_SIZE = re.compile(r"MBUFS: pool (\S+): of (\d+)")
DOMAIN = re.compile(r"  live (\d+) ranges,.* quarantined (\d+) bytes; mapped (\d+), unmapped (\d+), errors (\d+)")
# As "testpmd-160 [001] d.h1. 6.04: unmap: IOMMU: iova=0x... - 0x... size=4096 unmapped_size=4096":
# the third of the flags is a dot where it did not happen in an interrupt.
EVENT = re.compile(r"\[\d+\] ..(.)\S* +[\d.]+: (map|unmap): IOMMU: iova=(0x[0-9a-f]+) - (0x[0-9a-f]+)"
                   r"(?:.* unmapped_size=(\d+))?")
FAULT = re.compile(r"DMAR:.*fault addr|AMD-Vi:.*IO_PAGE_FAULT|arm-smmu.*(fault|FSR)")
SUPPRESSED = re.compile(r"(?:dmar_fault|iommu).*: (\d+) callbacks suppressed")


@dataclass(frozen=True)
class Chunk:
    """Memory of a pool: where it is for the program, and for devices."""
    pool: str
    va: int
    iova: int
    length: int
    buffers: int = 0

    def pages(self):
        """The whole pages around it, as devices see them."""
        return self.iova & ~(PAGE - 1), (self.iova + self.length + PAGE - 1) & ~(PAGE - 1)

    def holds(self, other):
        """It has the other's addresses, and translates them alike."""
        return (self.pool == other.pool and self.iova - self.va == other.iova - other.va and
                self.va <= other.va and other.va + other.length <= self.va + self.length)


def claims_in(lines):
    """What the mempool driver says it mapped."""
    return [Chunk(m[1], int(m[2], 16), int(m[4], 16), int(m[3])) for line in lines if (m := MAPPED.search(line))]


def mbufs_in(lines):
    """What the library of --witness found in the mbufs: their memory, and {pool: mbufs it has}."""
    runs = [Chunk(m[1], int(m[3], 16), int(m[5], 16), int(m[4], 16) - int(m[3], 16) + 1, int(m[2]))
            for line in lines if (m := MBUFS.search(line))]
    return runs, {m[1]: int(m[2]) for line in lines if (m := POOL_SIZE.search(line))}


def faults_in(log):
    return sum(1 if FAULT.search(line) else int(m[1]) if (m := SUPPRESSED.search(line)) else 0
               for line in log.splitlines())


def fault_count():
    """How many accesses the IOMMU refused since boot, by the kernel's log; None where that cannot be read."""
    log = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False)
    return faults_in(log.stdout) if log.returncode == 0 and log.stdout else None


def events_in(trace):
    """[(map or unmap, first, end)]. Not what interrupts do: that is other devices' business."""
    events = []
    for flag, kind, first, end, unmapped in EVENT.findall(trace):
        if flag == ".":
            begin = int(first, 16)
            events.append((kind, begin, begin + int(unmapped) if unmapped else int(end, 16)))
    return events


class IommuEvents:
    """The kernel's own account of what this process and those that it starts have mapped."""

    def __init__(self):
        self.path = None

    def __enter__(self):
        """In an instance of the tracer that nobody else uses."""
        for root in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
            if Path(root, "events/iommu/map").is_dir():
                self.path = Path(root, "instances", f"iovad-testpmd-{os.getpid()}")
                self.path.mkdir()
                break
        if self.path:
            try:
                # Other devices are mapped by other processes; the first line would else be missing.
                for name, value in (("set_event_pid", str(os.getpid())), ("options/event-fork", "1"),
                                    ("trace_clock", "global"), ("buffer_size_kb", "16384"),
                                    ("events/iommu/map/enable", "1"), ("events/iommu/unmap/enable", "1")):
                    (self.path / name).write_text(value)
            except OSError:
                self.path.rmdir()
                raise
        return self

    def __exit__(self, *_):
        if self.path:
            self.path.rmdir()

    def read(self):
        """As events_in(), and how many events were lost; (None, 0) where the kernel has none."""
        if not self.path:
            return None, 0
        lost = sum(int(line.split()[-1]) for stats in self.path.glob("per_cpu/cpu*/stats")
                   for line in stats.read_text().splitlines() if line.startswith(("overrun:", "dropped events:")))
        return events_in((self.path / "trace").read_text()), lost


def merge(ranges):
    merged = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((first, end))
    return merged


def subtract(ranges, others):
    """The ranges, less the others."""
    for first, end in others:
        ranges = [(x, y) for a, b in ranges for x, y in ((a, min(b, first)), (max(a, end), b)) if x < y]
    return ranges


def text(ranges):
    return ", ".join(f"{first:#x}-{end - 1:#x}" for first, end in ranges) or "nothing"


def check_packets(ports, expected_ports, at_least):
    problems = []
    if len(ports) != expected_ports:
        problems.append(f"testpmd shows {len(ports)} ports, not {expected_ports}")
    for port, counts in sorted(ports.items()):
        for key in ("RX", "TX"):
            if counts.get(key, 0) < at_least:
                problems.append(f"port {port}: {key} {counts.get(key, 0):,} packets, fewer than {at_least:,}")
    return problems


def check_claims(claims, limit):
    if not claims:
        return ["the mempool driver did not say what it mapped"]
    return [f"pool {c.pool}: {c.iova:#x}-{c.iova + c.length - 1:#x} lies above the limit {limit:#x}"
            for c in claims if c.iova + c.length - 1 > limit]


def check_domain(lines, claims):
    """What the domain says of itself when its last pool goes, and what iovad complained of."""
    counts = [tuple(map(int, m.groups())) for line in lines if (m := DOMAIN.match(line))]
    problems = [line for line in lines if line.startswith("IOVAD") and not MAPPED.search(line)]
    if not counts:
        problems.append("the domain did not say what it has: testpmd did not free its pools")
    for live, quarantined, mapped, unmapped, errors in counts:
        if (live, quarantined, mapped - unmapped, errors) != (len(claims), 0, len(claims), 0):
            problems.append(f"the domain has {live} live ranges and {mapped - unmapped} mappings for {len(claims)} "
                            f"chunks, {quarantined} bytes in quarantine, {errors} errors")
    return problems


def check_mbufs(runs, sizes, claims, at_least):
    """All mbufs lie in what was claimed, at the addresses that belong to it."""
    problems = []
    for run in runs:
        if not any(claim.holds(run) for claim in claims):
            problems.append(f"pool {run.pool}: {run.buffers:,} mbufs, {run.va:#x}, have the addresses "
                            f"{run.iova:#x}-{run.iova + run.length - 1:#x}, which iovad did not give them")
    for pool in {c.pool for c in claims} - sizes.keys():
        problems.append(f"pool {pool}: nobody looked at its mbufs")
    for pool, size in sizes.items():
        if (seen := sum(run.buffers for run in runs if run.pool == pool)) != size:
            problems.append(f"pool {pool}: {seen:,} of {size:,} mbufs were looked at")
    if sum(sizes.values()) < at_least:
        problems.append(f"there are {sum(sizes.values()):,} mbufs, not {at_least:,}")
    return problems


def replay(events):
    """Page tables as the events leave them, and unmaps of what was not mapped. Events do not say
    whose page table they change: what is mapped twice is taken to be in two."""
    tables, unknown = [], []
    for kind, first, end in events:
        one = (first, end)
        if kind == "map":
            free = (i for i, table in enumerate(tables) if subtract([one], table) == [one])
            if (i := next(free, None)) is None:
                tables.append([one])
            else:
                tables[i] = merge([*tables[i], one])
        else:
            mapped = (i for i, table in reversed(list(enumerate(tables))) if not subtract([one], table))
            if (i := next(mapped, None)) is None:
                unknown.append(one)
            else:
                tables[i] = subtract(tables[i], [one])
    return tables, unknown


def check_events(events, lost, claims, limit):
    """Below the limit the kernel mapped what iovad says, no more and no less; and all that it
    mapped, EAL's memory too, it unmapped."""
    problems = []
    if lost:
        problems.append(f"{lost} events of the kernel were lost")
    tables, unknown = replay(events)
    if left := merge(r for table in tables for r in table):
        problems.append(f"the kernel left {text(left)} mapped")
    if unknown:
        problems.append(f"the kernel unmapped {text(unknown)}, which it had not mapped")
    mapped = merge((first, end) for kind, first, end in events if kind == "map" and TRIAL_END <= first <= limit)
    claimed = merge(c.pages() for c in claims)
    if mapped != claimed:
        problems.append(f"the kernel mapped {text(mapped)}, iovad says {text(claimed)}")
    return problems


def check_faults(before, after):
    if before is None or after is None:
        return ["the kernel's log (dmesg) cannot be read, so nobody knows what the IOMMU refused"]
    if after != before:
        return [f"the IOMMU refused {after - before} accesses (dmesg)"]
    return []
