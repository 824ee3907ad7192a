"""A process tree under measurement: start it on one core, its CPU time, its memory, its end."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .errors import Void

PROXY_CORE, LOAD_CORE = 0, 1


class Process:
    """A process and all that descends from it. `same_program`: also every process of the same executable,
    for programs whose helpers may leave the family (double fork)."""

    def __init__(self, argv: list[str], core: int, output: Path, same_program: bool = False,
                 cwd: str | None = None, env: dict[str, str] | None = None):
        self.output = output
        with open(output, "ab") as out:  # O_APPEND: HAProxy's access log goes here too and is truncated between rounds
            self.popen = subprocess.Popen(
                ["taskset", "-c", str(core), *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                env={**os.environ, **(env or {})},
            )
        self.core = core
        self.same_program = same_program

    @property
    def pid(self) -> int:
        """Of the first process; `taskset` and `chroot` become it by exec."""
        return self.popen.pid

    def pids(self) -> set[int]:
        """All its processes now."""
        parents, programs = {}, {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = Path(f"/proc/{entry}/stat").read_text()
                    parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
                    programs[int(entry)] = os.readlink(f"/proc/{entry}/exe")
                except OSError:
                    continue
        family = {self.pid} & parents.keys()
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        if self.same_program and self.pid in programs:
            family |= {pid for pid, program in programs.items() if program == programs[self.pid]}
        return family

    def cpu(self) -> dict[int, int]:
        """Nanoseconds on a CPU by process, threads that ended included: the kernel's run time sum that `schedstat`
        shows thread by thread, read through each process's CPU clock (clock_getcpuclockid(3))."""
        return {pid: time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids()}

    def faults(self) -> int:
        """Minor page faults so far. Many per request: an allocator that gives memory back and fetches it again."""
        return sum(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7]) for pid in self.pids())

    def pss(self) -> int:
        """Bytes of proportional set size of all its processes."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def threads_off_core(self) -> list[str]:
        """Threads that may run anywhere but on the core it was put on. Must be empty."""
        wrong = []
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
                if fields["Cpus_allowed_list"].strip() != str(self.core):
                    wrong.append(f"{fields['Name']} ({fields['Cpus_allowed_list'].strip()})")
        return wrong

    def running(self) -> bool:
        """Whether the first process lives."""
        return self.popen.poll() is None

    def end(self, first: int = signal.SIGTERM, patience: float = 10.0) -> None:
        """Ask, wait, kill: only processes of this tree, by pid."""
        family = self.pids()
        if self.running():
            self.popen.send_signal(first)
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid in family - {self.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def said(self, lines: int = 15) -> str:
        """The end of what it wrote, for error messages."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])


def cpu_between(before: dict[int, int], after: dict[int, int]) -> int:
    """Nanoseconds used between two readings. A process that ended took its time with it: void."""
    gone = before.keys() - after.keys()
    if gone:
        raise Void(f"{len(gone)} process(es) ended during the round")
    return sum(after.values()) - sum(before.values())
