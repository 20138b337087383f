#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""links.py SOURCE_DIR: every link of the documents to a file of the tree, and to a heading in it, leads somewhere;
and every file of the tree that a document or a comment names is there."""
import os
import re
import sys

COMMENT = {".h": r"//(.*)|^\s*/?\*(.*)", ".sh": r"(?:^|\s)#(.*)"}
COMMENT.update({".c": COMMENT[".h"], ".cpp": COMMENT[".h"], ".py": COMMENT[".sh"], ".build": COMMENT[".sh"]})
# Not DPDK's (rte_mbuf.h, dpdk-devbind.py), nor what begins with a variable or stands for any (NAME.cpp).
NAME = re.compile(r"(?<![\w./<$}*-])(?:\.\./)*((?:[\w-]+/)*(?!rte_|dpdk-)[a-z][a-z\d_-]*\.(?:h|cpp|py|sh|md))\b(?!/)")


def files(root):
    """Of the tree, not of build folders in it, nor what is DPDK's."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "build", "dpdk-"))]
        yield from (os.path.join(folder, name) for name in names)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def prose(path):
    return re.sub(r"^ *```.*?^ *```", "", read(path), flags=re.MULTILINE | re.DOTALL)


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
            yield f"{target} leads nowhere"


def remarks(path):
    """What people read in a file: of a document all but the blocks, else the comments."""
    kind = os.path.splitext(path)[1]
    if kind == ".md":
        return prose(path)
    found = re.finditer(COMMENT[kind], read(path), re.MULTILINE) if kind in COMMENT else ()
    return "\n".join("".join(part or "" for part in comment.groups()) for comment in found)


def missing(path, tails):
    return (f"names {name}, which is not there" for name in NAME.findall(remarks(path)) if name not in tails)


def main(root):
    paths = sorted(files(root))
    tails = set()
    for path in paths:
        parts = os.path.relpath(path, root).split(os.sep)
        tails.update("/".join(parts[i:]) for i in range(len(parts)))
    documents = [path for path in paths if path.endswith(".md")]
    bad = [(path, what) for path in documents for what in broken(path)]
    bad += [(path, what) for path in paths for what in missing(path, tails)]
    for path, what in bad:
        print(f"{os.path.relpath(path, root)}: {what}")
    print(f"{len(documents)} documents, {len(bad)} broken links and names")
    return int(bool(bad) or not documents)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
