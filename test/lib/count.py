#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Count test cases, not test programs.

count.py BUILD_DIR          after "meson test -C BUILD_DIR"
count.py --tap LOG STATUS   a script that printed TAP into LOG and ended with STATUS

Prints "PASSED FAILED SKIPPED" and, on stderr, one line for each failure. What a
program reports of itself is not all: where it crashed, ran out of time, ended badly
after its last case, or ran no case at all, that is one failure more.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ET

GOOD_ENDS = {"OK", "EXPECTEDFAIL"}


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, why):
        self.failed += 1
        print(f"FAILED {name}: {why}", file=sys.stderr)

    def cases(self):
        return self.passed + self.failed + self.skipped


def count_gtest(name, path, count):
    """The cases of one program, from the XML that GoogleTest wrote."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return  # it never got to its end: the caller sees no case
    for case in root.iter("testcase"):
        full = f"{name} {case.get('classname')}.{case.get('name')}"
        failure = case.find("failure")
        if failure is not None:
            count.fail(full, (failure.get("message") or "").strip().split("\n")[0])
        elif case.get("status") == "notrun" or case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1


def count_tap(name, text, count):
    """The lines of a TAP stream; its plan must be kept."""
    plan, seen, explained = None, 0, True
    for line in text.splitlines():
        if line.startswith("#") and not explained:
            print(f"    {line}", file=sys.stderr)
            continue
        explained = True
        match = re.match(r"1\.\.(\d+)\s*(#\s*skip\b.*)?$", line, re.I)
        if match:
            plan = int(match.group(1))
            if plan == 0 and match.group(2):
                count.skipped += 1
            continue
        match = re.match(r"(not )?ok\b\s*\d*\s*-?\s*([^#]*)(#\s*(skip|todo)\b.*)?", line, re.I)
        if match:
            seen += 1
            if match.group(4) and match.group(4).lower() == "skip":
                count.skipped += 1
            elif match.group(1):
                count.fail(f"{name} {match.group(2).strip()}", "not ok")
                explained = False  # by the comments that follow
            else:
                count.passed += 1
        elif line.startswith("Bail out!"):
            count.fail(name, line)
    if plan is None:
        count.fail(name, "it did not say how many checks it makes (no TAP plan)")
    elif plan != seen:
        count.fail(name, f"{plan} checks were planned, {seen} made")


def close(name, before, count, ended_well, how):
    """What the cases of one program do not say."""
    passed, failed, skipped = before
    if not ended_well and count.failed == failed:
        count.fail(name, how)
    elif count.cases() == passed + failed + skipped:
        count.fail(name, "it ran no test")


def count_meson(build, count):
    with open(os.path.join(build, "meson-info", "intro-tests.json"), encoding="utf-8") as file:
        tests = {test["name"]: test for test in json.load(file)}
    log = os.path.join(build, "meson-logs", "testlog.json")
    with open(log, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.strip()]
    if not records:
        count.fail(build, "meson ran no test")
    for record in records:
        name = record["name"].split(" / ")[-1]
        label = f"{os.path.basename(build)} {name}"
        test = tests.get(name, {})
        before = (count.passed, count.failed, count.skipped)
        result = record["result"]
        if test.get("protocol") == "gtest":
            count_gtest(label, os.path.join(test.get("workdir") or build, f"{name}.xml"), count)
        elif test.get("protocol") == "tap":
            count_tap(label, record.get("stdout", ""), count)
        elif result == "SKIP":
            count.skipped += 1
        elif result in GOOD_ENDS:
            count.passed += 1
        how = f"it ended with {result} (status {record.get('returncode')})"
        # TAP programs whose checks were all skipped are "SKIP" to meson.
        close(label, before, count, result in GOOD_ENDS or result == "SKIP", how)


def main():
    count = Count()
    if sys.argv[1] == "--tap":
        name = os.path.basename(sys.argv[2]).removesuffix(".log")
        with open(sys.argv[2], encoding="utf-8", errors="replace") as file:
            count_tap(name, file.read(), count)
        close(name, (0, 0, 0), count, sys.argv[3] == "0", f"it ended with status {sys.argv[3]}")
    else:
        count_meson(sys.argv[1].rstrip("/"), count)
    print(count.passed, count.failed, count.skipped)


if __name__ == "__main__":
    main()
