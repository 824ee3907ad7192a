#!/usr/bin/env python3
"""An application for the scripts of `bench/supervision`, without packages; it listens on `$SOCKET`, else on `$PORT` (of `$HOST`, else of loopback).

`/` answers at once, `/sleep/MS` after so many milliseconds; both read a body, and write the request's id (`X-Ledger`) into the file `$LEDGER` before they do
anything: what stands there was run. `/events` is an endless event stream, `/ws` echoes WebSocket messages, `/download/BYTES` is that
long, `/grow/MB` takes so much memory and keeps it, `/exit/STATUS` ends the process, `/sick` makes `/health` fail. It prints `$PLANTS` as it starts, and each query. `$START_SECONDS` is how long it takes to start.
"""

import asyncio
import base64
import hashlib
import os
import signal
import sys
import time

PERIOD = 0.5  # seconds between two events
BLOCK = b"mainstay" * 8192
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
KEPT: list[bytearray] = []
STATE = {"sick": False}


def answer(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def note(ledger: str) -> None:
    """One write, at the end of the file: whole, whoever else writes."""
    if path := os.environ.get("LEDGER"):
        with open(path, "ab", buffering=0) as file:
            file.write(f"{ledger}\n".encode())


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").split("\r\n")
            _, path, _ = first.split(" ")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
            ledger = fields.get("x-ledger", "")
            path, _, query = path.partition("?")
            if query:
                print(f"asked for {path} with {query}", flush=True)
            if path == "/" or path.startswith("/sleep/"):
                note(ledger)
            await reader.readexactly(int(fields.get("content-length", 0)))
            if not await respond(path, fields, ledger, reader, writer):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def respond(path: str, fields: dict, ledger: str, reader, writer) -> bool:
    """Whether the connection goes on."""
    word, _, value = path[1:].partition("/")
    if word == "events":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"c\r\ndata: tick\n\n\r\n")
            await writer.drain()
            await asyncio.sleep(PERIOD)
    if word == "ws":
        return await websocket(fields, reader, writer)
    if word == "download":
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {value}\r\n\r\n".encode())
        left = int(value)
        while left > 0:
            writer.write(BLOCK[: min(left, len(BLOCK))])
            left -= len(BLOCK)
            await writer.drain()
        return True
    if word == "sleep":
        await asyncio.sleep(int(value) / 1000)
    if word == "grow":
        for _ in range(int(value)):
            KEPT.append(bytearray(b"\x01" * (1 << 20)))
            await asyncio.sleep(0.002)
    if word == "exit":
        print(f"leaving with status {value}, as asked", flush=True)
        os._exit(int(value))
    if word == "sick":
        STATE["sick"] = True
    if word == "health" and STATE["sick"]:
        writer.write(answer(b'{"status":"sick"}', status="500 Internal Server Error"))
    else:
        writer.write(answer(f'{{"id":"{ledger}","pid":{os.getpid()}}}'.encode()))
    await writer.drain()
    return True


async def websocket(fields: dict, reader, writer) -> bool:
    """Echoes small masked frames (RFC 6455, section 5) until the other side ends."""
    key = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + MAGIC).digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n".encode())
    while True:
        kind, length = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(await reader.readexactly(length & 0x7F)))
        writer.write(bytes([kind, len(body)]) + body)
        await writer.drain()


async def main() -> None:
    time.sleep(float(os.environ.get("START_SECONDS", 0)))
    socket = os.environ.get("SOCKET")
    served = asyncio.start_unix_server(one, socket, backlog=1024) if socket else asyncio.start_server(
        one, os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]), backlog=1024)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: os._exit(0))
    server = await served
    print(f"serving, pid {os.getpid()} {os.environ.get('PLANTS', '')}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
