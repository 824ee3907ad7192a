"""Answers every request with what it was given: for tests of compose files."""
import http.server
import json
import os
import socket


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shown = {name: value for name, value in os.environ.items() if name.startswith("SHOW_")}
        body = json.dumps({"host": socket.gethostname(), "path": self.path, "env": shown}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


http.server.ThreadingHTTPServer(("", int(os.environ.get("APP_PORT", "8000"))), Handler).serve_forever()
