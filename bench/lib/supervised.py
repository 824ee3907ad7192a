"""What the scripts of `bench/supervision` see of processes."""

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def processes_below(folder: Path) -> list[int]:
    """Pids of the processes whose working folder is there: an app's, whoever their parents are."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and Path(os.readlink(f"/proc/{entry}/cwd")).is_relative_to(folder):
                found.append(int(entry))
        except OSError:
            continue  # it ended just now
    return found


def resident_below(folder: Path) -> int:
    """Their resident memory together, in bytes; shared pages count for each."""
    total = 0
    for pid in processes_below(folder):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total
