"""Servers that leak, one for each way of serving: what a team's own code does, sooner or later.

Each answers `GET /` and `POST /` (its body is read) after some milliseconds, keeps `LEAK` bytes of memory for every request, and
says the request's id back. WSGI: `leaky:wsgi`; ASGI: `leaky:asgi`; Python's own server: `leaky.py`; Node: the text `NODE`. The last two listen on `$SOCKET`,
else on `$PORT` of every interface.
"""

import asyncio
import http.server
import os
import signal
import socketserver
import time

LEAK = 300_000
TAKES = 0.01  # seconds
KEPT: list[bytearray] = []
NODE = f"""
const http = require('http'), kept = [];
const server = http.createServer((request, response) => {{
  let size = 0;
  request.on('data', chunk => size += chunk.length);
  request.on('end', () => setTimeout(() => {{
    kept.push(Buffer.alloc({LEAK}, 1));
    const body = JSON.stringify({{ id: request.headers['x-ledger'], size, pid: process.pid }});
    response.writeHead(200, {{ 'Content-Type': 'application/json', 'Content-Length': body.length }});
    response.end(body);
  }}, {TAKES * 1000}));
}});
server.listen(process.env.SOCKET || process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
"""


def leak() -> None:
    """Touched, so that it is resident."""
    KEPT.append(bytearray(b"\x01" * LEAK))


def said(ledger: str, size: int) -> bytes:
    """The answer."""
    return f'{{"id":"{ledger}","size":{size},"pid":{os.getpid()}}}'.encode()


def wsgi(environ, start_response):
    """For Gunicorn."""
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    time.sleep(TAKES)
    leak()
    body = said(environ.get("HTTP_X_LEDGER", ""), size)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """For uvicorn."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(TAKES)
    leak()
    ledger = dict(scope["headers"]).get(b"x-ledger", b"").decode()
    body = said(ledger, size)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


class Own(http.server.BaseHTTPRequestHandler):
    """For Python's own server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        time.sleep(TAKES)
        leak()
        body = said(self.headers.get("X-Ledger", ""), size)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def address_string(self):
        return "-"

    def log_message(self, *_):
        """Nothing."""


class Threads(socketserver.ThreadingMixIn):
    """One for each connection."""

    daemon_threads = True
    request_queue_size = 128


class OnSocket(Threads, socketserver.UnixStreamServer):
    """Where the door is on the same host."""


class OnPort(Threads, socketserver.TCPServer):
    """In a container."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the kernel does not end the first process of a container by itself
    if path := os.environ.get("SOCKET"):
        OnSocket(path, Own).serve_forever()
    OnPort(("", int(os.environ["PORT"])), Own).serve_forever()
