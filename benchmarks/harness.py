"""What every benchmark shares: turns taken, statistics, ratios, and the JSON.

`python benchmarks/X.py [--peers a,b] [--quick] [--json FILE]`. luthier and its peers run in turn
(A B A B …), so that a slow minute of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

OURS = "luthier"
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Contestant:
    """Something that is measured: luthier, a peer, or a yardstick."""

    peer: str
    """What `--peers` calls it. Several contestants may be of one peer: its precisions."""
    variant: str
    """What tells it from the peer's others; may be empty."""
    environment: str
    """The name of its virtual environment."""
    command: tuple[str, ...]
    """What its environment's Python runs: a script and its arguments."""
    yardstick: bool = False
    """Not a peer to be ahead of: hand-written for one network, shown beside the others."""

    @property
    def name(self) -> str:
        """As rows call it: `hf_trainer bf16`."""
        return f"{self.peer} {self.variant}".strip()


@dataclass(frozen=True)
class Case:
    """One question of a benchmark, answered by a number for each contestant."""

    name: str
    unit: str
    better: Better
    key: str
    """The key of the answer in what a contestant measures."""
    variants: tuple[str, ...]
    """The variants that take part."""
    ours: tuple[str, ...] | None = None
    """luthier's variants that take part; none: the same."""

    def takes(self, one: Contestant) -> bool:
        """Whether `one` takes part."""
        if one.peer == OURS and self.ours is not None:
            return one.variant in self.ours
        return one.variant in self.variants


@dataclass(frozen=True)
class Row:
    """The runs of one contestant in one case."""

    case: str
    peer: str
    unit: str
    median: float
    low: float
    high: float
    runs: tuple[float, ...]


Measurement = Mapping[str, Any]
Measure = Callable[[Contestant, int], Measurement]


class ContestantFailed(Exception):  # noqa: N818
    """A contestant that ended without a measurement."""


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line that every benchmark has; a benchmark may add to it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peers", metavar="A,B", help="only these beside luthier; none: all")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go")
    return parser


def chosen(contestants: Sequence[Contestant], peers: str | None) -> list[Contestant]:
    """luthier, and those that `--peers` names.

    Raises:
        SystemExit: If it names one that is not there.
    """
    if peers is None:
        return list(contestants)
    wanted = [peer.strip() for peer in peers.split(",") if peer.strip()]
    known = {contestant.peer for contestant in contestants}
    unknown = [peer for peer in wanted if peer not in known]
    if unknown:
        raise SystemExit(
            f"--peers: got {', '.join(unknown)}; wanted some of {', '.join(sorted(known))}"
        )
    return [one for one in contestants if one.peer == OURS or one.peer in wanted]


def run_script(python: Path, command: Sequence[str], directory: Path) -> Measurement:
    """Runs a peer's script, and reads the JSON object in its last line.

    Raises:
        ContestantFailed: If it exits with an error, or prints no measurement.
    """
    done = subprocess.run(
        [str(python), *command], cwd=directory, capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        tail = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise ContestantFailed(f"{' '.join(command)}: exit code {done.returncode}\n{tail}")
    try:
        measurement: Measurement = json.loads(lines[-1])
    except json.JSONDecodeError:
        raise ContestantFailed(f"{' '.join(command)}: no JSON, but {lines[-1]!r}") from None
    return measurement


def take_turns(
    contestants: Sequence[Contestant], rounds: int, measure: Measure
) -> tuple[dict[str, list[Measurement]], dict[str, str]]:
    """`rounds` times each contestant, one after the other: A B A B ….

    A contestant that fails is named, and left out from then on; its earlier runs do not count.

    Returns:
        By contestant: the measurements; and what the failed ones said.
    """
    measured: dict[str, list[Measurement]] = {one.name: [] for one in contestants}
    failed: dict[str, str] = {}
    for turn in range(rounds):
        for one in contestants:
            if one.name in failed:
                continue
            print(f"round {turn + 1} of {rounds}: {one.name}", file=sys.stderr, flush=True)
            try:
                measured[one.name].append(measure(one, turn))
            except ContestantFailed as failure:
                print(f"FAILED {failure}", file=sys.stderr, flush=True)
                failed[one.name] = str(failure)
                del measured[one.name]
    return measured, failed


def rows_of(
    cases: Iterable[Case],
    contestants: Sequence[Contestant],
    measured: Mapping[str, Sequence[Measurement]],
) -> list[Row]:
    """Median and spread of each contestant in each case.

    A run without an answer (a target that was not reached) makes no row: the other runs alone
    would flatter it.
    """
    rows: list[Row] = []
    for case in cases:
        for one in contestants:
            if not case.takes(one):
                continue
            runs = [run.get(case.key) for run in measured.get(one.name, ())]
            if runs and all(run is not None for run in runs):
                rows.append(_row(case, one.name, [float(run) for run in runs if run is not None]))
    return rows


def ratios_of(
    cases: Iterable[Case], contestants: Sequence[Contestant], rows: Sequence[Row]
) -> dict[str, float]:
    """For each case: luthier over the fastest peer, above 1 is ahead.

    Where there are several variants, the best of luthier's is set against the best of any peer's.
    """
    ours = {one.name for one in contestants if one.peer == OURS}
    peers = {one.name for one in contestants if one.peer != OURS and not one.yardstick}
    ratios: dict[str, float] = {}
    for case in cases:
        mine = [row.median for row in rows if row.case == case.name and row.peer in ours]
        theirs = [row.median for row in rows if row.case == case.name and row.peer in peers]
        if not mine or not theirs:
            continue
        if case.better == "higher":
            ratios[case.name] = max(mine) / max(theirs)
        else:
            ratios[case.name] = min(theirs) / min(mine)
    return ratios


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def document(
    *,
    benchmark: str,
    machine: Mapping[str, Any],
    rows: Sequence[Row],
    ratios: Mapping[str, float],
    failed: Mapping[str, str],
    versions: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The JSON of one run of a benchmark."""
    return {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "machine": dict(machine),
        "versions": {name: dict(found) for name, found in versions.items()},
        "rows": [asdict(row) for row in rows],
        "ratios": dict(ratios),
        "failed": dict(failed),
    }


def finish(result: Mapping[str, Any], file: Path | None) -> int:
    """Prints the rows and the ratios, and writes the JSON.

    Returns:
        The exit code: 1 where a contestant failed.
    """
    width = max((len(row["peer"]) for row in result["rows"]), default=0)
    for row in result["rows"]:
        spread = f"({row['low']:,.4g} to {row['high']:,.4g}, {len(row['runs'])} runs)"
        print(
            f"{row['case']:24} {row['peer']:{width}}  {row['median']:,.5g} {row['unit']} {spread}"
        )
    for case, ratio in result["ratios"].items():
        print(f"{case}: luthier over the fastest peer {ratio:.3f}")
    for name, message in result["failed"].items():
        print(f"{name} FAILED: {message}")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["failed"] else 0


def _row(case: Case, peer: str, runs: Sequence[float]) -> Row:
    return Row(
        case=case.name,
        peer=peer,
        unit=case.unit,
        median=statistics.median(runs),
        low=min(runs),
        high=max(runs),
        runs=tuple(runs),
    )


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
