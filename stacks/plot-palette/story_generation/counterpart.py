"""The local counterpart of Anthropic's Messages API: the same protocol on this machine, a story computed from the request.

Run it as `python3 -m story_generation.counterpart`. It needs the standard library only.
A request's way: `do_POST` -> headers -> body within bounds -> `validate` -> `fable.tell` -> an answer, or an error in the API's format.
It never passes for the service: `model` in its answers is `local-counterpart/1`. It does not stream, and says so when asked.

Environment: HOST, PORT (default 127.0.0.1:5001); COUNTERPART_LOG (file for the request log, JSON lines; default stdout);
COUNTERPART_RPM (requests a minute before it answers 429; default no limit). The API key of a request is checked for being
there, and is never written anywhere.
"""

import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from story_generation import fable, prompt

MODEL = "local-counterpart/1"
BODY_MAX = 1024 * 1024
STATUS = {  # the API's error types and their statuses
    "invalid_request_error": 400,
    "authentication_error": 401,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
}


class ApiError(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def validate(body):
    """The text of the last user message and `max_tokens`. Raises `ApiError` as the API words it: field, then fault."""

    def require(fine, message):
        if not fine:
            raise ApiError("invalid_request_error", message)

    require(isinstance(body, dict), "body: Input should be a valid dictionary")
    require(isinstance(body.get("model"), str) and body["model"], "model: Field required")
    limit, messages = body.get("max_tokens"), body.get("messages")
    require(isinstance(limit, int) and not isinstance(limit, bool), "max_tokens: Field required")
    require(limit >= 1, "max_tokens: must be greater than or equal to 1")
    require(isinstance(messages, list) and messages, "messages: at least one message is required")
    require(not body.get("stream"), "stream: the local counterpart does not stream")
    text = ""
    for place, message in enumerate(messages):
        require(isinstance(message, dict), f"messages.{place}: Input should be a valid dictionary")
        require(message.get("role") in ("user", "assistant"), f"messages.{place}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        require(isinstance(content, list) and content, f"messages.{place}.content: Field required")
        for block in content:
            fine = isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
            require(fine, f"messages.{place}.content: the local counterpart reads text blocks only")
        if message["role"] == "user":
            text = "\n".join(block["text"] for block in content)
    return text, limit


def tokens(text):
    """About as many as a tokenizer would count."""
    return max(1, len(text) // 4)


class RateLimit:
    """At most `limit` requests in any minute; None: no limit."""

    def __init__(self, limit):
        self.limit, self.times, self.guard = limit, [], threading.Lock()

    def wait(self):
        """Counts a request. Seconds until there is room for it, 0 when there is."""
        with self.guard:
            now = time.monotonic()
            self.times = [moment for moment in self.times if now - moment < 60]
            if self.limit is not None and len(self.times) >= self.limit:
                return max(1, round(60 - (now - (self.times or [now])[0])))
            self.times.append(now)
            return 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds a connection may be silent

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {"status": "ok", "model": MODEL})
        self.fail(ApiError("not_found_error", "Not found"))

    def do_POST(self):
        self.began, self.entry = time.monotonic(), {}
        try:
            self.check_headers()
            text, limit = validate(self.read_json())
            wait = self.server.rate.wait()
            if wait:
                return self.fail(ApiError("rate_limit_error", "This request would exceed the rate limit."), {"retry-after": str(wait)})
            self.answer(200, self.message(text, limit))
        except ApiError as error:
            self.fail(error)

    def check_headers(self):
        if self.path.split("?")[0] != "/v1/messages":
            raise ApiError("not_found_error", "Not found")
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not (self.headers.get("x-api-key") or bearer):  # older and newer versions of the library
            raise ApiError("authentication_error", "x-api-key header is required")
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.headers.get("anthropic-version", "")):
            raise ApiError("invalid_request_error", "anthropic-version: header is required, for instance 2023-06-01")
        if self.headers.get_content_type() != "application/json":
            raise ApiError("invalid_request_error", "content-type: must be application/json")

    def read_json(self):
        self.close_connection = True  # until the body was read: what is left of it is no request
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            raise ApiError("invalid_request_error", "content-length: header is required")
        if len(length) > 12 or int(length) > BODY_MAX:
            raise ApiError("request_too_large", "Request exceeds the maximum size")
        data = self.rfile.read(int(length))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ApiError("invalid_request_error", "The request body is not valid JSON") from None

    def message(self, text, limit):
        try:
            palette, titles, emotion = prompt.facts_of(text)
        except (ValueError, RecursionError) as error:
            raise ApiError("invalid_request_error", f"messages: the local counterpart tells gallery stories only: {error}") from None
        title, narrative = fable.tell(palette, titles, emotion)
        told = f"{title}\n\n{narrative}"
        cut = told[: limit * 4]
        usage = {"input_tokens": tokens(text), "output_tokens": tokens(cut)}
        self.entry = {"palette": [color for color, _ in palette], "paintings": titles, "emotion": emotion, **usage}
        return {
            "id": "msg_" + secrets.token_hex(12),
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": cut}],
            "stop_reason": "end_turn" if cut == told else "max_tokens",
            "stop_sequence": None,
            "usage": usage,
        }

    def fail(self, error, headers=None):
        self.close_connection = True
        body = {"type": "error", "error": {"type": error.kind, "message": str(error)}}
        self.answer(STATUS[error.kind], body, headers)

    def answer(self, status, body, headers=None):
        request_id = "req_" + secrets.token_hex(12)
        if body.get("type") == "error":
            body["request_id"] = request_id
        data = json.dumps(body, ensure_ascii=False).encode()
        if self.command == "POST":
            ms = round((time.monotonic() - self.began) * 1000, 1)
            self.server.log({"request_id": request_id, "status": status, "ms": ms, **self.entry})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("request-id", request_id)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing: `Server.log` has one line for each request."""

    def version_string(self):
        return MODEL


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, log_path, limit):
        super().__init__(address, Handler)
        self.rate, self.guard = RateLimit(limit), threading.Lock()
        self.out = open(log_path, "a", encoding="utf-8") if log_path else sys.stdout

    def log(self, entry):
        line = {"at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), **entry}
        with self.guard:
            print(json.dumps(line, ensure_ascii=False), file=self.out, flush=True)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def main():
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    host, port, limit = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "5001"), os.environ.get("COUNTERPART_RPM")
    try:
        server = Server((host, int(port)), os.environ.get("COUNTERPART_LOG"), int(limit) if limit else None)
    except (OSError, ValueError, OverflowError) as error:
        sys.exit(f"the story counterpart cannot start: {error}; check HOST, PORT, COUNTERPART_LOG, COUNTERPART_RPM")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"story counterpart ({MODEL}) listens on {host}:{port}", file=sys.stderr, flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
