"""Fine-tunes with an adapter, beside PEFT with the Hugging Face Trainer and with TRL.

Every contestant starts from the same folder and reads the same tokens, with the same ones to
learn. Measured are tokens a second without padding, the loss on the same held-out conversations
before and after, and the memory of the process. Between them the machine's matmul ceiling is
measured. Who takes part says `fine_tuning_cases.py`.

    python benchmarks/fine_tuning.py --case lora_30m --peers hf_peft --quick
    python benchmarks/fine_tuning.py --models DIR --json FILE    # DIR has SmolLM2's GGUF in it
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environments
import harness
from fine_tuning_cases import CONTESTS, ROUNDED, Contest
from harness import Contestant, Measurement, Row
from language_cases import CEILING
from language_training import installed, with_shares

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PREPARING = "hf_peft"
"""The environment that makes the folders and the tokens."""
CEILING_REPEATS = 3
SAME_START, ROUNDED_START = 0.001, 0.05
"""By how many nats contestants may differ before they have learned anything; and those that keep
their frozen weights in bf16: luthier does wherever only products in bf16 read them."""


@dataclass
class Found:
    """What was found so far."""

    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What the contestants read."""

    cache: Path
    missing: Mapping[str, str]
    """By network: why it is not there."""
    adapters: frozenset[str]
    """The kinds that luthier has."""


def main() -> int:
    """Runs the cases that the command line asks for."""
    given = _arguments()
    contests = chosen(given.case)
    known = [one for contest in contests for one in contest.contestants]
    without = {name.strip() for name in given.without.split(",")}
    wanted = {one for one in harness.chosen(known, given.peers) if one.name not in without}
    wanted |= {one for one in known if one.peer == CEILING}
    usable, unusable = installed({one.environment for one in wanted} | {PREPARING})
    for needed in (PREPARING, harness.OURS):
        if needed in unusable:
            print(f"{needed}: {unusable[needed]}", file=sys.stderr)
            return 1
    machine = harness.machine()
    prepared = _prepared(given.data, given.models)
    found = Found()
    for contest in contests:
        able, skipped = able_of(contest, wanted, prepared, unusable)
        found.skipped |= {f"{contest.name}: {name}": why for name, why in skipped.items()}
        if able:
            rounds = 1 if given.quick else given.rounds or contest.rounds
            _take_part(contest, able, rounds, prepared.cache, given.quick, found)
    result = harness.document(
        benchmark="fine_tuning",
        machine=machine,
        rows=found.rows,
        ratios=found.ratios,
        failed=found.failed,
        versions=usable,
    )
    result = {**result, "targets": found.targets, "skipped": found.skipped}
    code = harness.finish(result, given.json)
    for line in said(found):
        print(line)
    return code


def chosen(names: str | None) -> list[Contest]:
    """The contests that `--case` names; none: all.

    Raises:
        SystemExit: If it names one that is not there.
    """
    known = {contest.name: contest for contest in CONTESTS}
    wanted = list(known) if names is None else [one.strip() for one in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"--case: got {', '.join(unknown)}; wanted some of {', '.join(known)}")
    return [known[name] for name in wanted]


def able_of(
    contest: Contest, wanted: set[Contestant], prepared: Prepared, unusable: Mapping[str, str]
) -> tuple[list[Contestant], dict[str, str]]:
    """Who can take part; and why the others of `wanted` cannot."""
    if contest.kind in prepared.missing:
        return [], {"all": prepared.missing[contest.kind]}
    able: list[Contestant] = []
    skipped: dict[str, str] = {}
    for one in contest.contestants:
        if one not in wanted:
            continue
        kind = contest.needs.get(one.variant) if one.peer == harness.OURS else None
        if one.environment in unusable:
            skipped[one.name] = unusable[one.environment]
        elif kind is not None and kind not in prepared.adapters:
            skipped[one.name] = f"this luthier has no adapter of the kind {kind}"
        else:
            able.append(one)
    return able, skipped


