# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's telemetry socket: where those of this machine's processes are, and questions to one."""

import json
import os
import socket
from pathlib import Path

SOCKET = "dpdk_telemetry.v2"
TIMEOUT_SECONDS = 3


class Trouble(Exception):
    """Ends the program, or a connection, with a message for people."""


class Gone(Trouble):
    """The process at the other end is not there, or not any more. It may come back."""


def runtime_folder():
    """Where EAL keeps a folder for each file prefix."""
    if base := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(base, "dpdk")
    if os.geteuid() == 0:
        return Path("/var/run/dpdk")
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"), "dpdk")


def sockets(folder):
    """{file prefix: path} of the processes that listen; what dead ones left behind is not among them."""
    found = {}
    for path in sorted(folder.glob(f"*/{SOCKET}*")):
        prefix = path.parent.name + path.name.removeprefix(SOCKET)
        try:
            Connection(path).close()
        except Gone:
            continue
        except Trouble:  # it is there, if not for us
            pass
        found[prefix] = path
    return found


def choose_socket(folder, prefix):
    """The path for a file prefix, or of the only process there is."""
    if prefix is not None:
        name, _, instance = prefix.partition(":")
        return Path(folder, name, f"{SOCKET}:{instance}" if instance else SOCKET)
    found = sockets(folder)
    if not found:
        raise Gone(f"no DPDK process answers in {folder}: none runs, it was started with --no-telemetry, or "
                   "by another user")
    if len(found) > 1:
        raise Trouble(f"several DPDK processes run; choose one with --file-prefix: {', '.join(found)}")
    return next(iter(found.values()))


class Connection:
    """To one process. What it says first is in greeting: version, pid, the longest answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.longest = 1 << 16
        try:
            self.socket.connect(str(path))
            self.greeting = self.receive()
        except PermissionError as error:
            self.close()
            raise Trouble(f"{path}: no permission; be the user whose process it is, or root") from error
        except OSError as error:
            self.close()
            raise Gone(f"{path}: {error.strerror or error}") from error
        except Trouble:
            self.close()
            raise
        self.longest = max(self.longest, self.greeting.get("max_output_len", 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def receive(self):
        try:
            data = self.socket.recv(self.longest)
        except TimeoutError as error:
            raise Gone(f"no answer in {TIMEOUT_SECONDS} s") from error
        if not data:
            raise Gone("the process closed the connection")
        try:
            return json.loads(data)
        except ValueError as error:
            raise Trouble(f"the answer is no JSON: {data[:80]!r}") from error

    def ask(self, command, *parameters):
        """What it answers; None where it cannot."""
        try:
            self.socket.send(",".join([command, *map(str, parameters)]).encode())
            return self.receive()[command]
        except KeyError as error:
            raise Trouble(f"{command}: the answer is another's") from error
        except OSError as error:
            raise Gone(f"the process is gone ({error.strerror or error})") from error
