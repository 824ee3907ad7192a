"""A crowd of client connections, opened one after the other and then held: idle after one request, or as event streams."""

import socket
import time

from .configs import HOST
from .errors import Void

EVENT_MARK = b"data: "


class Crowd:
    """`size` connections to a port, each with one answered request behind it."""

    def __init__(self, port: int, size: int, path: str):
        self.streams = path == "/events"
        self.sockets: list[socket.socket] = []
        self.events: list[int] = []
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: */*\r\n\r\n".encode()
        for number in range(size):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            self.sockets.append(connection)
            connection.sendall(request)
            try:
                self.events.append(self._answer(connection))
            except OSError as error:
                raise Void(f"connection {number + 1} of {size}: {error}") from error
            connection.setblocking(False)

    def _answer(self, connection: socket.socket) -> int:
        """Read one whole answer, or a stream's head and first event; the number of events seen."""
        received = b""
        while True:
            block = connection.recv(65536)
            if not block:
                raise OSError("closed before the answer was complete")
            received += block
            head, end, body = received.partition(b"\r\n\r\n")
            if end and not head.startswith(b"HTTP/1.1 200"):
                raise OSError(f"answered {head[:60]!r}")
            if end and (EVENT_MARK in body if self.streams else b"]}" in body):
                return body.count(EVENT_MARK)

    def wait_for_events(self, count: int, patience: float = 30.0) -> None:
        """Until every stream has had `count` events since it opened: they flow, through all of them."""
        deadline = time.monotonic() + patience
        while min(self.events) < count:
            if time.monotonic() > deadline:
                raise Void(f"{sum(seen < count for seen in self.events)} streams without event {count} after {patience} s")
            time.sleep(0.2)
            for index, connection in enumerate(self.sockets):
                self.events[index] += self._waiting(connection).count(EVENT_MARK)

    def all_open(self) -> None:
        """Void if the proxy closed any."""
        closed = 0
        for connection in self.sockets:
            try:
                self._waiting(connection)
            except OSError:
                closed += 1
        if closed:
            raise Void(f"{closed} of {len(self.sockets)} connections were closed by the proxy")

    def close(self) -> None:
        """Close all."""
        for connection in self.sockets:
            connection.close()

    @staticmethod
    def _waiting(connection: socket.socket) -> bytes:
        try:
            block = connection.recv(65536)
        except BlockingIOError:
            return b""
        if not block:
            raise OSError("closed")
        return block
