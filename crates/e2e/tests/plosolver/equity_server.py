"""The small backend in the place of the team's: health by its database, who it is, and an answer that takes its time."""

import datetime
import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

NAME = socket.gethostname()


def health():
    now = datetime.datetime.utcnow().isoformat()
    if os.path.exists("/tmp/sick"):
        return 500, {"status": "sick", "timestamp": now}
    try:
        with psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=2) as database:
            database.cursor().execute("SELECT 1")
        return 200, {"status": "healthy", "timestamp": now, "version": "1.0.0"}
    except psycopg2.Error as error:
        return 503, {"status": "unhealthy", "error": str(error), "timestamp": now}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # a connection that nobody uses does not delay its end for longer

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/health":
            return self.answer(*health())
        if path == "/slow":
            time.sleep(float(query))
        if path in ("/who", "/slow"):
            return self.answer(200, {"name": NAME, "prefix": self.headers.get("X-Forwarded-Prefix")})
        return self.answer(404, {"error": "no such route", "path": path})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # its end waits for requests in flight
    request_queue_size = 128


server = Server(("0.0.0.0", 5001), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
