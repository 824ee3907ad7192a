"""A front door for the conformance scripts: the real binary under `mainstay up` on loopback, HTTP and HTTPS with the local authority.

`BENCH_MAINSTAY` names a binary that is built already; otherwise `cargo build -p mainstay` makes one. Everything lies in a temporary
folder and ends with the `with` block; servers and clients of a script are started through `Stage.run`, so that they end with it.
"""

import contextlib
import functools
import json
import os
import signal
import ssl
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HOST = "t.localhost"
REPOSITORY = Path(__file__).resolve().parents[2]


def binary() -> str:
    """The binary, built where none is named."""
    if named := os.environ.get("BENCH_MAINSTAY"):
        return str(Path(named).absolute())
    subprocess.run(["cargo", "build", "-q", "-p", "mainstay"], cwd=REPOSITORY, check=True)
    return str(REPOSITORY / (os.environ.get("CARGO_TARGET_DIR") or "target") / "debug/mainstay")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stage:
    """`manifest` is without the stack's name, made from the port of plain HTTP where it is a function; `files` of the stack's folder by name. In the
    background: under `mainstay start`, with a keeper and an edge that outlive each other."""

    def __init__(self, manifest: str | Callable[[int], str], files: dict[str, bytes] | None = None, background: bool = False):
        self.background = background
        self.http, self.https = free_port(), free_port()
        self._manifest = manifest(self.http) if callable(manifest) else manifest
        self._files, self.mainstay = files or {}, binary()
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        with self._ends:
            self.folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-conformance-")))
            self.folder.chmod(0o755)  # started by root, the edge is somebody else
            stack = self.folder / "stack"
            for name, content in {**self._files, "mainstay.toml": f'stack = "conformance"\n{self._manifest}'.encode()}.items():
                (stack / name).parent.mkdir(parents=True, exist_ok=True)
                (stack / name).write_bytes(content)
            self.home = self.folder / "home" if self.background else stack / ".mainstay"
            if self.background:
                self._ends.callback(self.finish)
                self.start()
            else:
                self.run([self.mainstay, "up", "-f", str(stack), "--http", f"127.0.0.1:{self.http}", "--https", f"127.0.0.1:{self.https}"],
                         "mainstay", signal.SIGINT)
                self.until(lambda: " is up: " in self.said("mainstay"), "the stack to be up", "mainstay")
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._ends.close()

    @functools.cached_property
    def root(self) -> Path:
        """PEM file of the local authority's root."""
        file = self.folder / "root.pem"
        file.write_text(self.ask("certs", "root", "--pem"))
        return file

    def ask(self, *arguments: str) -> str:
        """What `mainstay` says about this stack."""
        done = subprocess.run([self.mainstay, *arguments, "--home", str(self.home)], capture_output=True, text=True, cwd=self.folder / "stack")
        if done.returncode:
            raise SystemExit(f"mainstay {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Starts the stack in the background, or only a keeper where the rest still runs."""
        self.ask("start", "--http", f"127.0.0.1:{self.http}", "--https", f"127.0.0.1:{self.https}")

    def finish(self) -> None:
        """Stops what `start` began, its keeper included, in whatever state it was left."""
        self.write(self._manifest)
        self.start()
        self.ask("stop", "-y")

    def write(self, manifest: str) -> None:
        """Another manifest; not loaded yet."""
        (self.folder / "stack/mainstay.toml").write_text(f'stack = "conformance"\n{manifest}')

    def status(self) -> dict:
        """What `mainstay status` says."""
        return json.loads(self.ask("status", "--json"))

    def edge(self) -> dict:
        """What `mainstay status` says of the edge."""
        return self.status()["edge"]

    def app(self, name: str) -> dict:
        """What `mainstay status` says of an app."""
        return next(app for stack in self.status()["stacks"] for app in stack["apps"] if app["name"] == name)

    def ready(self, name: str) -> list[dict]:
        """Its instances that are ready."""
        return [instance for instance in self.app(name)["instances"] if instance["state"] == "ready"]

    def run(self, argv: list[str], name: str, how: int = signal.SIGTERM, **more) -> subprocess.Popen:
        """Starts something that ends with the stage; what it says goes to a file."""
        with open(self.folder / f"{name}.out", "ab") as out:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
        self._ends.callback(end, process, how)
        return process

    def said(self, name: str) -> str:
        """What it said so far."""
        return (self.folder / f"{name}.out").read_text(errors="replace")

    def until(self, condition, what: str, name: str = "mainstay", patience: float = 30) -> None:
        """Waits for it; what `name` said is the error."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited in vain for {what}\n{self.said(name)}")
            time.sleep(0.02)

    def listens(self, port: int, name: str) -> None:
        """Waits until somebody listens there."""
        def connects():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.until(connects, f"{name} to listen", name)

    def trust(self, *protocols: str) -> ssl.SSLContext:
        """Trusts the local authority; ALPN as given."""
        context = ssl.create_default_context(cafile=str(self.root))
        context.set_alpn_protocols(list(protocols) or ["http/1.1"])
        return context


def end(process: subprocess.Popen, how: int) -> None:
    """Asks, waits, kills."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
