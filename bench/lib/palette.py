"""Plot & Palette with one Gunicorn, one database and two doors: Mainstay, which runs all of it, and today's nginx with the stack's own `nginx.conf`.

The stack is copied to `bench/out/plot-palette`, and its packages are built there outside the sandbox (pip needs its registry).
Inside, its home and its uploads are tmpfs, so each run begins with an empty database and leaves nothing. Of the stack's two
configurations addresses, certificates and folders are changed, and limits of rate put where nobody reaches them; nothing else.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import mainstay, peers
from .accesslog import AccessLog
from .errors import Void
from .process import LOAD_CORE, PROXY_CORE, Process
from .sandbox import MS_BIND, MS_NOSUID, WORK, mount
from .sides import Side, found, wait_until_up
from .stage import free_port
from .web import ask

HOST = "plot-palette.localhost"
ORIGIN = mainstay.REPOSITORY / "stacks/plot-palette"
COPY = mainstay.REPOSITORY / "bench/out/plot-palette"
HOME, UPLOADS = COPY / ".mainstay", COPY / "uploads"
CERTIFICATE, KEY = WORK / "tls/cert.pem", WORK / "tls/key.pem"
HTTP, HTTPS, GUNICORN, STORYTELLER, NGINX_HTTP, NGINX_HTTPS = 8080, 8443, 5000, 5010, 8081, 8444
BOTH_CORES = f"{PROXY_CORE},{LOAD_CORE}"
WORKERS = 2  # of each door: one for each core, as both have it by default
NO_LIMIT = 1_000_000
LIMIT = f'limit = {{ rate = "{NO_LIMIT}/s", burst = {NO_LIMIT} }}'

# Debian's own nginx.conf, but for connections that are kept however much is asked over them, as on the other side.
NGINX = f"""
user www-data;
worker_processes {WORKERS};
pid /mnt/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    types_hash_max_size 2048;
    keepalive_requests 1000000000;
    client_body_temp_path /mnt/nginx-bodies;
    include /mnt/site.conf;
}}
"""
# What of the stack's nginx.conf is another here; each pattern is there.
CHANGES = {
    r"listen 80;\s+listen \[::\]:80;": f"listen 127.0.0.1:{NGINX_HTTP};",
    r"listen 443 ssl http2;\s+listen \[::\]:443 ssl http2;": f"listen 127.0.0.1:{NGINX_HTTPS} ssl http2;",
    r"server_name your-domain.com www.your-domain.com;": f"server_name {HOST};",
    r"/etc/letsencrypt/live/your-domain.com/fullchain.pem": "/mnt/tls/cert.pem",
    r"/etc/letsencrypt/live/your-domain.com/privkey.pem": "/mnt/tls/key.pem",
    r"/var/www/plot-palette": "/mnt/site",
    r"/var/log/plot-palette/access.log": "/mnt/nginx.access.log",
    r"/var/log/plot-palette/error.log": "/mnt/nginx.error.log",
    r"server 127.0.0.1:5000": f"server 127.0.0.1:{GUNICORN}",
    r"rate=\d+r/[sm]": f"rate={NO_LIMIT}r/s",
    r"burst=\d+": f"burst={NO_LIMIT}",
}


def build() -> None:
    """Copy the stack and have its packages built. Outside the sandbox; where they are built already it takes a start and a stop."""
    COPY.mkdir(parents=True, exist_ok=True)
    for old in COPY.iterdir():
        if old != HOME:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(ORIGIN, COPY, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".mainstay", "e2e", "__pycache__"))
    _manifest(tls=False)
    print(f"building the stack's packages in {COPY}, where they are not there yet ...", file=sys.stderr, flush=True)
    port, output = free_port(), COPY / "build.out"
    output.unlink(missing_ok=True)
    process = _up(free_port(), port, free_port(), free_port(), output)
    try:
        wait_until_up("the stack", process, lambda: _healthy(port, verified=False), patience=600)
    except Void as void:
        raise SystemExit(str(void)) from void
    finally:
        process.end(signal.SIGINT, patience=60)


def settle() -> None:
    """Inside the sandbox: an empty home that has the packages, empty uploads, a certificate for both doors, the name's address."""
    built = WORK / "built"
    built.mkdir()
    mount(str(HOME / "build"), str(built), "", MS_BIND)
    mount("tmpfs", str(HOME), "tmpfs", MS_NOSUID, f"mode={HOME.stat().st_mode & 0o7777:o}")
    (HOME / "build").mkdir()
    mount(str(built), str(HOME / "build"), "", MS_BIND)
    mount("tmpfs", str(UPLOADS), "tmpfs", MS_NOSUID, "mode=755")
    (WORK / "site").mkdir()
    mount(str(COPY), str(peers.ROOT / "mnt/site"), "", MS_BIND)
    CERTIFICATE.parent.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", KEY,
                    "-out", CERTIFICATE, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True)
    (WORK / "hosts").write_text(f"127.0.0.1 localhost {HOST}\n")  # wrk takes its server name from the address
    mount(str(WORK / "hosts"), "/etc/hosts", "", MS_BIND)
    _manifest(tls=True)


