"""Load: wrk, one thread, on the load core; its summary read back."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .configs import HOST
from .errors import Void
from .process import LOAD_CORE

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass
class Load:
    """What wrk counted."""

    requests: int
    seconds: float
    rps: float
    p99_ms: float
    p50_ms: float = 0.0  # where the load generator says it


def wrk(port: int, path: str, connections: int, seconds: float, script: Path | None = None, origin: str | None = None) -> Load:
    """Run wrk; any error or status outside 2xx and 3xx makes it void. `script`: Lua that says what is asked for. `origin`: scheme, name
    and port in place of plain HTTP to `port` with the bench's host; the name has to resolve, and the certificate is not checked."""
    address = [f"{origin}{path}"] if origin else ["-H", f"Host: {HOST}", f"http://127.0.0.1:{port}{path}"]
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
               *(["-s", str(script)] if script else []), "--latency", "--timeout", "10s", *address]
    result = subprocess.run(command, capture_output=True, text=True)
    text = result.stdout
    for trouble in ("Socket errors", "Non-2xx"):
        if line := re.search(f".*{trouble}.*", text):
            raise Void(f"wrk on {path}: {line.group().strip()}")
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", text)
    p50, p99 = (re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", text) for share in (50, 99))
    if result.returncode != 0 or not total or not p50 or not p99 or int(total.group(1)) == 0:
        raise Void(f"wrk on {path} failed: {text} {result.stderr}")
    spent = float(total.group(2)) * _UNITS[total.group(3)] / 1e3
    p50_ms, p99_ms = (float(found.group(1)) * _UNITS[found.group(2)] for found in (p50, p99))
    return Load(int(total.group(1)), spent, int(total.group(1)) / spent, p99_ms, p50_ms)
