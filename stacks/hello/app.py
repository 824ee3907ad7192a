"""The guestbook: a page, a form, SQLite and an event stream, on Debian's base Python alone.

A request's way: `Handler.do_GET`/`do_POST` look the path up in a table -> one method per page -> `Store` -> one answer
written at once. New entries reach open pages through `Feed`: a writer rings it, each `/events` thread wakes up and reads what is
new from the database, so several instances on one database see each other's entries (a look every half second).

Environment: HOST, PORT (where to listen), STATE_DIRECTORY (folder of the database).
On SIGTERM: no new connections, running requests finish, event streams end, exit status 0.
"""

import hashlib
import html
import json
import os
import signal
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).resolve().parent
NAME_MAX, MESSAGE_MAX, BODY_MAX = 40, 500, 16 * 1024
PAGE = 30
KEEP_ALIVE = 15.0  # seconds between two comments on a silent event stream
LOOK = 0.5  # seconds between two looks for entries that another instance wrote


class Store:
    """Entries in SQLite. A connection for each call: they are cheap, and threads share nothing."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "guestbook.db"
        with closing(self._open()) as db, db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY AUTOINCREMENT,"
                " name TEXT NOT NULL, message TEXT NOT NULL, created_at TEXT NOT NULL)"
            )

    def _open(self):
        db = sqlite3.connect(self.path, timeout=5)
        db.row_factory = sqlite3.Row
        return db

    def add(self, name, message):
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with closing(self._open()) as db, db:
            query = "INSERT INTO entries (name, message, created_at) VALUES (?, ?, ?) RETURNING *"
            return dict(db.execute(query, (name, message, now)).fetchone())

    def latest(self, before=None, limit=PAGE):
        query = "SELECT * FROM entries WHERE (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"
        with closing(self._open()) as db:
            return [dict(row) for row in db.execute(query, (before, before, limit))]

    def since(self, after):
        query = "SELECT * FROM entries WHERE id > ? ORDER BY id LIMIT 200"
        with closing(self._open()) as db:
            return [dict(row) for row in db.execute(query, (after,))]

    def last_id(self):
        with closing(self._open()) as db:
            return db.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()[0]

    def count(self):
        with closing(self._open()) as db:
            return db.execute("SELECT count(*) FROM entries").fetchone()[0]


class Feed:
    """Wakes event streams. Holds the highest id seen; what is new is read from the database by each stream."""

    def __init__(self, store):
        self.store, self.bell = store, threading.Condition()
        self.newest, self.listeners, self.stopping = store.last_id(), 0, False
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        while not self.stopping:
            with self.bell:
                self.bell.wait_for(lambda: self.listeners or self.stopping)
                self.bell.wait_for(lambda: self.stopping, LOOK)
            try:
                self.ring(self.store.last_id())
            except sqlite3.Error as error:
                print(f"cannot look for new entries: {error}", file=sys.stderr)

    def ring(self, newest):
        with self.bell:
            if newest > self.newest:
                self.newest = newest
                self.bell.notify_all()

    def wait(self, seen):
        """Until there is more than `seen`, or it is time to say that the stream lives."""
        with self.bell:
            return self.bell.wait_for(lambda: self.stopping or self.newest > seen, KEEP_ALIVE)

    def listen(self, change):
        with self.bell:
            self.listeners += change
            if self.listeners == 1:
                self.bell.notify_all()

    def stop(self):
        with self.bell:
            self.stopping = True
            self.bell.notify_all()


class Pages:
    """The HTML, filled in. Everything that came from a visitor passes `html.escape`."""

    TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

    def __init__(self, folder):
        self.template = (folder / "index.html").read_text("utf-8")
        self.files = {}
        for path in folder.iterdir():
            if path.suffix in self.TYPES:
                body = path.read_bytes()
                tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
                self.files["/" + path.name] = (body, self.TYPES[path.suffix] + "; charset=utf-8", tag)

    @staticmethod
    def entry(entry):
        name, when = html.escape(entry["name"]), html.escape(entry["created_at"])
        hue = int(hashlib.sha256(entry["name"].encode()).hexdigest()[:4], 16) % 12
        return (
            f'<li class="entry" id="entry-{entry["id"]}" data-id="{entry["id"]}">'
            f'<span class="avatar hue-{hue}" aria-hidden="true">{html.escape(entry["name"][:1].upper())}</span>'
            f'<div class="said"><p class="by"><strong>{name}</strong> <time datetime="{when}">{when[:16].replace("T", " ")}</time></p>'
            f'<p class="message">{html.escape(entry["message"])}</p></div></li>'
        )

    def index(self, entries, count, form=None, errors=None):
        form, errors = form or {}, errors or {}
        values = {
            "entries": "".join(map(self.entry, entries)),
            "count": str(count),
            "last": str(entries[0]["id"] if entries else 0),
            "hide_empty": "hidden" if entries else "",
            "hide_more": "" if len(entries) < count else "hidden",
            "name_max": str(NAME_MAX),
            "message_max": str(MESSAGE_MAX),
        }
        for field in ("name", "message"):
            values[field] = html.escape(form.get(field, ""))
            values[field + "_error"] = html.escape(errors.get(field, ""))
            values[field + "_invalid"] = "true" if field in errors else "false"
        page = self.template
        for key, value in values.items():
            # visitors' text is put in last-come order and may itself hold "{{": braces are escaped below
            page = page.replace("{{" + key + "}}", value.replace("{{", "{&#123;"))
        return page


def validate(form):
    """The entry as it will be kept, and what is wrong with it by field."""
    name = " ".join(form.get("name", "").split())
    lines = [line.rstrip() for line in form.get("message", "").replace("\r\n", "\n").split("\n")]
    message = "\n".join(lines).strip()
    errors = {}
    if not name:
        errors["name"] = "Please tell us your name."
    elif len(name) > NAME_MAX:
        errors["name"] = f"At most {NAME_MAX} characters."
    if not message:
        errors["message"] = "Please write a few words."
    elif len(message) > MESSAGE_MAX:
        errors["message"] = f"At most {MESSAGE_MAX} characters."
    if any(ord(c) < 32 and c != "\n" for c in name + message):
        errors.setdefault("message", "Control characters cannot be kept.")
    return {"name": name, "message": message}, errors


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75  # of an idle connection, seconds

    def do_GET(self):
        path = urlsplit(self.path).path
        page = {"/": self.index, "/entries": self.entries, "/events": self.events, "/health": self.health}.get(path)
        if page:
            page()
        elif path in self.server.pages.files:
            self.file(*self.server.pages.files[path])
        else:
            self.problem(404, "There is no such page.")

    do_HEAD = do_GET

    def do_POST(self):
        if urlsplit(self.path).path != "/entries":
            self.close_connection = True
            return self.problem(405, "Only /entries takes entries.", {"Allow": "GET, HEAD"})
        form = self.read_form()
        if form is None:
            return
        entry, errors = validate(form)
        if errors:
            if self.wants_json():
                return self.json(422, {"errors": errors})
            store = self.server.store
            page = self.server.pages.index(store.latest(), store.count(), form, errors)
            return self.send(422, page.encode(), "text/html; charset=utf-8")
        entry = self.server.store.add(entry["name"], entry["message"])
        self.server.feed.ring(entry["id"])
        print(f"entry {entry['id']} written", flush=True)
        if self.wants_json():
            return self.json(201, {"entry": entry})
        self.send(303, b"", "text/plain", {"Location": "/#entry-%d" % entry["id"]})

    def index(self):
        store = self.server.store
        page = self.server.pages.index(store.latest(), store.count())
        self.send(200, page.encode(), "text/html; charset=utf-8", {"Cache-Control": "no-cache"})

    def entries(self):
        before = parse_qs(urlsplit(self.path).query).get("before", [""])[0]
        entries = self.server.store.latest(int(before) if before.isdecimal() and len(before) < 19 else None)
        self.json(200, {"entries": entries, "more": len(entries) == PAGE})

    def health(self):
        try:
            self.json(200, {"status": "ok", "entries": self.server.store.count()})
        except sqlite3.Error as error:
            self.json(503, {"status": "failing", "error": str(error)})

    def events(self):
        """Server-sent events (WHATWG HTML, section 9.2), in chunked coding so that the end of the stream is a clean one."""
        query = parse_qs(urlsplit(self.path).query)
        last = self.headers.get("Last-Event-ID") or query.get("after", [""])[0]
        seen = int(last) if last.isdecimal() and len(last) < 19 else self.server.store.last_id()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        feed = self.server.feed
        feed.listen(+1)
        try:
            self.chunk("retry: 1000\n\n")
            while not feed.stopping:
                for entry in self.server.store.since(seen):
                    seen = entry["id"]
                    text = json.dumps(entry, ensure_ascii=False)
                    self.chunk(f"id: {seen}\nevent: entry\ndata: {text}\n\n")
                if not feed.wait(seen):
                    self.chunk(": still here\n\n")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            feed.listen(-1)
            self.close_connection = True

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def read_form(self):
        """The form's fields, or None when an answer has been sent already."""
        self.close_connection = True  # until the body has been read: what is left of it is no request
        if not self.same_origin():
            return self.problem(403, "Entries are taken from this site's own page only.")
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            return self.problem(411, "The length of the entry is missing.")
        if int(length) > BODY_MAX:
            return self.problem(413, "That is too long for a guestbook.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return None
        self.close_connection = self.headers.get("Connection", "").lower() == "close" or self.server.feed.stopping
        kind = self.headers.get_content_type()
        try:
            if kind == "application/json":
                fields = json.loads(body)
                return {key: str(value) for key, value in fields.items()} if isinstance(fields, dict) else {}
            if kind == "application/x-www-form-urlencoded":
                fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
                return {key: values[0] for key, values in fields.items()}
        except ValueError:
            return self.problem(400, "The entry could not be read.")
        return self.problem(415, "Entries are sent as a form or as JSON.")

    def same_origin(self):
        """A foreign page cannot write for its visitors. Programs that send neither header have no visitor to act for."""
        site = self.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = self.headers.get("Origin")
        host = self.headers.get("X-Forwarded-Host") or self.headers.get("Host")
        return origin is None or urlsplit(origin).netloc == host

    def wants_json(self):
        return "application/json" in self.headers.get("Accept", "")

    def json(self, status, value):
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send(status, body, "application/json; charset=utf-8", {"Cache-Control": "no-store"})

    def file(self, body, kind, tag):
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in self.headers.get("If-None-Match", ""):
            return self.send(304, b"", kind, headers)
        self.send(200, body, kind, headers)

    def problem(self, status, text, headers=None):
        if self.wants_json():
            body, kind = json.dumps({"error": text}).encode(), "application/json; charset=utf-8"
        else:
            body, kind = (text + "\n").encode(), "text/plain; charset=utf-8"
        self.send(status, body, kind, headers)

    def send(self, status, body, kind, headers=None):
        """One answer, in one write."""
        self.send_response(status)
        if status != 304:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
        self.send_header("Referrer-Policy", "same-origin")
        if self.server.feed.stopping:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        if self.command != "HEAD":
            self._headers_buffer.append(b"\r\n" + body)
        else:
            self._headers_buffer.append(b"\r\n")
        self.flush_headers()

    def parse_request(self):
        parsed = super().parse_request()
        self.server.busy(self.connection, True)
        return parsed

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the visitor left
        finally:
            self.server.busy(self.connection, False)

    def version_string(self):
        return "guestbook"

    def log_request(self, code="-", size="-"):
        """Nothing: the access log is the front door's."""


class Server(ThreadingHTTPServer):
    """A thread for each connection. Knows which connections wait between two requests, to end those at once on SIGTERM."""

    request_queue_size = 1024
    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, address, store, pages):
        super().__init__(address, Handler)
        self.store, self.pages, self.feed = store, pages, Feed(store)
        self.guard, self.idle = threading.Lock(), set()

    def busy(self, connection, busy):
        with self.guard:
            (self.idle.discard if busy else self.idle.add)(connection)
        if not busy and self.feed.stopping:
            self.hang_up(connection)

    def process_request(self, request, client_address):
        with self.guard:
            self.idle.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.guard:
            self.idle.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    @staticmethod
    def hang_up(connection):
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # gone already

    def stop(self):
        self.feed.stop()
        self.shutdown()
        with self.guard:
            waiting = list(self.idle)
        for connection in waiting:
            self.hang_up(connection)


def main():
    threading.stack_size(512 * 1024)
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000")))
    folder = Path(os.environ.get("STATE_DIRECTORY", "data"))
    try:
        server = Server(address, Store(folder), Pages(HERE / "web"))
    except (OSError, sqlite3.Error) as error:
        user = f"user {os.getuid()}"
        sys.exit(f"guestbook cannot start as {user}: {error} (database in {folder.absolute()}, listening on {address})")

    def on_signal(*_):
        threading.Thread(target=server.stop).start()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    print(f"guestbook listens on {address[0]}:{address[1]}, database {server.store.path}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()  # waits for the threads of running requests
    print("guestbook stopped", flush=True)


if __name__ == "__main__":
    main()