def other_starts(measured: Mapping[str, Sequence[Measurement]]) -> dict[str, str]:
    """Who began with another loss than the rest: another network, or other tokens."""
    starts = {
        name: runs[0]["start_loss"] for name, runs in measured.items() if name != CEILING and runs
    }
    rounded = {name for name in starts if ROUNDED in name or name.startswith(harness.OURS)}
    whole = sorted(start for name, start in starts.items() if name not in rounded)
    if not whole:
        return {}
    middle = whole[len(whole) // 2]
    return {
        name: f"began with a loss of {start:.4f}, where the others had {middle:.4f}"
        for name, start in starts.items()
        if abs(start - middle) > (ROUNDED_START if name in rounded else SAME_START)
    }


def said(found: Found) -> list[str]:
    """What is said beside the rows: targets, and who was skipped."""
    lines = []
    for case, wanted in found.targets.items():
        if case in found.ratios:
            word = "reached" if found.ratios[case] >= wanted else "not reached"
            lines.append(f"{case}: {word}, {found.ratios[case]:.3f} of {wanted:.3f}")
    return lines + [f"{name} SKIPPED: {why}" for name, why in found.skipped.items()]


def _take_part(
    contest: Contest,
    able: Sequence[Contestant],
    rounds: int,
    cache: Path,
    quick: bool,
    found: Found,
) -> None:
    effort = contest.quick if quick else contest.full

    def measure(one: Contestant, turn: int) -> Measurement:
        python = environments.python_of(one.environment)
        if one.peer == CEILING:
            repeats = 1 if quick else CEILING_REPEATS
            return harness.run_script(python, [*one.command, "--repeats", str(repeats)], PEERS)
        order = [*effort, "--seed", str(turn + 1), "--cache", str(cache)]
        return harness.run_script(python, [*one.command, *order], PEERS)

    measured, failed = harness.take_turns(able, rounds, measure)
    failed |= other_starts(measured)
    shared = with_shares({name: runs for name, runs in measured.items() if name not in failed})
    ranked = harness.rows_of(contest.ranked(), able, shared)
    found.rows += [*ranked, *harness.rows_of(contest.shown(), able, shared)]
    found.ratios |= harness.ratios_of(contest.ranked(), able, ranked)
    found.failed |= {f"{contest.name}: {name}": why for name, why in failed.items()}
    # A few steps decide nothing.
    found.targets |= {} if quick else contest.targets


def _prepared(data: Path, models: Path | None) -> Prepared:
    """The folders and the tokens, which are made first where they are not there."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    command = ["tuning_corpus.py", "--data", str(data.resolve()), "--cache", str(cache)]
    command += [] if models is None else ["--models", str(models.resolve())]
    try:
        made: Mapping[str, Any] = harness.run_script(
            environments.python_of(PREPARING), command, PEERS
        )
        ours = environments.python_of(harness.OURS)
        kinds = harness.run_script(ours, ["luthier_adapters.py"], PEERS)["kinds"]
    except harness.ContestantFailed as failure:
        raise SystemExit(f"nothing to train on: {failure}; give --data DIR") from None
    return Prepared(cache, made["missing"], frozenset(kinds))


def _arguments() -> argparse.Namespace:
    parser = harness.arguments(__doc__.splitlines()[0] if __doc__ else "")
    names = ", ".join(contest.name for contest in CONTESTS)
    data = Path(os.environ.get("LUTHIER_DATA", HERE.parent.parent / "shared" / "data"))
    models = os.environ.get("LUTHIER_MODELS")
    parser.add_argument("--case", metavar="A,B", help=f"only these of {names}")
    parser.add_argument("--without", default="", help="left out, by name: 'trl bf16 packed, …'")
    parser.add_argument("--rounds", type=int, help="turns of each; none: what the case has")
    parser.add_argument("--data", type=Path, default=data, help="directory of the data sets")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path(models) if models else None,
        help="directory of unpacked packages with weights; none: networks of real weights are "
        "skipped",
    )
    return parser.parse_args()


def _cache() -> Path:
    given = os.environ.get("LUTHIER_CACHE")
    root = Path(given) if given else Path.home() / ".cache" / "luthier"
    return root.resolve() / "benchmarks" / "tuning"


if __name__ == "__main__":
    sys.exit(main())
