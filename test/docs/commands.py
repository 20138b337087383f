#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the commands of all documents, as somebody who reads them would.

commands.py SOURCE_DIR BUILD_DIR       those of the places "build" and "huge"
commands.py SOURCE_DIR BUILD_DIR vm    those of the place "vm", from the tree itself

Each block is marked: to be run in one of these places, run by another test, or not at all, with the reason. See
CONTRIBUTING.md. "build" and "huge" are one folder for each document, which looks like the top of the tree, with
build/ as this build's, and the library installed."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown import blocks_of, documents
from shown import missing

PLACES = ("build", "huge", "vm")
SECONDS = 300  # for a block; more in a machine that is emulated
count = 0


def check(name, problems, log=""):
    global count
    count += 1
    print(f"{'not ok' if problems else 'ok'} {count} - {name}")
    for problem in problems:
        print(f"#   {problem}")
        for line in log.splitlines()[-25:]:
            print(f"#   | {line}")
    sys.stdout.flush()


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}")


class Tree:
    """Who tests what."""

    def __init__(self, source):
        self.source = source
        self.runners = "\n".join(path.read_text() for path in
                                 [source / "test/run.sh", source / ".ci/run", *source.glob("*/meson.build"),
                                  *source.glob("*/*/meson.build"), *source.glob("*/*/*/meson.build")])

    def wrong_test(self, test):
        """None where it is one, and somebody runs it."""
        path = self.source / test
        if not path.is_file():
            return f"there is no {test}"
        if not re.search(rf"\b{re.escape(path.stem)}\b", self.runners):
            return f"nobody runs {test}"
        return None

    def not_in(self, tests, script):
        """The programs of a script that none of the tests speaks of."""
        text = "\n".join((self.source / test).read_text() for test in tests)
        return [program for program in programs(script)
                if not re.search(rf"\b{re.escape({'cc': 'gcc'}.get(program, Path(program).stem))}\b", text)]


def programs(script):
    """The first word of each command, without its folder."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a string over several lines
            words = line.split()
        words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
        if words and re.match(r"[\w./-]+$", words[0]):
            found.append(os.path.basename(words[0]))
    return found


def problems_of(tree, block):
    """What is wrong with the mark of a block of commands."""
    if block.mark == "run":
        return [] if block.value in PLACES else [f"run: {block.value}: the places are {', '.join(PLACES)}"]
    if block.mark == "run by":
        tests = [test.strip() for test in block.value.split(",")]
        wrong = [why for why in map(tree.wrong_test, tests) if why]
        return wrong or [f"no {program} in {block.value}" for program in tree.not_in(tests, block.script)]
    if block.mark == "not run":
        return [] if block.value else ["not run: why?"]
    return ["nobody runs it: <!-- run: PLACE -->, <!-- run by: TEST --> or <!-- not run: REASON --> is to come before it"]


def output_problems(tree, block, commands):
    """The same of a block without a language that comes after these blocks of commands."""
    if block.mark == "output":
        return [] if any(one.mark == "run" for one in commands) else ["what another test runs: <!-- output by: TEST -->"]
    if block.mark == "output by":
        test = block.source
        path = tree.source / test
        text = path.read_text() if path.is_file() else ""
        looks = "shown.py" in text and re.search(rf"(?<!\S){re.escape(block.document)}(?!\S)", text)
        return [] if looks else [f"{test} does not look at it, by test/docs/shown.py"]
    if block.mark == "not output":
        return [] if block.value else ["not output: what else?"]
    return ["output after commands: <!-- output -->, <!-- output by: TEST --> or <!-- not output: REASON --> is to come before it"]


def check_marks(tree, document, blocks, stray):
    problems = [f"{document}:{line}: commands stand in blocks ```sh" for line in stray]
    commands = []
    for block in blocks:
        if block.is_commands:
            commands.append(block)
            problems += [f"{block.name}: {why}" for why in problems_of(tree, block)]
        elif block.mark.endswith(("output", "output by")) or (
                block.language == "" and commands and commands[-1].section == block.section):
            problems += [f"{block.name}: {why}" for why in output_problems(tree, block, commands)]
    check(f"{document}: each command is run, or says why not", problems)


class Place:
    """Where commands are run."""

    def __init__(self, source, build, work, installed):
        self.source, self.build, self.work, self.installed = source, build, work, installed

    def folder(self, document, blocks):
        """As the top of the tree, but that nothing is written there; with the document's files."""
        folder = self.work / re.sub(r"\W", "_", document)
        folder.mkdir()
        for entry in self.source.iterdir():
            if not entry.name.startswith((".", "build")):
                (folder / entry.name).symlink_to(entry)
        (folder / "build").symlink_to(self.build)
        for block in blocks:
            if block.mark == "file":
                (folder / block.value).write_text(block.text)
        return folder

    def environment(self):
        runtime = self.work / "runtime"
        runtime.mkdir(exist_ok=True)
        libraries = self.installed["libdir"]
        return {**os.environ, "RUNTIME_DIRECTORY": str(runtime), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120",
                "PATH": f"{self.installed['bindir']}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(libraries),
                "PKG_CONFIG_PATH": f"{libraries}/pkgconfig:{os.environ.get('PKG_CONFIG_PATH', '')}"}


