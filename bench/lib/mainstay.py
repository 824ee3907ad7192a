"""Mainstay's side: the real binary under `mainstay up`, with a one-route manifest; all its processes count.

`BENCH_MAINSTAY` names a binary that is built already; otherwise `cargo build --release -p mainstay` makes it.
`BENCH_MAINSTAY_CMD` is for work on the edge alone: a command line with `{listen}` and `{backend}` (both `127.0.0.1:PORT`)
and, if it likes, `{dir}` (a folder for its files, where `access.log` is looked for). Such a run gives no verdict.
"""

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from .accesslog import AccessLog
from .configs import HOST
from .process import PROXY_CORE, Process
from .sandbox import WORK
from .sides import BACKEND_PORT, Side, answers, found, wait_until_up

COMMAND = os.environ.get("BENCH_MAINSTAY_CMD", "")
REPOSITORY = Path(__file__).resolve().parents[2]


def binary() -> Path:
    """Where the release binary is."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    return Path(os.environ.get("BENCH_MAINSTAY") or (REPOSITORY / target / "release/mainstay")).absolute()


def ensure() -> None:
    """Build it. Outside the sandbox: cargo may need its registry."""
    if COMMAND or "BENCH_MAINSTAY" in os.environ:
        return
    subprocess.run(["cargo", "build", "--release", "-p", "mainstay"], cwd=REPOSITORY, check=True)


def start(port: int, backend: int = BACKEND_PORT, path: str = "/json", route: str = "", head: str = "", routes: str = "",
          https: int | None = None, patience: float = 20.0) -> Side:
    """Start it and wait for its first answer over HTTP. `route`: what answers in place of the server behind, as in the manifest; `head` and
    `routes` go into the manifest, the latter before that route; `https`: a port for HTTPS."""
    folder = WORK / "mainstay"
    shutil.rmtree(folder, ignore_errors=True)  # what a start before this one left
    folder.mkdir()
    if COMMAND:
        words = {"listen": f"127.0.0.1:{port}", "backend": f"127.0.0.1:{backend}", "dir": str(folder)}
        argv, version = [word.format(**words) for word in shlex.split(COMMAND)], "development"
    else:
        (folder / "mainstay.toml").write_text(
            f'stack = "bench"\n{head}\n[[site]]\nhosts = ["{HOST}"]\n{routes}[[site.route]]\npath = "/*"\n'
            + (route or f'proxy = "127.0.0.1:{backend}"') + "\n"
        )
        argv = [str(binary()), "up", "-f", str(folder), "--http", f"127.0.0.1:{port}"]
        argv += ["--https", f"127.0.0.1:{https}"] if https else []
        version = subprocess.run([argv[0], "version"], capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    process = Process(argv, PROXY_CORE, WORK / "mainstay.out", same_program=not COMMAND, cwd=str(folder))
    log = AccessLog(lambda: found(folder, "access.log*"), truncate=False)
    wait_until_up("mainstay", process, lambda: answers(port, path), patience)
    return MainstaySide("mainstay", version, port, process, log, "development form" if COMMAND else "")


class MainstaySide(Side):
    """Ends by Ctrl-C, as in a terminal, with the time a clean stop may take."""

    def end(self) -> None:
        self.process.end(signal.SIGINT, patience=20.0)
