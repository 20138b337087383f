#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What commands.py takes from a document, and what it thinks of that."""
import os
import tempfile
import unittest
from pathlib import Path

from commands import Tree, output_problems, problems_of, run_block
from markdown import blocks_of, documents
from shown import missing


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.md").write_text(text)
        return blocks_of(folder, "a.md")


class Blocks(unittest.TestCase):
    def test_the_comment_before_a_block_is_its_mark(self):
        blocks, _ = read("<!-- run: build -->\n\n```sh\ntrue\n```\nWords.\n```sh\nfalse\n```\n")
        self.assertEqual([(b.mark, b.value, b.line) for b in blocks], [("run", "build", 3), ("", "", 7)])

    def test_words_between_take_the_mark_away(self):
        blocks, _ = read("<!-- run: build -->\nWords.\n```sh\ntrue\n```\n")
        self.assertEqual(blocks[0].mark, "")

    def test_run_by_is_not_run(self):
        blocks, _ = read("<!-- run by: test/a.sh -->\n```sh\na\n```\n<!-- not run: why -->\n```sh\nb\n```\n")
        self.assertEqual([(b.mark, b.value) for b in blocks], [("run by", "test/a.sh"), ("not run", "why")])

    def test_an_unknown_mark_is_none(self):
        self.assertEqual(read("<!-- runs: build -->\n```sh\ntrue\n```\n")[0][0].mark, "")

    def test_blocks_in_lists_lose_their_indent(self):
        self.assertEqual(read("1. Words:\n\n   ```sh\n   true \\\n       x\n   ```\n")[0][0].lines, ["true \\", "    x"])

    def test_what_is_typed_to_a_program_is_its_input(self):
        self.assertEqual(read("```sh\npmd -- -i\npmd> start\npmd> stop\ntrue\n```\n")[0][0].script,
                         "pmd -- -i <<'TYPED'\nstart\nstop\nTYPED\ntrue\n")

    def test_a_console_has_commands_and_output(self):
        block = read("```\n$ echo x\nx\n```\n")[0][0]
        self.assertTrue(block.is_commands)
        self.assertEqual((block.script, block.shown), ("echo x\n", ["x"]))

    def test_commands_outside_of_blocks_are_found(self):
        _, stray = read("Words\n\n    iovad-perf record x\n\n```\nIOVAD_DEBUG=on dpdk-testpmd\n```\n```c\n    ninja x\n```\n")
        self.assertEqual(stray, [3, 5])

    def test_sections_part_commands_from_pictures(self):
        blocks, _ = read("# A\n```sh\n# true\ntrue\n```\n```\nout\n```\n## B\n```\npicture\n```\n")
        self.assertEqual([b.section for b in blocks], [1, 1, 2])

    def test_build_folders_have_no_documents(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("doc", "build-x", ".git", "other/meson-private"):
                (Path(folder) / name).mkdir(parents=True)
            for name in ("a.md", "doc/b.md", "build-x/c.md", ".git/d.md", "other/e.md"):
                (Path(folder) / name).write_text("")
            self.assertEqual(sorted(documents(folder)), ["a.md", "doc/b.md"])


class Marks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name)
        for name, text in {"test/run.sh": "tap test/a.sh", ".ci/run": "", "test/a.sh": "iovad-perf; shown.py X a.md x",
                           "test/b.sh": "iovad-perf"}.items():
            (self.source / name).parent.mkdir(exist_ok=True)
            (self.source / name).write_text(text)
        self.tree = Tree(self.source)

    def problems(self, mark, script="iovad-perf x"):
        return problems_of(self.tree, read(f"{mark}\n```sh\n{script}\n```\n")[0][0])

    def test_one_of_three_is_wanted(self):
        for mark in ("<!-- run: build -->", "<!-- run by: test/a.sh -->", "<!-- not run: a reason -->"):
            self.assertEqual(self.problems(mark), [], mark)
        self.assertIn("nobody runs it", self.problems("")[0])

    def test_what_says_nothing_is_refused(self):
        self.assertIn("the places are", self.problems("<!-- run: anywhere -->")[0])
        self.assertIn("why?", self.problems("<!-- not run -->")[0])

    def test_the_other_test_is_there_and_runs_the_program(self):
        self.assertIn("there is no test/c.sh", self.problems("<!-- run by: test/c.sh -->")[0])
        self.assertIn("nobody runs test/b.sh", self.problems("<!-- run by: test/b.sh -->")[0])
        self.assertIn("no iovad-top in", self.problems("<!-- run by: test/a.sh -->", "A=b bin/iovad-top")[0])

    def test_output_is_marked_too(self):
        for mark, problem in (("<!-- output -->", ""), ("<!-- output by: test/a.sh -->", ""), ("<!-- not output: a picture -->", ""),
                              ("<!-- not output -->", "what else?"), ("<!-- output by: test/b.sh -->", "does not look"), ("", "output after")):
            commands, shown = read(f"<!-- run: build -->\n```sh\ntrue\n```\n{mark}\n```\nx\n```\n")[0]
            said = output_problems(self.tree, shown, [commands])
            self.assertEqual(bool(said), bool(problem), mark)
            self.assertIn(problem, "".join(said))


class Running(unittest.TestCase):
    def run_script(self, script, seconds=60):
        return run_block(read(f"```sh\n{script}\n```\n")[0][0], ".", os.environ, seconds)

    def test_the_first_command_that_fails_ends_it(self):
        self.assertEqual(self.run_script("echo a\nfalse\necho b"), ("a\n", ["it ended with 1"]))

    def test_what_does_not_end_is_ended(self):
        said, problems = self.run_script("echo a\nsleep 1000", 1)
        self.assertEqual((said, problems), ("a\n", ["it did not end in 1 s"]))

    def test_nobody_types(self):
        self.assertEqual(self.run_script("cat"), ("", []))


class Shown(unittest.TestCase):
    def missing(self, shown, said, mark="output"):
        return missing(read(f"<!-- {mark} -->\n```\n{shown}\n```\n")[0][0], said)

    def test_figures_and_blanks_differ(self):
        self.assertIsNone(self.missing("rate 1,234.5/s  at 0xff", ["a", "b rate 7/s at 0x1f2"]))

    def test_words_do_not(self):
        self.assertEqual(self.missing("rate 1/s", ["speed 1/s"]), "rate 1/s")

    def test_the_order_counts(self):
        self.assertEqual(self.missing("a\nb", ["b", "a"]), "b")

    def test_dots_are_anything(self):
        self.assertIsNone(self.missing("a\n...\nb ... c", ["a", "x", "y", "b anything c"]))

    def test_some_lines_are_not_always_there(self):
        self.assertIsNone(self.missing("a\n1 x/s\nb", ["a", "b"], "output: but for x/s"))
        self.assertIsNone(self.missing("a\n1 x/s\nb", ["a", "b"], "output by: test/a.sh but for x/s"))


if __name__ == "__main__":
    unittest.main()
