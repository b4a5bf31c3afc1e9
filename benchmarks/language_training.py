"""Trains GPT, BERT and LSTM with luthier's peers, and decodes: rates, shares of the ceiling, loss.

Each case can be run alone. In one run the peers take turns, and between them the machine's
matmul ceiling is measured: a row's share is of the ceiling of its own round, precision and
network. How FLOPs are counted says `peers/language_sizes.py`, who takes part `language_cases.py`.

    python benchmarks/language_training.py --case gpt_5m --peers hf_trainer,litgpt --quick
    python benchmarks/language_training.py --case loss_5m --json FILE    # and a plot beside it
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import environments
import harness
import language_cases
import language_plot
from harness import Contestant, Measurement, Row
from language_cases import CEILING, CONTESTS, Contest

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
TOKENIZING = "hf_trainer"
"""The environment whose tokenizers make the token files."""
CEILING_REPEATS = ("--repeats", "5")

Measured = Mapping[str, Sequence[Measurement]]


def main() -> int:
    """Runs the cases that the command line asks for."""
    given = _arguments()
    contests = chosen(given.case)
    known = [one for contest in contests for one in contest.contestants]
    without = {name.strip() for name in given.without.split(",")}
    wanted = {one for one in harness.chosen(known, given.peers) if one.name not in without}
    wanted |= {one for one in known if one.peer == CEILING}
    usable, unusable = installed({one.environment for one in wanted} | {TOKENIZING})
    if TOKENIZING in unusable:
        print(f"{TOKENIZING}, which makes the token files: {unusable[TOKENIZING]}", file=sys.stderr)
        return 1
    machine = harness.machine()
    cache = _prepared(given.data)
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    curves: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for contest in contests:
        everyone = [one for one in contest.contestants if one in wanted]
        able = [one for one in everyone if one.environment not in unusable]
        rounds = 1 if given.quick else given.rounds or contest.rounds
        measured, fallen = _measured(contest, able, rounds, cache, given.quick)
        skipped = {one.name: unusable[one.environment] for one in everyone if one not in able}
        failed |= {f"{contest.name}: {name}": why for name, why in (skipped | fallen).items()}
        mine = harness.rows_of(contest.ranked(), able, measured)
        rows += [*mine, *harness.rows_of(contest.shown(), able, measured)]
        ratios |= harness.ratios_of(contest.ranked(), able, mine)
        if contest.losses:
            curves |= curves_of(contest, measured)
    result = harness.document(
        benchmark="language_training",
        machine=machine,
        rows=rows,
        ratios=ratios,
        failed=failed,
        versions=usable,
    )
    code = harness.finish({**result, "curves": curves}, given.json)
    if curves and given.json is not None:
        print(language_plot.draw(curves, given.json.with_suffix(".svg")))
    return code


def chosen(names: str | None) -> list[Contest]:
    """The contests that `--case` names; none: all.

    Raises:
        SystemExit: If it names one that is not there.
    """
    if names is None:
        return list(CONTESTS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {contest.name: contest for contest in CONTESTS}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"--case: got {', '.join(unknown)}; wanted some of {', '.join(known)}")
    return [known[name] for name in wanted]


def installed(names: set[str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The environments that can be made, with their versions; and why the others cannot."""
    usable, unusable = {}, {}
    for name in sorted(names):
        try:
            usable[name] = environments.versions(name)
        except subprocess.CalledProcessError as failure:
            print(f"SKIPPED the environment {name}: {failure}", file=sys.stderr, flush=True)
            unusable[name] = f"its environment {name} could not be installed: {failure}"
    return usable, unusable


def with_shares(measured: Measured) -> dict[str, list[Measurement]]:
    """Each run with its share of the ceiling that was measured in the same round."""
    ceilings = measured.get(CEILING)
    if ceilings is None:
        return {name: list(runs) for name, runs in measured.items()}
    shared: dict[str, list[Measurement]] = {CEILING: list(ceilings)}
    for name, runs in measured.items():
        if name == CEILING:
            continue
        _, _, variant = name.partition(" ")
        precision = next(one for one in language_cases.PRECISIONS if variant.startswith(one))
        shared[name] = [
            {**run, "share": run["gflops_per_second"] / ceiling[precision]}
            for run, ceiling in zip(runs, ceilings, strict=True)
        ]
    return shared


def curves_of(contest: Contest, measured: Measured) -> dict[str, Any]:
    """Loss over seconds, of each run of each contestant."""
    return {
        contest.name: {
            name: [{"seconds": run["seconds"], "losses": run["losses"]} for run in runs]
            for name, runs in measured.items()
        }
    }


def _arguments() -> argparse.Namespace:
    parser = harness.arguments(__doc__.splitlines()[0] if __doc__ else "")
    names = ", ".join(contest.name for contest in CONTESTS)
    parser.add_argument("--case", metavar="A,B", help=f"only these of {names}")
    parser.add_argument("--without", default="", help="left out, by name: 'nanogpt fp32, …'")
    parser.add_argument("--rounds", type=int, help="turns of each; none: what the case has")
    parser.add_argument("--data", type=Path, default=_data(), help="directory of the data sets")
    return parser.parse_args()


def _measured(
    contest: Contest, everyone: Sequence[Contestant], rounds: int, cache: Path, quick: bool
) -> tuple[dict[str, list[Measurement]], dict[str, str]]:
    effort = contest.quick if quick else contest.full

    def measure(one: Contestant, turn: int) -> Measurement:
        python = environments.python_of(one.environment)
        if one.peer == CEILING:
            return harness.run_script(python, [*one.command, *CEILING_REPEATS], PEERS)
        order = [*effort, "--seed", str(turn + 1), "--cache", str(cache)]
        return harness.run_script(python, [*one.command, *order], PEERS)

    with tempfile.TemporaryDirectory() as compiled:
        # Compiled code of an earlier run would make compiling look free; TensorFlow and JAX,
        # which keep none, would look slow beside it.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiled
        measured, failed = harness.take_turns(everyone, rounds, measure)
    return with_shares(measured), failed


def _prepared(data: Path) -> Path:
    """Where the token files are, which are made first where they are not there."""
    python = environments.python_of(TOKENIZING)
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    command = ["language_corpus.py", "--data", str(data.resolve()), "--cache", str(cache)]
    try:
        harness.run_script(python, command, PEERS)
    except harness.ContestantFailed as failure:
        raise SystemExit(f"no token files: {failure}; give --data DIR") from None
    return cache


def _cache() -> Path:
    chosen = os.environ.get("LUTHIER_CACHE")
    root = Path(chosen) if chosen else Path.home() / ".cache" / "luthier"
    return root.resolve() / "benchmarks" / "language"


def _data() -> Path:
    return Path(os.environ.get("LUTHIER_DATA", HERE.parent.parent / "shared" / "data"))


if __name__ == "__main__":
    sys.exit(main())
