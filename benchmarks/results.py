"""Writes RESULTS.md from the JSON of the benchmarks.

python benchmarks/results.py [FILE.json …]      # none given: all of benchmarks/results/
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

_HEAD = """# Benchmark results

Written by `python benchmarks/results.py` from `benchmarks/results/*.json`; not edited by hand.
Each figure is the median of the runs, with the lowest and the highest beside it. Where speed is
compared, luthier and its peers took turns in one run, each in its own process and environment. A
ratio above 1 means that luthier is ahead of the fastest peer; what a ceiling or a bare loop reached
is a yardstick, no peer. Absolute figures belong to the machine; compare ratios.
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """RESULTS.md as text."""
    return "\n".join([_HEAD, *(_section(result) for result in results)])


def main(files: Sequence[Path], target: Path) -> int:
    """Reads `files`, and writes `target`."""
    if not files:
        print(
            "no results; run a benchmark with --json benchmarks/results/NAME.json", file=sys.stderr
        )
        return 2
    target.write_text(page([json.loads(file.read_text()) for file in files]))
    print(target)
    return 0


def _section(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        f"## {result['benchmark']}, {result['date']}",
        "",
        f"`{result['command']}`",
        "",
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}; load before the start "
        f"{machine['load_before']}.",
        "",
    ]
    return "\n".join(lines + (_learning(result) if "seeds" in result else _speed(result)))


def _learning(result: Mapping[str, Any]) -> list[str]:
    """What was learned, with several seeds."""
    seeds = ", ".join(str(seed) for seed in result["seeds"])
    return [
        f"Seeds {seeds}; a baseline that draws nothing has a single run.",
        "",
        "| case | who | metric | median | low | high | reference |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_learned(row) for row in result["rows"]),
        "",
        *(f"{note}\n" for note in result.get("notes", ())),
    ]


def _learned(row: Mapping[str, Any]) -> str:
    figures = " | ".join(f"{row[key]:.4f}" for key in ("median", "low", "high"))
    return f"| {row['case']} | {row['who']} | {row['metric']} | {figures} | {row['reference']} |"


def _speed(result: Mapping[str, Any]) -> list[str]:
    """Who was how fast."""
    return [
        "| case | luthier over the fastest peer |",
        "| --- | --- |",
        *(f"| {case} | {ratio:.2f} |" for case, ratio in result["ratios"].items()),
        "",
        "| case | who | median | low | high | runs | unit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(row) for row in result["rows"]),
        "",
        *(
            f"Failed: {name}: {message.splitlines()[0]}\n"
            for name, message in result["failed"].items()
        ),
        *_versions(result["versions"]),
    ]


def _row(row: Mapping[str, Any]) -> str:
    figures = " | ".join(_figure(row[key]) for key in ("median", "low", "high"))
    return f"| {row['case']} | {row['peer']} | {figures} | {len(row['runs'])} | {row['unit']} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _versions(versions: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = []
    for environment, found in versions.items():
        named = ", ".join(f"{name} {version}" for name, version in found.items())
        lines.append(f"- {environment}: {named}")
    return [*lines, ""]


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    sys.exit(main(given or sorted((HERE / "results").glob("*.json")), HERE / "RESULTS.md"))
