#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per operation of the hot paths, against the figures in expected.txt.

instructions.py [--update] COMPILER PROGRAM...

PROGRAM is made of count.c, and run under callgrind, or of step.c, and steps through what callgrind
cannot run.

A path may deviate by 5 %, to either side: a gain is to be kept. --update writes what was
measured into the file:

  meson test -C build instructions --test-args=--update
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.txt")
TOLERANCE = 0.05
SKIPPED = 77
VECTORS = ("_avx512", "_avx2")  # which not every CPU has


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def read_expected():
    """The compiler, and figures by path."""
    compiler, figures = None, {}
    with open(EXPECTED, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words and words[0] == "compiler":
                compiler = words[1]
            elif words:
                figures[words[0]] = float(words[1])
    return compiler, figures


def write_expected(compiler, figures):
    with open(EXPECTED, encoding="utf-8") as file:
        comments = [line for line in file if line.startswith("#")]
    with open(EXPECTED, "w", encoding="utf-8") as file:
        file.writelines(comments)
        file.write(f"compiler {compiler}\n")
        file.writelines(f"{name} {figure:.1f}\n" for name, figure in figures.items())


def inclusive_costs(path):
    """By function: what all calls of it cost, with what they called in turn."""
    names, costs, called = {}, {}, None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line)
            if match:
                if match.group(3):  # only where it comes first
                    names[match.group(2)] = match.group(3)
                called = names[match.group(2)] if match.group(1) else called
            elif line.startswith("calls="):
                cost = int(next(file).split()[1])
                costs[called] = costs.get(called, 0) + cost
    return costs


def environment():
    # As everywhere: nothing is resolved when it is called first, no huge pages, and that memcpy()
    # of the C library's that every CPU has.
    env = dict(os.environ, LD_BIND_NOW="1",
               GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX512VL,-ERMS,-SSSE3")
    env.pop("IOVAD_TEST_EAL_ARGS", None)
    return env


def run(command):
    """What it printed."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def measure_stepped(program):
    steps = re.findall(r"^(\w+) (\d+) (\d+) \d+$", run([program, "_avx512"]), re.MULTILINE)
    return {name: int(instructions) / int(n) for name, n, instructions in steps}


def measure(program):
    """Instructions per operation by path, in the order in which the program has them."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        printed = run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program])
        costs = inclusive_costs(out)
    operations = dict(re.findall(r"^(\w+) (\d+)$", printed, re.MULTILINE))  # EAL may say something, too
    return {name: costs[name] / int(n) for name, n in operations.items()}


def is_stepped(program):
    return os.path.basename(program).startswith("step_")


def compare(figures, expected):
    """Prints a line for each; whether all are as expected."""
    good = True
    for name in list(expected) + [name for name in figures if name not in expected]:
        measured, wanted = figures.get(name), expected.get(name)
        if measured is None:
            # Where this CPU lacks the instructions.
            verdict = "not measured here"
            good = good and name.endswith(VECTORS)
        elif wanted is None:
            verdict, good = f"{measured:9.1f}  not in expected.txt", False
        else:
            deviation = measured / wanted - 1
            verdict = f"{measured:9.1f}  expected {wanted:9.1f}  {deviation:+7.1%}"
            if abs(deviation) > TOLERANCE:
                verdict, good = verdict + "  NOT AS EXPECTED", False
        print(f"{name:24}{verdict}")
    return good


def main(arguments):
    update = "--update" in arguments
    compiler, *programs = [argument for argument in arguments if argument != "--update"]
    if not shutil.which("valgrind"):
        skip("valgrind is not installed")
    known, expected = read_expected()
    if not update and compiler != known:
        skip(f"built by {compiler}; the figures in expected.txt are of {known}")
    figures = {}
    for program in programs:
        figures.update((measure_stepped if is_stepped(program) else measure)(program))
    good = compare(figures, expected)
    if update:
        # What this CPU cannot measure stays.
        kept = {name: figure for name, figure in expected.items() if name.endswith(VECTORS) and name not in figures}
        write_expected(compiler, {**figures, **kept})
        print(f"written to {EXPECTED}")
    elif not good:
        print("If that is how it is to be: meson test -C build instructions --test-args=--update")
    return 0 if good or update else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
