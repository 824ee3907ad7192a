"""Timed rounds: A B C A B C, one figure per side and round, and the demands on them.

The figure is the proxy's CPU time per completed request; its ratio is to the base side in the same round. Requests per second,
p99 and the proxy core's share are a second look: the load core often fills first.
"""

import statistics
from dataclasses import dataclass
from typing import Callable

from . import command
from .errors import Void
from .process import cpu_between
from .sides import Side
from .wrk import Load, wrk

RETRIES = 2


@dataclass
class Case:
    """What is asked for, how, and what must hold: `base` is the side the demand compares with, `limit` the highest ratio.
    `shown` are sides whose comparison is printed too, without a demand. `load` takes port, path, connections and seconds."""

    name: str
    path: str
    connections: int
    base: str
    limit: float
    shown: tuple[str, ...] = ()
    load: Callable[[int, str, int, float], Load] = wrk


@dataclass
class Figure:
    """One side in one round."""

    case: str
    round: int
    side: str
    cpu_us: float
    ratio: float
    rps: float
    p99_ms: float
    core: float
    faults: float
    requests: int
    log_lines: int


def run(case: Case, sides: list[Side], once: list[Side], rounds: int, seconds: float, say) -> list[Figure]:
    """All rounds of a case, each side warmed up for a second before. Sides in `once` join the first round only."""
    for side in sides + once:
        side.log.begin()
        load = case.load(side.port, case.path, case.connections, 1)
        side.log.end(at_least=load.requests)
    figures = []
    for number in range(1, rounds + 1):
        this = [_repeat_if_void(case, number, side, seconds, say) for side in sides + (once if number == 1 else [])]
        base = next(figure.cpu_us for figure in this if figure.side == case.base)
        for figure in this:
            figure.ratio = figure.cpu_us / base
            say(line(figure))
        figures += this
    return figures


def _repeat_if_void(case: Case, number: int, side: Side, seconds: float, say) -> Figure:
    for attempt in range(RETRIES + 1):
        try:
            return _one(case, number, side, seconds)
        except Void as void:
            say(f"  void: {side.name}, round {number}: {void}")
            if attempt == RETRIES:
                raise
    raise AssertionError("unreachable")


def _one(case: Case, number: int, side: Side, seconds: float) -> Figure:
    side.log.begin()
    before, faults = side.process.cpu(), side.process.faults()
    load = case.load(side.port, case.path, case.connections, seconds)
    spent = cpu_between(before, side.process.cpu())
    faults = side.process.faults() - faults
    lines = side.log.end(at_least=load.requests)
    # Requests that were under way when the load ended are logged too: at most one per connection.
    if side.log.files() and not load.requests <= lines <= load.requests + case.connections:
        raise Void(f"{lines} log lines for {load.requests} requests over {case.connections} connections")
    cpu_us = spent / 1e3 / load.requests
    return Figure(case.name, number, side.name, cpu_us, 0.0, load.rps, load.p99_ms, spent / 1e9 / load.seconds,
                  faults / load.requests, load.requests, lines)


HEADER = f"  {'round':>6} {'side':<16} {'CPU us/req':>10} {'ratio':>6} {'req/s':>8} {'p99 ms':>7} {'core':>5} {'faults':>6} {'requests':>9} {'log lines':>9}"


def line(figure: Figure, label: str = "") -> str:
    """A figure as a row under `HEADER`."""
    counts = f"{figure.requests:>9} {figure.log_lines:>9}" if not label else ""
    return (f"  {label or figure.round:>6} {figure.side:<16} {figure.cpu_us:>10.2f} {figure.ratio:>6.2f} {figure.rps:>8.0f}"
            f" {figure.p99_ms:>7.2f} {figure.core:>5.0%} {figure.faults:>6.1f} {counts}").rstrip()


def medians(figures: list[Figure]) -> list[Figure]:
    """One row per side: the median of each column over the rounds; of `ratio`, the median of the rounds' ratios."""
    rows = []
    for side in dict.fromkeys(figure.side for figure in figures):
        mine = [figure for figure in figures if figure.side == side]
        columns = {name: statistics.median(getattr(figure, name) for figure in mine)
                   for name in ("cpu_us", "ratio", "rps", "p99_ms", "core", "faults", "requests", "log_lines")}
        rows.append(Figure(mine[0].case, 0, side, **columns))
    return rows


def _ratios(figures: list[Figure], other: str) -> str:
    cost = {(figure.round, figure.side): figure.cpu_us for figure in figures}
    numbers = sorted({figure.round for figure in figures})
    ratios = [cost[number, "mainstay"] / cost[number, other] for number in numbers]
    return f"{' '.join(f'{ratio:.2f}' for ratio in ratios)}, median {statistics.median(ratios):.2f}"


def compare(output, problems: list[str], cases: list[Case], sides: list[Side], once: list[Side], args) -> None:
    """Run the cases asked for; print all rounds, the medians and the demands."""
    command.equal(output, problems)
    for case in cases:
        if args.only in (None, case.name):
            output.say(f"\n{case.name}: {case.path} over {case.connections} connections, {args.seconds} s a round\n{HEADER}")
            figures = run(case, sides, once, args.rounds, args.seconds, output.say)
            rows = medians(figures)
            for row in rows:
                output.say(line(row, "median"))
            output.add("figures", figures)
            output.add("medians", rows)
            ours = next(row for row in rows if row.side == "mainstay")
            output.demand(f"{case.name}, CPU per request, mainstay / {case.base}", ours.ratio, case.limit)
            for other in case.shown:
                output.say(f"  shown  {case.name}, mainstay / {other}, round by round: {_ratios(figures, other)}")
