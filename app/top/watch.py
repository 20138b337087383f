# SPDX-License-Identifier: BSD-3-Clause
"""The latest two samples of a process, which may end and come again."""

from pathlib import Path

import sample
from telemetry import Connection, Trouble, choose_socket


def command_of(pid):
    """The program's name; empty where it cannot be seen."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


class Watch:
    def __init__(self, folder, prefix=None, path=None):
        self.folder, self.prefix, self.path = folder, prefix, path
        self.connection = None
        self.before = self.after = None
        self.command = ""

    def connect(self):
        self.connection = Connection(self.path or choose_socket(self.folder, self.prefix))
        self.command = command_of(self.connection.greeting["pid"])

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def take(self, buckets, names=None):
        """One more sample. After Trouble, the next call connects anew."""
        try:
            if not self.connection:
                self.connect()
            self.before, self.after = self.after, sample.take(self.connection, names, buckets)
        except Trouble:
            self.disconnect()
            raise
