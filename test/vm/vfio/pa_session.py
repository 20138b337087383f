#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""examples/testpmd/session.py in IOVA mode PA, for the emulated machine.

The session takes all that is mapped below the limit for iovad's. In mode PA EAL's own memory
is there too: it lies in RAM, and nothing else does, since the domain keeps off it.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RANGE = re.compile(r"(0x[0-9a-f]+)-(0x[0-9a-f]+)")


def ram():
    return [(int(a, 16), int(b, 16)) for a, b in
            re.findall(r"^ *([0-9a-f]+)-([0-9a-f]+) : System RAM", Path("/proc/iomem").read_text(), re.M)]


def ranges(text):
    return {(int(a, 16), int(b, 16)) for a, b in RANGE.findall(text)}


def explained(problem):
    """It says that the kernel mapped, or unmapped, what iovad says, and RAM besides."""
    m = re.match(r"the kernel (?:un)?mapped (.*?)(?:, iovad says | of )(.*)", problem)
    if not m:
        return False
    more, missing = ranges(m[1]) - ranges(m[2]), ranges(m[2]) - ranges(m[1])
    return more and not missing and all(any(a <= first and last <= b for a, b in ram()) for first, last in more)


def main():
    session = Path(__file__).resolve().parents[3] / "examples/testpmd/session.py"
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "session.json")
        subprocess.run([sys.executable, session, "--json", result, "--eal=--iova-mode=pa", *sys.argv[1:]], check=False)
        if not result.exists():
            return 1
        problems = json.loads(result.read_text())["problems"]
    if not any(explained(p) for p in problems):
        print("not seen: EAL's memory at physical addresses")
        return 1
    for problem in (unexplained := [p for p in problems if not explained(p)]):
        print("not explained by EAL's memory in RAM:", problem)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
