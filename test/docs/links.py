#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""links.py SOURCE_DIR: every link of the documents to a file of the tree, and to a heading in it, leads somewhere."""
import os
import re
import sys


def documents(root):
    """Of the tree, not of build folders in it."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".md"))


def prose(path):
    with open(path, encoding="utf-8") as file:
        return re.sub(r"^ *```.*?^ *```", "", file.read(), flags=re.MULTILINE | re.DOTALL)


def anchors(path):
    """As forges make them of headings."""
    headings = re.findall(r"^#+ +(.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = os.path.join(os.path.dirname(path), name) if name else path
        if not os.path.exists(there) or (anchor and anchor not in anchors(there)):
            yield target


def main(root):
    count = bad = 0
    for path in sorted(documents(root)):
        count += 1
        for target in broken(path):
            print(f"{os.path.relpath(path, root)}: {target} leads nowhere")
            bad += 1
    print(f"{count} documents, {bad} broken links")
    return int(bad > 0 or count == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
