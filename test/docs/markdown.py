# SPDX-License-Identifier: BSD-3-Clause
"""The blocks of a Markdown document, with the comment before each that says what tests do with it.

CONTRIBUTING.md ("Documents") has the marks."""
import os
import re
from pathlib import Path

MARKS = ("run", "run by", "not run", "output", "output by", "not output", "file")
FENCE = re.compile(r"^( *)(```+) *(\S*)\s*$")
COMMENT = re.compile(r"^ *<!-- *(.*?) *-->\s*$")
HEADING = re.compile(r"^#{1,6} ")
# What people type stands in blocks of commands, where it can be marked.
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:iovad-|dpdk-|build/|test/|bench/|app/|examples/|meson |ninja |sudo )")


class Block:
    def __init__(self, document, line, language, mark, section):
        self.document, self.line, self.language, self.section = document, line, language, section
        self.lines = []
        self.mark, self.value = "", ""
        for name in sorted(MARKS, key=len, reverse=True):
            if mark and (mark == name or mark.startswith(name + ":")):
                self.mark, self.value = name, mark[len(name) + 1:].strip()
                break

    @property
    def name(self):
        return f"{self.document}:{self.line}"

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)

    @property
    def is_console(self):
        """What was typed, after "$ ", and what was said."""
        return self.language in ("", "console") and any(line.startswith("$ ") for line in self.lines)

    @property
    def is_commands(self):
        return self.language == "sh" or self.is_console

    @property
    def script(self):
        """For bash. Lines at the prompt of a program ("testpmd> start") are its input."""
        lines = self.lines
        if self.is_console:
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        script, inside = [], False
        for line in lines:
            typed = re.match(r"[a-z]+> ?(.*)", line)
            if typed and not inside:
                script[-1] += " <<'TYPED'"
            if inside and not typed:
                script.append("TYPED")
            inside = bool(typed)
            script.append(typed.group(1) if typed else line)
        return "\n".join(script + ["TYPED"] * inside) + "\n"

    @property
    def source(self):
        """The test that says it: of "output by"."""
        return self.value.split(" but for ")[0]

    @property
    def shown(self):
        """The output that the document shows, without the lines that are not always there."""
        unsteady = re.match(r"(?:.* )?but for (.*)", self.value) if "output" in self.mark else None
        return [line for line in self.lines if not (self.is_console and line.startswith("$ "))
                and not (unsteady and unsteady.group(1) in line)]


def blocks_of(source, document):
    """All blocks, and the lines that look like commands outside of them."""
    blocks, stray = [], []
    block = fence = mark = None
    section = 0
    for number, line in enumerate((Path(source) / document).read_text(encoding="utf-8").splitlines(), 1):
        match = FENCE.match(line)
        if block is not None:
            if match and match.group(2) == fence and not match.group(3):
                blocks.append(block)
                if block.language == "" and not (block.mark or block.is_commands) and COMMAND.match(block.text):
                    stray.append(block.line)
                block = None
            else:
                block.lines.append(line.removeprefix(indent))
        elif match:
            indent, fence = match.group(1), match.group(2)
            block, mark = Block(document, number, match.group(3), mark, section), None
        elif comment := COMMENT.match(line):
            mark = comment.group(1)
        elif line.strip():
            mark = None
            section += bool(HEADING.match(line))
            if line.startswith(("    ", "\t")) and COMMAND.match(line.strip()):
                stray.append(number)
    return blocks, stray


def documents(source):
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "build"))
                            and not (Path(folder) / name / "meson-private").exists())
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, name), source)
