# SPDX-License-Identifier: BSD-3-Clause
"""The screen: curses, keys, and what is shown while no process is there."""

import curses
import locale
import select
import sys
import textwrap
import time

import panels
from telemetry import Trouble

QUIT = {ord("q"), ord("Q"), 27}
NEXT = {ord("\t"), ord("n"), curses.KEY_RIGHT, curses.KEY_DOWN}
PREVIOUS = {ord("p"), curses.KEY_BTAB, curses.KEY_LEFT, curses.KEY_UP}
KEYS = "q quits, arrows and Tab switch domains"


def styles():
    """Attributes by style; where there are no colours, what is wrong is inverted."""
    found = {"": curses.A_NORMAL, "title": curses.A_BOLD, "dim": curses.A_DIM, "selected": curses.A_REVERSE,
             "bad": curses.A_BOLD | curses.A_REVERSE, "live": curses.A_NORMAL, "reserved": curses.A_NORMAL}
    if curses.has_colors():
        curses.start_color()
        curses.use_default_colors()
        colours = {"bad": curses.COLOR_RED, "live": curses.COLOR_GREEN, "reserved": curses.COLOR_YELLOW}
        for number, (style, colour) in enumerate(colours.items(), 1):
            curses.init_pair(number, colour, -1)
            found[style] = curses.color_pair(number) | (curses.A_BOLD if style == "bad" else 0)
    return found


def terminal_is_gone():
    """Then getch() waits no more, and would be asked for ever."""
    ready = select.poll()
    ready.register(sys.stdin, 0)
    return bool(ready.poll(0))


class Screen:
    def __init__(self, window, watch, args):
        self.window, self.watch, self.args = window, watch, args
        self.styles = styles()
        self.glyphs = panels.Glyphs(locale.nl_langinfo(locale.CODESET).upper() == "UTF-8")
        self.selected, self.trouble = args.domain, None

    def run(self):
        try:
            curses.curs_set(0)
        except curses.error:  # a terminal that cannot
            pass
        due = time.monotonic()
        while True:
            if (left := due - time.monotonic()) <= 0:
                self.sample()
                due = time.monotonic() + self.args.interval
                self.draw()
                continue
            self.window.timeout(max(int(left * 1000), 1))
            key = self.window.getch()
            if key in QUIT or terminal_is_gone():
                return
            self.switch((key in NEXT) - (key in PREVIOUS))
            if key != -1:
                self.draw()

    def sample(self):
        try:
            self.watch.take(max(self.window.getmaxyx()[1] - 1, 1))
            self.trouble = None
        except Trouble as trouble:
            self.trouble = str(trouble)

    def switch(self, step):
        names = self.watch.after["names"] if self.watch.after else []
        if step and names:
            at = names.index(self.selected) + step if self.selected in names else 0
            self.selected = names[at % len(names)]

    def waiting(self, width):
        pid = f"{self.watch.command}, pid {self.watch.after['pid']}, " if self.watch.after else "It "
        return [[("bad", f"{pid}does not answer.")], *([("", line)] for line in textwrap.wrap(self.trouble, max(width - 1, 1))),
                [("", "Trying again.")]]

    def lines(self, width, rows):
        if self.trouble:
            return self.waiting(width)
        if self.selected is None and self.watch.after["names"]:
            self.selected = self.watch.after["names"][0]
        return panels.screen(self.watch.before, self.watch.after, self.selected, self.watch.command, self.glyphs,
                             width - 1, rows)

    def draw(self):
        height, width = self.window.getmaxyx()
        self.window.erase()
        for y, line in enumerate(self.lines(width, height - 1)[:height - 1]):
            self.write(y, line, width)
        self.write(height - 1, [("dim", KEYS)], width)
        self.window.refresh()

    def write(self, y, line, width):
        x = 0
        for style, text in line:
            # Not the last column: curses fails at the last one of the last line.
            text = text[:max(width - 1 - x, 0)]
            if text:
                self.window.addstr(y, x, text, self.styles[style])
            x += len(text)


def check_terminal():
    try:
        curses.setupterm()
    except curses.error as error:
        raise Trouble("the type of this terminal (TERM) is unknown; --once needs none") from error
    if not (sys.stdin.isatty() and sys.stdout.isatty() and curses.tigetstr("cup")):
        raise Trouble("this is no terminal for a screen; --once needs none")


def show(watch, args):
    check_terminal()
    locale.setlocale(locale.LC_ALL, "")
    curses.wrapper(lambda window: Screen(window, watch, args).run())
