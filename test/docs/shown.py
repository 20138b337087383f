#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a document shows as output, beside what was really said.

shown.py SOURCE_DIR DOCUMENT TEST LOG: for tests: the blocks that DOCUMENT marks "output by: TEST".

The lines shown stand in LOG, in this order. Figures may be others, and blanks more or fewer; "..." is
anything, in a line or for lines."""
import re
import sys

from markdown import blocks_of

FIGURE = r"(?:0x[0-9a-f]+|[0-9][0-9,]*(?:\.[0-9]+)?)"


def pattern(line):
    parts = re.split(rf"(\.\.\.|{FIGURE}|\s+)", line.strip())
    return re.compile("".join(".*" if part == "..." else FIGURE if re.fullmatch(FIGURE, part) else r"\s+" if part.isspace()
                              else re.escape(part) for part in parts))


def missing(block, said):
    """The first line that the block shows and was not said, after those before it; None: all were."""
    said = iter(said)
    for line in block.shown:
        if line.strip() in ("", "..."):
            continue
        wanted = pattern(line)
        if not any(wanted.search(one) for one in said):
            return line
    return None


def main():
    source, document, test, log = sys.argv[1:]
    shown = [block for block in blocks_of(source, document)[0] if block.mark == "output by" and block.source == test]
    if not shown:
        sys.exit(f"{document} shows no output of {test}")
    with open(log, encoding="utf-8", errors="replace") as file:
        said = file.read().splitlines()
    for block in shown:
        if (line := missing(block, said)) is not None:
            sys.exit(f"{block.name}: not said, or not after the line before: {line}")


if __name__ == "__main__":
    main()
