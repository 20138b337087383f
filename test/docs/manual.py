#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""manual.py SOURCE_DIR IOVAD_PERF: the manual pages are good mdoc, and say what the programs say:
each option and sub-command of --help is in the page, with its argument, and the page has no other."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE, PERF = Path(sys.argv[1]), sys.argv[2]
MAN = SOURCE / "doc" / "man"
count = 0


def check(name, problems):
    global count
    count += 1
    print(f"{'not ok' if problems else 'ok'} {count} - {name}")
    for problem in problems:
        print(f"#   {problem}")


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}")


def difference(program, page):
    return ([f"not in the page: {one}" for one in sorted(program - page)] +
            [f"only in the page: {one}" for one in sorted(page - program)])


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def lint(page):
    said = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True).stdout.splitlines()
    # The pages of this tree are not installed where it is tested: missing_pages() looks.
    return [line for line in said if "referenced manual not found: Xr iovad" not in line]


def missing_pages(page):
    named = re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.M)
    return [f"no page {name}({section})" for name, section in named if not (MAN / f"{name}.{section}").exists()]


def options_in_help(text):
    """As "--name ARGUMENT", of lines that begin with an option, and of what an option's line names before it."""
    found = re.findall(r"^  (?:-\w(?: \S+)?, )?(--[a-z-]+)(?:[ =]([A-Z][A-Z-]*))?(?:  |$)", text, re.M)
    return {f"{name} {argument}".strip() for name, argument in found}


def options_in_page(text):
    found = re.findall(r"^\.It Fl (?:\w , )?-([a-z-]+)(?: Ar (\S+))?$", text, re.M)
    return {f"--{name} {argument}".strip() for name, argument in found}


def parts_of(page):
    """Its sub-sections, by name; what comes before the first of them under ""."""
    pieces = re.split(r"^\.S[sh] (.+)\n", page.read_text(), flags=re.M)
    return {"": pieces[0] + "".join(pieces[2:]), **dict(zip(pieces[1::2], pieces[2::2]))}


def keys_in_code(path):
    return set(re.findall(r'"(\w+)"', re.search(r"kKeys\[\] = \{(.*)\}", (SOURCE / path).read_text()).group(1)))


def keys_in_page(text):
    return set(re.findall(r"^\.It Cm (\w+) Ns = Ns", text, re.M))


def perf():
    page = parts_of(MAN / "iovad-perf.1")
    usage = output_of(PERF, "--help")
    commands = set(re.findall(r"^  (\w+) ", usage.split("Sub-commands:\n")[1].split("\n\n")[0], re.M))
    check("iovad-perf: each sub-command is in the page, and no other",
          difference(commands, {name for name in page if name.islower()}) + ([] if commands else ["it has none"]))
    check("and in its synopsis", difference(commands, set(re.findall(r"^\.Cm (\w+)$", page["SYNOPSIS"], re.M))))
    for command in sorted(commands):
        options = options_in_help(output_of(PERF, "--", command, "--help")) - {"--help"}
        check(f"iovad-perf {command}: options",
              difference(options, options_in_page(page.get(command, ""))) + ([] if options else ["it has none"]))


def top():
    page = (MAN / "iovad-top.1").read_text()
    options = options_in_help(output_of("python3", SOURCE / "app" / "top" / "main.py", "--help"))
    check("iovad-top: options", difference(options, options_in_page(page)) + ([] if options else ["it has none"]))


def drivers():
    page = (MAN / "iovad.7").read_text()
    nic, environment = page.split(".Sh ENVIRONMENT")
    debug, mempool = environment.split(".It Ev IOVAD_MEMPOOL")
    check("iovad: settings of the virtual NIC", difference(keys_in_code("lib/loop/settings.cpp"), keys_in_page(nic)))
    check("iovad: settings of the mempool driver",
          difference(keys_in_code("lib/mempool/settings.cpp"), keys_in_page(mempool)))
    code = (SOURCE / "lib/eal/debug/settings.cpp").read_text()
    words = set(re.findall(r'word == "(\w+)"', code)) | set(re.findall(r'read_number\(word, "(\w+)="', code))
    check("iovad: words of IOVAD_DEBUG", difference(words, set(re.findall(r"^\.It Cm (\w+)", debug, re.M))))
    variables = set()
    for path in (SOURCE / "lib").rglob("*.cpp"):
        text = path.read_text()
        if "getenv(" in text:
            variables |= set(re.findall(r'"(IOVAD_[A-Z_]+)"', text))
    check("iovad: environment variables", difference(variables, set(re.findall(r"^\.It Ev (\w+)", page, re.M))))


def main():
    for page in sorted(MAN.glob("*.[1-9]")):
        check(f"{page.name}: the pages that it names", missing_pages(page))
        if shutil.which("mandoc"):
            check(f"{page.name}: mandoc -T lint", lint(page))
        else:
            skip(f"{page.name}: mandoc -T lint", "mandoc is not installed")
    perf()
    top()
    drivers()
    print(f"1..{count}")


main()