def start_mainstay() -> Side:
    """All of the stack, and the first door."""
    process = _up(HTTP, HTTPS, GUNICORN, STORYTELLER, WORK / "mainstay.out")
    wait_until_up("the stack", process, lambda: _healthy(HTTPS), patience=180)
    version = subprocess.run([mainstay.binary(), "version"], capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    return mainstay.MainstaySide("mainstay", version, HTTPS, process, AccessLog(lambda: found(HOME, "access.log*"), truncate=False))


def start_nginx() -> Side:
    """The second door, to the same Gunicorn."""
    site = (ORIGIN / "nginx.conf").read_text()
    for pattern, new in CHANGES.items():
        site, times = re.subn(pattern, new, site)
        if not times:
            raise Void(f"{ORIGIN / 'nginx.conf'} has no {pattern!r}: adapt CHANGES in {__file__}")
    (WORK / "site.conf").write_text(site)
    process = peers.start(peers.NGINX, "nginx", NGINX, BOTH_CORES)
    wait_until_up("nginx", process, lambda: _healthy(NGINX_HTTPS))
    log = AccessLog(lambda: [WORK / "nginx.access.log"], truncate=True)
    return Side("nginx", peers.version(peers.NGINX), NGINX_HTTPS, process, log, "the stack's nginx.conf")


def gunicorn(owner: Process) -> Side:
    """The application itself, asked without a door; nothing is said of log lines."""
    return Side("gunicorn", "", GUNICORN, owner, AccessLog(lambda: [], truncate=False), "asked directly, over plain HTTP: the control")


def venv_python() -> Path:
    """The Python with the stack's packages."""
    return next(path for path in sorted((HOME / "build").rglob("bin/python3")))


def gunicorn_line(text: str, patience: float = 3.0) -> str:
    """The line of the application's output that holds a text; empty where there is none. What came without a request id has none."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for path in (HOME / "logs").rglob("*"):
            if path.is_file() and "access.log" not in path.name:
                for line in path.read_text(errors="replace").splitlines():
                    if text in line:
                        return line
        time.sleep(0.1)
    return ""


def cpu() -> dict[int, tuple[str, int]]:
    """Role and nanoseconds on a CPU of every process of the run: in the sandbox there are no others but the bench and pid 1."""
    readings = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) not in (1, os.getpid()):
            try:
                readings[int(entry)] = _role(int(entry)), time.clock_gettime_ns((~int(entry) << 3) | 2)
            except OSError:
                continue  # it ended just now
    return readings


def cpu_between(before: dict[int, tuple[str, int]], after: dict[int, tuple[str, int]]) -> dict[str, int]:
    """Nanoseconds by role. A process that ended took its time with it: void."""
    if gone := [role for pid, (role, _) in before.items() if pid not in after]:
        raise Void(f"ended during the round: {', '.join(gone)}")
    spent: dict[str, int] = {}
    for pid, (role, now) in after.items():
        spent[role] = spent.get(role, 0) + now - before.get(pid, ("", 0))[1]
    return spent


def busiest(before: dict[int, tuple[str, int]], after: dict[int, tuple[str, int]], role: str) -> float:
    """Share of one process in what its role spent."""
    spent = [now - before.get(pid, ("", 0))[1] for pid, (name, now) in after.items() if name == role]
    return max(spent, default=0) / (sum(spent) or 1)


def _role(pid: int) -> str:
    """`edge`, `keeper`, `shims`, `nginx`, `gunicorn`, `database` or `others` (the storyteller)."""
    program = Path(os.readlink(f"/proc/{pid}/exe"))
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    if program == mainstay.binary().resolve():
        return {"up": "keeper", "edge": "edge"}.get(words[1], "shims")
    if program.name in ("nginx", "mariadbd", "mysqld"):
        return "nginx" if program.name == "nginx" else "database"
    return "gunicorn" if any("gunicorn" in word for word in words) else "others"


def _up(http: int, https: int, gunicorn_port: int, storyteller: int, output: Path) -> Process:
    env = {"DOMAIN": HOST, "PLOT_PALETTE_LOGS": "", "PLOT_PALETTE_HTTP": f"127.0.0.1:{http}", "PLOT_PALETTE_HTTPS": f"127.0.0.1:{https}",
           "PLOT_PALETTE_PORT": str(gunicorn_port), "STORYTELLER_PORT": str(storyteller)}
    return Process([str(mainstay.binary()), "up", "-f", str(COPY)], BOTH_CORES, output, same_program=True, cwd=str(COPY), env=env)


def _manifest(tls: bool) -> None:
    text, times = re.subn(r"limit = \{.*\}", LIMIT, (ORIGIN / "mainstay.toml").read_text())
    if not times:
        raise Void(f"{ORIGIN / 'mainstay.toml'} has no limits: adapt {__file__}")
    if tls:
        text = text.replace("[[site]]\n", f'[[site]]\ntls = {{ cert = "{CERTIFICATE}", key = "{KEY}" }}\n', 1)
    (COPY / "mainstay.toml").write_text(text)


def _healthy(port: int, verified: bool = True) -> bool:
    try:
        return ask(HOST, port, "GET", "/api/health", trust=CERTIFICATE if verified else None).status == 200
    except OSError:
        return False
