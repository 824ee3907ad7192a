"""HTTPS: the load generator (an example of the crate `edge`), and sides that serve files over TLS from `/mnt/files`."""

import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

from . import configs, mainstay, peers, sides
from .accesslog import AccessLog
from .configs import HOST
from .errors import Void
from .process import LOAD_CORE, PROXY_CORE
from .sandbox import WORK
from .sides import FILES, Side, answers, wait_until_up
from .wrk import Load

CERTIFICATES = WORK / "tls"
NAMES = WORK / "names"
SMALL, LARGE = "1k", "1m"
THREADS = 8


def ensure() -> None:
    """Build the load generator. Outside the sandbox: cargo may need its registry."""
    if "BENCH_TLS_LOAD" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "-p", "edge", "--example", "tls_load"], cwd=mainstay.REPOSITORY, check=True)


def _program() -> str:
    built = mainstay.REPOSITORY / (os.environ.get("CARGO_TARGET_DIR") or "target") / "release/examples/tls_load"
    return str(Path(os.environ.get("BENCH_TLS_LOAD") or built).absolute())


def prepare() -> None:
    """A P-256 certificate for all sides, and the files they serve."""
    CERTIFICATES.mkdir(exist_ok=True)
    subprocess.run([_program(), "certificate", HOST, str(CERTIFICATES)], check=True)
    folder = WORK / "files"
    folder.mkdir(exist_ok=True)
    for name, size in ((SMALL, 1 << 10), (LARGE, 1 << 20)):
        (folder / name).write_bytes(os.urandom(size))


def prepare_names(number: int) -> None:
    """A certificate for each of h0.test, h1.test …, all of one root."""
    NAMES.mkdir()
    subprocess.run([_program(), "certificates", str(number), str(NAMES)], check=True)
    for key in NAMES.glob("*.key"):
        key.chmod(0o600)


def load_names(port: int, path: str, number: int, seconds: float) -> Load:
    """Full handshakes, each with another one of these names."""
    return _run("full", port, path, THREADS, seconds, f"h*.test/{number}", NAMES / "root.pem")[0]


def load(mode: str):
    """Load as `rounds.Case.load` wants it: `full`, `resumed` or `bulk`."""
    return lambda port, path, connections, seconds: _run(mode, port, path, connections, seconds)[0]


def _run(mode: str, port: int, path: str, threads: int, seconds: float, host: str = HOST,
         trusted: Path = CERTIFICATES / "cert.pem") -> tuple[Load, str]:
    command = ["taskset", "-c", str(LOAD_CORE), _program(), mode, f"127.0.0.1:{port}", host, str(trusted),
               path, str(threads), str(seconds)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise Void(f"tls_load {mode} on {path}: {result.stderr.strip()}")
    said = json.loads(result.stdout)
    if not said["requests"]:
        raise Void(f"tls_load {mode} on {path}: no request came to its end")
    return Load(said["requests"], said["seconds"], said["requests"] / said["seconds"], said["p99_ms"]), said["spoken"]


def start_mainstay(plain: int, port: int) -> Side:
    """Mainstay serving the files."""
    rules = f'''https_redirect = false
tls = {{ cert = "{CERTIFICATES}/cert.pem", key = "{CERTIFICATES}/key.pem" }}\n'''
    side = mainstay.start(plain, path=f"/{SMALL}", route=f'static = "{WORK}/files"', routes=rules, https=port)
    side.port = port
    return side


def start_nginx(plain: int, port: int, headers: dict[str, str]) -> Side:
    """nginx likewise, with tickets, open files kept, and these headers."""
    side = sides.nginx_files(plain, headers, "ssl_session_tickets, open_file_cache, access log buffer=64k flush=1s", port)
    side.port = port
    return side


def start_haproxy(plain: int, port: int) -> Side:
    """HAProxy, which answers the small file from memory and has no large one."""
    process = peers.start(peers.HAPROXY, "haproxy", configs.haproxy_tls(plain, port, FILES // 2 - 100), PROXY_CORE)
    wait_until_up("haproxy", process, lambda: answers(plain, f"/{SMALL}"))
    return Side("haproxy", peers.version(peers.HAPROXY), port, process, AccessLog(lambda: [process.output], truncate=True))


def same_work(all_sides: list[Side], large: list[Side], say) -> list[str]:
    """All that differs between the sides. The same load against another certificate must fail, or the check is blind."""
    problems, spoken = [], {}
    for side in all_sides:
        try:
            for mode in ("full", "resumed"):
                spoken[side.name, mode] = _run(mode, side.port, f"/{SMALL}", 1, 0.3)[1]
        except Void as void:
            problems.append(f"{side.name}: {void}")
            continue
        for name in (SMALL, LARGE) if side in large else (SMALL,):
            if _body(side.port, f"/{name}") != hashlib.sha256((WORK / "files" / name).read_bytes()).digest():
                problems.append(f"{side.name}: /{name} is not the file")
        time.sleep(1.5)  # lines of what was asked until now are written within a second
        side.log.begin()
        count = _run("full", side.port, f"/{SMALL}", 1, 0.5)[0].requests
        lines = side.log.end(at_least=count)
        if lines != count:
            problems.append(f"{side.name}: {lines} log lines for {count} requests")
        problems += [f"{side.name}: thread off its core: {thread}" for thread in side.process.threads_off_core()]
    for mode in ("full", "resumed"):
        kinds = {text for (_, of), text in spoken.items() if of == mode}
        say(f"  {mode}: {' | '.join(sorted(kinds))}")
        if len(kinds) > 1:
            problems.append(f"{mode}: not all speak the same: { {name: text for (name, of), text in spoken.items() if of == mode} }")
    if not _refuses_strangers(all_sides[0].port):
        raise Void("the load generator takes any certificate")
    return problems


def headers(port: int) -> dict[str, str]:
    """What a side says with the small file."""
    return _ask(port, f"/{SMALL}")[0]


def _body(port: int, path: str) -> bytes:
    return hashlib.sha256(_ask(port, path)[1]).digest()


def _ask(port: int, path: str) -> tuple[dict[str, str], bytes]:
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "cert.pem"))
    connection = http.client.HTTPSConnection(HOST, port, timeout=5, context=context)
    connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname=HOST)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _refuses_strangers(port: int) -> bool:
    other = CERTIFICATES / "other"
    other.mkdir(exist_ok=True)
    subprocess.run([_program(), "certificate", HOST, str(other)], check=True)
    command = [_program(), "full", f"127.0.0.1:{port}", HOST, str(other / "cert.pem"), f"/{SMALL}", "1", "0.1"]
    return subprocess.run(command, capture_output=True).returncode != 0
