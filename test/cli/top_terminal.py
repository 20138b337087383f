#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""top_terminal.py MAIN PREFIX PID: iovad-top on terminals of several kinds, and while that process
hangs. Exit status 0: all as it should be."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

SECONDS = 30


class Terminal:
    def __init__(self, command, kind, locale, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.program = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env={**os.environ, "TERM": kind, "LC_ALL": locale})
        os.close(slave)
        self.said = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, pattern):
        """What it draws from now on, with controls, must match in time."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.said):
            if time.monotonic() > end or not select.select([self.master], [], [], SECONDS)[0]:
                raise SystemExit(f"not drawn: {pattern}; but: {self.said[-3000:]}")
            try:
                self.said += os.read(self.master, 65536)
            except OSError:
                raise SystemExit(f"it ended before it drew {pattern}: {self.said[-3000:]}") from None

    def press(self, keys):
        self.said = b""
        os.write(self.master, keys)

    def end(self):
        self.press(b"q")
        while select.select([self.master], [], [], SECONDS)[0]:
            try:
                if not os.read(self.master, 65536):
                    break
            except OSError:
                break
        if status := self.program.wait(SECONDS):
            raise SystemExit(f"it ended with status {status}")


def main():
    program, prefix, pid = sys.argv[1:]
    command = [sys.executable, program, "--file-prefix", prefix, "--interval", "0.2"]
    for kind, locale in (("vt100", "C"), ("xterm-256color", "C.UTF-8")):
        terminal = Terminal(command, kind, locale)
        terminal.wait_for(rb"nic0")
        terminal.wait_for(rb"allocs")
        terminal.press(b"\t")
        terminal.wait_for(rb"soft")
        terminal.end()
    for kind, words in (("dumb", rb"no terminal for a screen"), ("nothing-like-it", rb"TERM. is unknown")):
        Terminal(command, kind, "C").wait_for(words)
    terminal = Terminal(command, "xterm", "C.UTF-8", rows=3, columns=10)
    terminal.wait_for(rb"iovad-to")
    terminal.said = b""
    terminal.resize(40, 120)
    os.kill(terminal.program.pid, signal.SIGWINCH)
    terminal.wait_for(rb"reserved")
    terminal.said = b""
    os.kill(int(pid), signal.SIGSTOP)  # it hangs
    terminal.wait_for(rb"no answer in")
    terminal.said = b""
    os.kill(int(pid), signal.SIGCONT)
    terminal.wait_for(rb"allocs")
    terminal.end()


if __name__ == "__main__":
    main()
