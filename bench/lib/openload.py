"""Load at a fixed rate over kept HTTP/1.1 connections, with a ledger of every request: what was asked, what came of it.

Open: a request is due at its time, whether or not earlier ones were answered; it goes out on the first connection that is free. Nothing is
ever sent again. A connection that the other side closed while it was idle is opened anew: that is no failure (RFC 9112, section 9.3.1); one
that ends after a request's first byte went out is.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_WAITING = 20_000  # requests that are due and wait for a connection


@dataclass
class Request:
    """One request, and what came of it. Times in seconds of `time.monotonic`."""

    id: str
    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    due: float = 0.0
    ended: float = 0.0
    status: int = 0
    error: str = ""
    answer: bytes = b""
    said: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and not self.error

    @property
    def took(self) -> float:
        """From when it was due to the end of its answer."""
        return self.ended - self.due


class Load:
    """`make(n)` gives the n-th request; it is due `gap()` seconds after the one before it, by default evenly. Runs until `stop()` is called or
    `seconds` have passed; every request that was due is waited for."""

    def __init__(self, host: str, port: int, rate: float, connections: int, make: Callable[[int], Request], patience: float = 60.0,
                 gap: Callable[[], float] | None = None):
        self.host, self.port, self.connections, self.make, self.patience = host, port, connections, make, patience
        self.gap = gap or (lambda: 1 / rate)
        self.ledger: list[Request] = []
        self._over = asyncio.Event()

    def stop(self) -> None:
        """No more requests."""
        self._over.set()

    async def run(self, seconds: float | None = None) -> list[Request]:
        """Gives the ledger."""
        due: asyncio.Queue[Request | None] = asyncio.Queue(MOST_WAITING)
        clients = [asyncio.create_task(self._client(due)) for _ in range(self.connections)]
        begun = at = time.monotonic()
        while not self._over.is_set() and (seconds is None or at - begun < seconds):
            wait = at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(min(wait, 0.2))
                continue
            request = self.make(len(self.ledger))
            request.due, at = at, at + self.gap()
            self.ledger.append(request)
            due.put_nowait(request)
        for _ in clients:
            await due.put(None)
        await asyncio.gather(*clients)
        return self.ledger

    async def _client(self, due: asyncio.Queue) -> None:
        streams = None
        while (request := await due.get()) is not None:
            try:
                async with asyncio.timeout(self.patience):
                    if streams is None or streams[0].at_eof():
                        _close(streams)
                        streams = await asyncio.open_connection("127.0.0.1", self.port)
                    stays = await exchange(*streams, self.host, request)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                request.error, stays = f"{type(error).__name__}: {error}"[:120], False
            request.ended = time.monotonic()
            if not stays:
                _close(streams)
                streams = None
        _close(streams)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, request: Request) -> bool:
    """Sends it, reads all of the answer; whether the connection stays."""
    head = {"Host": host, **request.headers, **({"Content-Length": str(len(request.body))} if request.method != "GET" else {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode() + request.body)
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    request.status = int(first.split(" ")[1])
    request.said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if request.said.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            request.answer += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        request.answer = await reader.readexactly(int(request.said.get("content-length", 0)))
    return request.said.get("connection", "").lower() != "close"


def _close(streams) -> None:
    if streams:
        streams[1].close()


def percentile(values: list[float], share: float) -> float:
    """Of the nearest rank; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def failures(ledger: list[Request]) -> Counter:
    """How often what went wrong."""
    return Counter(request.error or f"status {request.status}" for request in ledger if not request.ok)
