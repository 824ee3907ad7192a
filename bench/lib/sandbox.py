"""Namespaces of its own for a whole run: network, processes, mounts.

They have no name and belong to the processes inside. When the run ends, however it ends (`kill -9` of the
benchmark included), the kernel kills what is left, unmounts and drops the network. Nothing has to be cleaned up.

    launcher (outside; hands on SIGTERM)  ->  init (pid 1 inside; reaps)  ->  the benchmark

Inside: only loopback, congestion control `reno` (BBR over loopback falsifies bulk figures), a `/proc` of its own,
and a tmpfs over `/run`, where every file of a run lives (`WORK`), the access logs of all sides included.
"""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Callable

from .errors import Void

WORK = Path("/run/bench")

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, MS_NOSUID, MS_BIND = 0x4000, 0x40000, 0x2, 0x1000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(inside: Callable[[], int]) -> int:
    """Run `inside` in the sandbox and return its exit status."""
    _call(LIBC.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), "unshare")
    child = os.fork()
    if child == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _prepare()
        os._exit(_init(inside))
    return _wait_for(child, reap_all=False)


def _init(inside: Callable[[], int]) -> int:
    """Pid 1 of the sandbox: the benchmark is its child, orphans are reaped; when it exits all else is killed."""
    child = os.fork()
    if child == 0:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        os._exit(_status(inside))
    return _wait_for(child, reap_all=True)


def _status(inside: Callable[[], int]) -> int:
    """Exit status of the benchmark; whatever it did not foresee makes the run void."""
    status = 2
    try:
        status = inside()
    except Void as void:
        print(f"VOID: {void}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _leave(*_: object) -> None:
    """The first signal ends the run; the same one may arrive twice (from the terminal and handed on)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wait_for(child: int, reap_all: bool) -> int:
    """Wait for `child`; a SIGTERM is handed on to it. Ctrl-C reaches it by itself, being of the same process group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        pid, status = os.waitpid(-1 if reap_all else child, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 2


def _prepare() -> None:
    """Mounts, loopback, congestion control, open files: from inside, before anything is started."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=755")
    WORK.mkdir(mode=0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    net = Path("/proc/sys/net")
    (net / "ipv4/tcp_congestion_control").write_text("reno")
    (net / "ipv4/ip_local_port_range").write_text("10240 65000")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2); seen in the sandbox only."""
    result = LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode())
    _call(result, f"mount {target}")


def congestion_control() -> str:
    """What a socket made here really uses."""
    with socket.socket() as probe:
        return probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def _call(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())} (root is needed)")
