"""Today's nginx and HAProxy: Debian unstable in a folder, run by chroot. Debian 12's own are years old.

`BENCH_PEERS` names the folder; without it `bench/out/peers` (not committed). Where it is empty, debootstrap fills it
(about half a minute and 500 MB). Inside the sandbox the run's files are seen by the peers as `/mnt`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from .process import Process
from .sandbox import MS_BIND, WORK, mount

ROOT = Path(os.environ.get("BENCH_PEERS") or Path(__file__).resolve().parents[1] / "out/peers").absolute()
NGINX, HAPROXY = "/usr/sbin/nginx", "/usr/sbin/haproxy"


def ensure() -> None:
    """Make the folder where there is none. Outside the sandbox: it needs Debian's mirror."""
    if all((ROOT / program[1:]).exists() for program in (NGINX, HAPROXY)):
        return
    partial = ROOT.with_name(ROOT.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    print(f"debootstrap of Debian unstable into {ROOT}, once ...", flush=True)
    command = ["debootstrap", "--variant=minbase", "--include=nginx-light,haproxy", "unstable", str(partial)]
    log = partial.with_suffix(".log")
    with open(log, "wb") as out:
        if subprocess.run(command, stdout=out, stderr=out).returncode != 0:
            raise SystemExit(f"debootstrap failed; see {log}")
    log.unlink()
    if ROOT.exists():
        ROOT.rmdir()
    partial.rename(ROOT)


def attach() -> None:
    """Inside the sandbox: show the run's folder to the peers."""
    (ROOT / "mnt").mkdir(exist_ok=True)
    mount(str(WORK), str(ROOT / "mnt"), "", MS_BIND)


def version(program: str) -> str:
    """As the peer itself says it, for example `1.30.6`."""
    result = subprocess.run(["chroot", str(ROOT), program, "-v"], capture_output=True, text=True, check=True)
    return re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr).group()


def start(program: str, name: str, config: str, core: int, env: dict[str, str] | None = None) -> Process:
    """Start a peer in the foreground with this configuration; its output goes to `<name>.out`."""
    (WORK / f"{name}.conf").write_text(config)
    own = ["-e", "stderr", "-g", "daemon off;", "-c"] if program == NGINX else ["-db", "-f"]
    return Process(["chroot", str(ROOT), program, *own, f"/mnt/{name}.conf"], core, WORK / f"{name}.out", env=env)
