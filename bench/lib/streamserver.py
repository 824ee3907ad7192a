#!/usr/bin/env python3
"""Server behind the proxies for event streams: `streamserver.py PORT`.

`/events` is an endless event stream (chunked), one event at once and one more every `PERIOD` seconds; `/count` says how many
streams are open; anything else is answered with the 100-byte JSON. One process, many streams.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.configs import JSON_BODY  # noqa: E402

PERIOD = 3.0
EVENT = b"data: an event of forty bytes, like a tick.\n\n"
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAMS: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    """One connection; requests have no body and come one at a time."""

    def connection_made(self, transport):
        self.transport, self.received = transport, b""

    def data_received(self, data):
        self.received += data
        if b"\r\n\r\n" not in self.received:
            return
        path = self.received.split(b" ", 2)[1]
        self.received = b""
        if path == b"/events":
            self.transport.write(STREAM_HEAD + CHUNK)
            STREAMS.add(self.transport)
        else:
            body = str(len(STREAMS)).encode() if path == b"/count" else JSON_BODY.encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def connection_lost(self, exc):
        STREAMS.discard(self.transport)


async def serve(port: int) -> None:
    """Serve until killed."""
    await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    while True:
        await asyncio.sleep(PERIOD)
        for transport in list(STREAMS):
            transport.write(CHUNK)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
