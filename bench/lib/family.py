"""CPU time and memory of everything that a process begins, whoever its parent becomes.

This process takes in the orphans (`PR_SET_CHILD_SUBREAPER`): what an engine leaves behind in the background (monitors, containers, daemons) stays
below it. CPU time is that of the living, of those that nobody has waited for yet, and of their children that were waited for.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")


def adopt() -> None:
    """From now on orphans come to this process."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def table() -> dict[int, list[str]]:
    """Fields of `/proc/PID/stat` after the name, by pid: state, parent, ..."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[int(entry)] = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended just now
    return found


def below(root: int, processes: dict[int, list[str]] | None = None) -> set[int]:
    """All that descend from `root`, without it."""
    processes = table() if processes is None else processes
    family, more = set(), {root}
    while more := {pid for pid, fields in processes.items() if int(fields[1]) in more} - family:
        family |= more
    return family


def seconds(fields: list[str], own: bool = True, waited: bool = True) -> float:
    """utime and stime, cutime and cstime of a line of `table`."""
    times = [int(field) for field in fields[11:15]]
    return (sum(times[:2]) * own + sum(times[2:]) * waited) / TICK


def cpu() -> float:
    """Seconds of CPU time that this process's descendants have used so far, those included that are gone."""
    processes = table()
    me = os.getpid()
    return seconds(processes[me], own=False) + sum(seconds(processes[pid]) for pid in below(me, processes))


def end() -> None:
    """Kills whatever is left of it and waits: nobody pays for what somebody else left behind."""
    while left := below(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        bury()
        time.sleep(0.05)


def bury() -> None:
    """Takes in who ended, so that the process table does not fill. Only where nobody else waits for one of them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
