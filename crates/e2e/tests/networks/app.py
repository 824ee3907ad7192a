"""Answers on all PORTS (or PORT) of HOST: who it is, what a name stands for, whether somebody answers elsewhere."""
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = os.environ["NAME"]


def ask(host, port):
    """Name of the app that answers there."""
    try:
        with socket.create_connection((host, int(port)), 1.5) as stream:
            stream.sendall(b"GET /name HTTP/1.0\r\n\r\n")
            said = b""
            while chunk := stream.recv(4096):
                said += chunk
        return said.split(b"\r\n\r\n")[1].decode()
    except OSError as error:
        return f"no: {error}"


def resolve(name):
    try:
        found = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)
        return " ".join(sorted({entry[4][0] for entry in found}))
    except socket.gaierror:
        return "unknown"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        verb, *rest = self.path.strip("/").split("/")
        if verb == "ask":
            text = ask(*rest)
        elif verb == "resolve":
            text = resolve(*rest)
        elif verb == "name":
            text = NAME
        else:
            text = f"{NAME} at {os.environ['HOST']}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


servers = [ThreadingHTTPServer((os.environ["HOST"], int(port)), Handler)
           for port in os.environ.get("PORTS", os.environ["PORT"]).split()]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
