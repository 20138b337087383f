# SPDX-License-Identifier: BSD-3-Clause
"""testpmd, driven through its prompt: how it is started, commands in, lines out."""

import os
import pty
import re
import select
import shutil
import stat
import subprocess
import time
from pathlib import Path

PROMPT = "testpmd>"
PORT = re.compile(r"NIC statistics for port (\d+)")
COUNTS = re.compile(r"(RX|TX)-packets: (\d+)")
SHOW_COUNTS = "show port stats all"


class Trouble(Exception):
    """Ends the session with a message for people."""


class Testpmd:
    """A running testpmd. All that it says is in lines."""

    def __init__(self, command, environment, show):
        self.show = show
        self.lines = []
        self.rest = ""
        # A terminal, since testpmd keeps back what it writes to anything else.
        self.output, terminal = pty.openpty()
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=terminal,
                                        stderr=terminal, bufsize=0)
        os.close(terminal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        os.close(self.output)

    def listen(self, seconds):
        """What comes next is read, once; how many lines it ended, or None where testpmd did."""
        if not select.select([self.output], [], [], max(seconds, 0))[0]:
            return 0
        try:
            data = os.read(self.output, 65536)
        except OSError:
            return None
        *lines, self.rest = (self.rest + data.decode(errors="replace")).split("\n")
        for line in lines:
            self.lines.append(line.rstrip())
            if self.show:
                print("   |", line.rstrip(), flush=True)
        return len(lines)

    def wait_for(self, words, seconds):
        """The lines up to one that begins with the words, which must come in so many seconds."""
        begin = seen = len(self.lines)
        end = time.monotonic() + seconds
        while True:
            if any(line.startswith(words) for line in [*self.lines[seen:], self.rest]):
                return self.lines[begin:]
            seen = len(self.lines)
            if (left := end - time.monotonic()) <= 0:
                raise Trouble(f"testpmd did not say '{words}' in {seconds:.0f} s. {self.said_last()}")
            if self.listen(left) is None:
                raise Trouble(f"testpmd ended before it said '{words}'. {self.said_last()}")

    def ask(self, command, seconds=60):
        """What it answers, up to its next prompt."""
        self.rest = ""  # the prompt that waits for this
        try:
            self.process.stdin.write(command.encode() + b"\n")
        except BrokenPipeError as error:
            raise Trouble(f"testpmd ended before '{command}'. {self.said_last()}") from error
        return self.wait_for(PROMPT, seconds)

    def pause(self, seconds):
        """Let it work, and hear what it says meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.listen(left) is not None:
            pass

    def end(self, seconds=60):
        """Quit, and read to the end; its status must be 0."""
        self.process.stdin.write(b"quit\n")
        end = time.monotonic() + seconds
        while self.listen(end - time.monotonic()) is not None:
            if time.monotonic() > end:
                raise Trouble(f"testpmd did not end in {seconds:.0f} s. {self.said_last()}")
        if status := self.process.wait(seconds):
            raise Trouble(f"testpmd ended with status {status}. {self.said_last()}")

    def said_last(self):
        return "What it said last:\n" + "\n".join(line for line in [*self.lines[-20:], self.rest] if line)


def port_counts(lines):
    """{port: {RX: n, TX: n}} of the answer to SHOW_COUNTS."""
    counts, port = {}, None
    for line in lines:
        if m := PORT.search(line):
            port = counts.setdefault(int(m[1]), {})
        elif port is not None:
            port.update({m[1]: int(m[2]) for m in COUNTS.finditer(line)})
    return counts


def world_writable_above(path):
    return any(p.stat().st_mode & stat.S_IWOTH for p in [path, *path.parents])


def staged(build, folder):
    """The driver and its library where EAL loads them: it refuses folders anybody can write to."""
    driver = build / "lib/mempool/librte_mempool_iovad.so"
    if not driver.exists():
        raise Trouble(f"{driver} is not there: build iovad first (app/quickstart.sh, or ninja -C {build})")
    if not world_writable_above(driver.resolve().parent):
        return driver
    for name in (driver, build / "lib/libiovad.so.0"):
        shutil.copy(name, folder)
    return Path(folder, driver.name)


def command_line(args, driver):
    # Its huge pages lose their names at once, so that they are free again however it ends.
    line = ["dpdk-testpmd", "-l", args.lcores, "-d", str(driver), "--mbuf-pool-ops-name=iovad", "--huge-unlink",
            "--log-level=iovad.mempool:info", "--log-level=lib.eal:warning", "--file-prefix", f"iovad-{os.getpid()}"]
    for nic in args.nics:
        line += ["-a", nic]
    line += args.eal
    # Events would be printed into the middle of prompts.
    return line + ["--", "-i", "--mask-event=all", "--forward-mode=io", f"--total-num-mbufs={args.mbufs}", *args.testpmd]


def settings(args):
    return f"backend=vfio,limit={args.limit:#x},stats=1"


def environment(args, driver, folder):
    """EAL leaves its files of the run in RUNTIME_DIRECTORY; ours goes with the session."""
    variables = {**os.environ, "IOVAD_MEMPOOL": settings(args), "RUNTIME_DIRECTORY": str(folder),
                 "LD_LIBRARY_PATH": str(driver.parent)}
    if args.witness:
        variables["LD_PRELOAD"] = str(args.witness.resolve())
    return variables
