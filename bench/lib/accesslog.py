"""Counts the lines of an access log while it is written, through rotation and deletion."""

import os
import threading
import time
from pathlib import Path
from typing import Callable

from .errors import Void


class AccessLog:
    """`files` lists the log's files as they are now, rotated ones included. They are held open, so that lines of a file
    which rotation removes still count. `truncate`: the writer appends (`O_APPEND`) and nobody else needs the file."""

    def __init__(self, files: Callable[[], list[Path]], truncate: bool):
        self.files, self.truncate = files, truncate
        self.held: dict[tuple[int, int], list] = {}  # (device, inode) -> [descriptor, offset, lines]
        self.lock = threading.Lock()
        self.watching = False

    def begin(self) -> None:
        """Count from here."""
        if self.truncate:
            for path in self.files():
                os.truncate(path, 0)
        self._hold(from_end=True)
        self.watching = not self.truncate  # a log that is truncated here is not rotated by its writer
        if self.watching:
            threading.Thread(target=self._watch, daemon=True).start()

    def end(self, at_least: int, patience: float = 6.0) -> int:
        """Lines since `begin`: waits until there are `at_least` so many and no more come, at most `patience` seconds."""
        deadline, last, since = time.monotonic() + patience, -1, time.monotonic()
        while time.monotonic() < deadline:
            lines = self._count()
            if lines != last:
                last, since = lines, time.monotonic()
            elif lines >= at_least and time.monotonic() - since > 0.3:
                break
            time.sleep(0.05)
        self.watching = False
        self._release()
        return last

    def last_line(self, containing: str, patience: float = 4.0) -> str:
        """The newest line that holds a text."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for path in self.files():
                for line in reversed(path.read_text(errors="replace").splitlines()):
                    if containing in line:
                        return line
            time.sleep(0.1)
        raise Void(f"no access log line holds {containing!r} in {[str(path) for path in self.files()]}")

    def _watch(self) -> None:
        while self.watching:
            self._hold(from_end=False)
            time.sleep(0.05)

    def _hold(self, from_end: bool) -> None:
        with self.lock:
            for path in self.files():
                try:
                    descriptor = os.open(path, os.O_RDONLY)
                except FileNotFoundError:
                    continue
                stat = os.fstat(descriptor)
                if (stat.st_dev, stat.st_ino) in self.held:
                    os.close(descriptor)
                else:
                    self.held[stat.st_dev, stat.st_ino] = [descriptor, stat.st_size if from_end else 0, 0]

    def _count(self) -> int:
        self._hold(from_end=False)
        with self.lock:
            for file in self.held.values():
                while block := os.pread(file[0], 1 << 20, file[1]):
                    file[1] += len(block)
                    file[2] += block.count(b"\n")
            return sum(file[2] for file in self.held.values())

    def _release(self) -> None:
        with self.lock:
            for descriptor, _, _ in self.held.values():
                os.close(descriptor)
            self.held.clear()
