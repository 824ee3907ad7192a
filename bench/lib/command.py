"""What the commands share: options, the way into the sandbox, the head of the output, the verdict."""

import argparse
import dataclasses
import fcntl
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Callable

from . import mainstay, peers, sandbox
from .errors import Void
from .process import LOAD_CORE
from .sides import Side

NEEDED = {"wrk": "wrk", "debootstrap": "debootstrap", "ip": "iproute2", "taskset": "util-linux"}


class Output:
    """Rows for people as they come, or one JSON document at the end (`--json`; the rows then go to standard error)."""

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.document: dict = {"figures": [], "medians": [], "demands": [], "problems": []}

    def say(self, text: str = "") -> None:
        """A line for people."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def add(self, kind: str, rows: list) -> None:
        """Keep rows (dataclasses or plain values) for the document."""
        self.document[kind] += [dataclasses.asdict(row) if dataclasses.is_dataclass(row) else row for row in rows]

    def demand(self, what: str, value: float, limit: float, unit: str = "") -> None:
        """Note a demand and whether it holds."""
        holds = value <= limit
        self.say(f"  {'HOLDS' if holds else 'FAILS'}  {what}: {value:.3f}{unit}, at most {limit:.3f}{unit}")
        self.document["demands"].append({"what": what, "value": value, "limit": limit, "holds": holds})

    def verdict(self, demanding: bool = True) -> int:
        """0 all demands hold, 1 one does not (or there is none, where there has to be), 2 the sides did not do the same work (or this was no
        final form)."""
        demands = self.document["demands"]
        status = 0 if (demands or not demanding) and all(demand["holds"] for demand in demands) else 1
        if self.document["problems"]:
            self.say("no verdict: the sides did not do the same work (see above)")
            status = 2
        elif mainstay.COMMAND:
            self.say("no verdict: development form (BENCH_MAINSTAY_CMD)")
            status = 2
        self.document["status"] = status
        if self.as_json:
            print(json.dumps(self.document, indent=1), flush=True)
        return status


def options(doc: str, rounds: int, seconds: float | None, cases: list[str], switches: dict[str, str] | None = None) -> argparse.Namespace:
    """Parse the command line; the module's docstring is the help. `switches`: the command's own, with what they mean."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds per case (default %(default)s; figures to keep need 5 or more)"
                        if seconds else "fresh starts per case (default %(default)s)")
    if seconds:
        parser.add_argument("--seconds", type=int, default=seconds, help="load per side and round (default %(default)s)")
    parser.add_argument("--only", choices=cases, help="one case only")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    for switch, meaning in (switches or {}).items():
        parser.add_argument(switch, action="store_true", help=meaning)
    return parser.parse_args()


def main(run: Callable[[Output], int], args: argparse.Namespace, before: Callable[[], None] = lambda: None) -> None:
    """Build what is missing, enter the sandbox, run, exit. `before` is the last thing done outside of the sandbox."""
    if os.geteuid() != 0:
        sys.exit("root is needed: namespaces, chroot, debootstrap")
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"missing: apt-get install {' '.join(missing)}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the proxy, one for load and the server behind")
    lock = alone()
    peers.ensure()
    mainstay.ensure()
    before()

    def inside() -> int:
        os.sched_setaffinity(0, {LOAD_CORE})
        peers.attach()
        output = Output(args.json)
        head(output)
        return run(output)

    sys.stdout.flush()
    status = sandbox.enter(inside)
    lock.close()
    sys.exit(status)


def alone():
    """Two runs at a time would spoil each other's figures: the later one waits. The lock goes with the process."""
    folder = Path(__file__).resolve().parents[1] / "out"
    folder.mkdir(exist_ok=True)
    lock = open(folder / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another benchmark is running; waiting for its end ...", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def head(output: Output) -> None:
    """What the figures were taken on."""
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    load = Path("/proc/loadavg").read_text().split()[0]
    output.document["machine"] = {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(),
                                  "kernel": platform.release(), "congestion": sandbox.congestion_control(), "load": float(load)}
    machine = output.document["machine"]
    output.say(f"{machine['cores']} x {machine['cpu']}, Linux {machine['kernel']}, {machine['congestion']}, load {load} before the run")
    if float(load) > 0.5:
        output.say("  note: the machine is not idle; figures are for orientation only")


def versions(output: Output, sides: list[Side]) -> None:
    """Who takes part."""
    output.document["versions"] = {side.name: side.version for side in sides}
    for side in sides:
        output.say(f"  {side.name:<16} {side.version:<14} {side.note}".rstrip())


def equal(output: Output, problems: list[str]) -> None:
    """What the feature checks found ends the run, but for Mainstay's development form, where figures are worth seeing all the same."""
    for problem in problems:
        output.say(f"  NOT EQUAL  {problem}")
    output.add("problems", problems)
    if problems and not mainstay.COMMAND:
        raise Void("the sides do not do the same work")
    if not problems:
        output.say("  checked: answers, request id and forwarded headers upstream, upstream keepalive, log lines, cores")
