"""Load over HTTP/2: h2load, one thread and one connection in the clear, on the load core; its summary read back."""

import re
import subprocess

from .configs import HOST
from .errors import Void
from .process import LOAD_CORE
from .wrk import Load


def h2load(port: int, path: str, streams: int, seconds: float) -> Load:
    """Run h2load; any error or status outside 2xx makes it void. It tells no p99: that is 0."""
    command = ["taskset", "-c", str(LOAD_CORE), "h2load", "-t1", "-c1", f"-m{streams}", f"-D{max(1, round(seconds))}",
               "-w20", "-W24", "-H", f":authority: {HOST}", f"http://127.0.0.1:{port}{path}"]
    result = subprocess.run(command, capture_output=True, text=True)
    text = result.stdout
    total = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if result.returncode != 0 or not total or int(total.group(2)) == 0:
        raise Void(f"h2load on {path} failed: {text} {result.stderr}")
    requests, trouble = int(total.group(2)), sum(int(total.group(n)) for n in (3, 4, 5))
    good = re.search(r"status codes: (\d+) 2xx", text)
    if trouble or not good or int(good.group(1)) < requests:
        raise Void(f"h2load on {path}: {text}")
    spent = float(max(1, round(seconds)))
    return Load(requests, spent, requests / spent, 0.0)
