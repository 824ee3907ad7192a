"""What must hold before a clock is started: every side does the same work.

Each feature is shown by what reached the server behind and by the access log, never by configuration. One control is known to
fail: the server behind, asked without a proxy between, carries none of the features; a check that passes there is blind.
"""

import hashlib
import http.client
import json

from .configs import ECHOED, HOST, JSON_BODY
from .errors import Void
from .sandbox import WORK
from .sides import BACKEND_PORT, Side

SHORT_RUN = 2000


def same_work(sides: list[Side], bodies: tuple[str, ...] = ()) -> list[str]:
    """All that is wrong, by side. Also counts log lines over a short run of exactly `SHORT_RUN` requests."""
    control = _upstream_problems(_echo(BACKEND_PORT), _echo(BACKEND_PORT))
    if len(control) < 5:
        raise Void(f"the feature check is blind: without a proxy it found only {control}")
    problems = []
    for side in sides:
        found = _features(side) + _log_lines(side) + _bodies(side, bodies)
        found += [f"thread off its core: {thread}" for thread in side.process.threads_off_core()]
        problems += [f"{side.name}: {problem}" for problem in found]
    return problems


def _features(side: Side) -> list[str]:
    first, second = _echo(side.port), _echo(side.port)
    problems = _upstream_problems(first, second)
    if not problems:
        try:
            problems += _line_problems(side.log.last_line(second["x-request-id"]), second["x-request-id"])
        except Void as void:
            problems.append(str(void))
    return problems


def _upstream_problems(first: dict[str, str], second: dict[str, str]) -> list[str]:
    """What two requests in a row lack where they arrived."""
    expected = {"x-real-ip": "127.0.0.1", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http",
                "x-forwarded-host": HOST, "host": HOST}
    problems = [f"{name} is {second[name]!r} upstream" for name, value in expected.items() if second[name] != value]
    if len(second["x-request-id"]) < 16 or first["x-request-id"] == second["x-request-id"]:
        problems.append("no request id of its own upstream")
    if not second["connection"] or first["connection"] != second["connection"]:
        problems.append("upstream connection not reused")
    return problems


def _line_problems(line: str, request_id: str) -> list[str]:
    """What an access log line lacks; by value, since each side names its fields its own way."""
    try:
        values = [str(value) for value in json.loads(line).values()]
    except (ValueError, AttributeError):
        return [f"access log line is not a JSON object: {line}"]
    wanted = {"client": "127.0.0.1", "method": "GET", "host": HOST, "status": "200", "request id": request_id}
    problems = [f"no {name} in its log line: {line}" for name, value in wanted.items() if value not in values]
    if not any(value.startswith("/echo") for value in values):
        problems.append(f"no path in its log line: {line}")
    if not any(str(BACKEND_PORT) in value for value in values):
        problems.append(f"no upstream in its log line: {line}")
    return problems


def _bodies(side: Side, paths: tuple[str, ...]) -> list[str]:
    problems = []
    for path in paths:
        expected = JSON_BODY.encode() if path == "/json" else (WORK / "files" / path[1:]).read_bytes()
        if hashlib.sha256(_get(side.port, path)).digest() != hashlib.sha256(expected).digest():
            problems.append(f"{path} is not what the server behind sent")
    return problems


def _log_lines(side: Side) -> list[str]:
    """Exactly one line per request, over a few connections."""
    connections = [http.client.HTTPConnection("127.0.0.1", side.port, timeout=5) for _ in range(8)]
    side.log.begin()
    for number in range(SHORT_RUN):
        _read(connections[number % len(connections)], "/json")
    lines = side.log.end(at_least=SHORT_RUN, patience=4.0)
    for connection in connections:
        connection.close()
    return [] if lines == SHORT_RUN else [f"{lines} log lines for {SHORT_RUN} requests"]


def _echo(port: int) -> dict[str, str]:
    """What reached the server behind; empty texts where it did not say."""
    lines = _get(port, "/echo?check").decode(errors="replace").splitlines()
    said = dict(line.partition("=")[::2] for line in lines)
    return {name: said.get(name, "") for name in (*ECHOED, "connection", "requests")}


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        return _read(connection, path)
    finally:
        connection.close()


def _read(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers={"Host": HOST})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise Void(f"GET {path} was answered with {answer.status}")
    return body
