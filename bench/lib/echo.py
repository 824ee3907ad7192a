"""A server behind the front door that tells what reached it: `python3 echo.py PORT`. HTTP/1.1, kept alive, a thread for each connection.

Answers JSON: `method`, `path`, `headers` (a list of pairs), `bytes` and `sha256` of the body, `trailers`. `/bytes/N` answers N bytes
instead. A request with `Upgrade` gets 101, and then back what it sends. Without PORT the variable of that name counts, as an app's does.
"""

import hashlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def body(self):
        """All of the body, and its trailers."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0)), []
        body, trailers = b"", []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            trailers.append([name, value.strip()])
        return body, trailers

    def switch(self):
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while piece := self.rfile.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    def answer(self):
        if "Upgrade" in self.headers:
            return self.switch()
        body, trailers = self.body()
        if self.path.startswith("/bytes/"):
            kind, said = "application/octet-stream", b"x" * int(self.path.rpartition("/")[2])
        else:
            kind, said = "application/json", json.dumps({
                "method": self.command, "path": self.path, "headers": self.headers.items(), "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(), "trailers": trailers}).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        pass  # clients that go away are part of the game


if __name__ == "__main__":
    Server(("127.0.0.1", int((sys.argv[1:] or [os.environ["PORT"]])[0])), Echo).serve_forever()