def install(build, work):
    """As by "meson install"; libiovad.pc says where."""
    root = work / "root"
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", root], check=True,
                   stdout=subprocess.DEVNULL)
    pc = next(root.rglob("libiovad.pc"))
    text = pc.read_text()
    prefix = re.search(r"^prefix=(.*)$", text, re.M).group(1)
    pc.write_text(text.replace(f"prefix={prefix}", f"prefix={root}{prefix}", 1))
    return {"libdir": pc.parent.parent, "bindir": next(root.rglob("iovad-top")).parent}


def run_block(block, folder, environment, seconds):
    """Its output, and what is wrong. A block that does not end is ended with all that it began."""
    # Apart: a buffer's end would split the lines of one by those of the other.
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", block.script], cwd=folder, env=environment,
                                   text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, start_new_session=True)
        try:
            said = process.communicate(timeout=seconds)[0]
            problems = [f"it ended with {process.returncode}"] if process.returncode else []
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, problems = process.communicate()[0], [f"it did not end in {seconds} s"]
        except SystemExit:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
            raise
        errors.seek(0)
        return said + errors.read(), problems


def all_may_write(folder):
    return any(one.stat().st_mode & 0o002 for one in (folder, *folder.parents))


def missing_here(block, build):
    """What this machine has not, and the block needs; None: it has all."""
    if block.value == "huge" and "--huge-dir" not in os.environ.get("IOVAD_TEST_EAL_ARGS", ""):
        return "no huge pages"
    if "dpdk-testpmd" in programs(block.script) and not shutil.which("dpdk-testpmd"):
        return "dpdk-testpmd is not installed"
    if "-d build/" in block.script and all_may_write(build):
        return "EAL loads no plugins from below a folder that all may write to"
    return None


def run_document(blocks, places, folder, build, environment, seconds):
    said, skipped = "", False
    for block in blocks:
        if block.mark == "run" and block.value in places:
            if why := missing_here(block, build):
                skip(f"{block.name} runs", why)
                skipped = True
                continue
            output, problems = run_block(block, folder, environment, seconds)
            check(f"{block.name} runs", problems, output)
            said += output
            if block.is_console:
                check_shown(block, output)
        elif block.mark == "output" and said and not skipped:
            check_shown(block, said)


def check_shown(block, said):
    line = missing(block, said.splitlines())
    check(f"{block.name} is what it says", [] if line is None else [f"it does not: {line}"], said)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    source, build = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    in_machine = sys.argv[3:] == ["vm"]
    tree = Tree(source)
    everything = {document: blocks_of(source, document) for document in documents(source)}
    with tempfile.TemporaryDirectory() as name:
        if not in_machine:
            place = Place(source, build, Path(name), install(build, Path(name)))
        for document, (blocks, stray) in everything.items():
            if in_machine:
                run_document(blocks, ("vm",), source, build, os.environ, 1800)
                continue
            check_marks(tree, document, blocks, stray)
            if any(block.mark == "run" for block in blocks):
                run_document(blocks, ("build", "huge"), place.folder(document, blocks), build, place.environment(), SECONDS)
    print(f"1..{count}")


if __name__ == "__main__":
    main()
