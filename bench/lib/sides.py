"""A side: one proxy under measurement. Starts the peers and the server behind all of them."""

import http.client
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import configs, peers
from .accesslog import AccessLog
from .errors import Void
from .process import LOAD_CORE, PROXY_CORE, Process
from .sandbox import WORK

BACKEND_PORT, STREAMS_PORT = 9000, 9001
FILES = 19_500  # descriptors a peer may use; common hard limits are 20,000


@dataclass
class Side:
    """One proxy that runs."""

    name: str
    version: str
    port: int
    process: Process
    log: AccessLog
    note: str = ""

    def end(self) -> None:
        """Stop it."""
        self.process.end()


def start_backend() -> Process:
    """nginx behind all proxies, on the load core: `/json`, `/echo`, `/64k`, `/1m`."""
    files = WORK / "files"
    files.mkdir(exist_ok=True)
    for name, size in (("64k", 64 << 10), ("1m", 1 << 20)):
        (files / name).write_bytes(os.urandom(size))
    backend = peers.start(peers.NGINX, "backend", configs.nginx_backend(BACKEND_PORT, FILES), LOAD_CORE)
    wait_until_up("backend", backend, lambda: answers(BACKEND_PORT))
    return backend


def nginx(name: str, port: int, note: str = "", backend: int = BACKEND_PORT, path: str = "/json",
          env: dict[str, str] | None = None, **options: str) -> Side:
    """nginx as a proxy; `options` as in `configs.nginx`."""
    config = configs.nginx(name, port, backend, FILES, **options)
    process = peers.start(peers.NGINX, name, config, PROXY_CORE, env)
    log = AccessLog(lambda: [WORK / f"{name}.access.log"], truncate=True)
    wait_until_up(name, process, lambda: answers(port, path))
    return Side(name, peers.version(peers.NGINX), port, process, log, note)


def nginx_files(port: int, headers: dict[str, str], note: str = "", https: int | None = None) -> Side:
    """nginx that serves the run's files, with these headers added; `https` as in `configs.nginx_files`."""
    process = peers.start(peers.NGINX, "nginx", configs.nginx_files(port, FILES, headers, https), PROXY_CORE)
    log = AccessLog(lambda: [WORK / "nginx.access.log"], truncate=True)
    wait_until_up("nginx", process, lambda: answers(port, "/1k"))
    return Side("nginx", peers.version(peers.NGINX), port, process, log, note)


def haproxy(port: int, note: str = "", backend: int = BACKEND_PORT, path: str = "/json", extra: str = "") -> Side:
    """HAProxy as a proxy; `extra` as in `configs.haproxy`."""
    config = configs.haproxy(port, backend, FILES // 2 - 100, extra)
    process = peers.start(peers.HAPROXY, "haproxy", config, PROXY_CORE)
    log = AccessLog(lambda: [process.output], truncate=True)
    wait_until_up("haproxy", process, lambda: answers(port, path))
    return Side("haproxy", peers.version(peers.HAPROXY), port, process, log, note)


def answers(port: int, path: str = "/json") -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path, headers={"Host": configs.HOST})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wait_until_up(name: str, process: Process, up: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait for the first good answer."""
    deadline = time.monotonic() + patience
    while not up():
        if not process.running() or time.monotonic() > deadline:
            raise Void(f"{name} did not come up:\n{process.said()}")
        time.sleep(0.05)


def found(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, newest first."""
    return sorted(folder.rglob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
