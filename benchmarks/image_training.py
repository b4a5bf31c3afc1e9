"""Trains one small network on MNIST with luthier and its peers: rate, time to a goal, accuracy.

The network is Conv 32 3×3 ReLU, max pool 2×2, flatten, dense 128 ReLU, dense 10; Adam 1e-3,
cross-entropy, batches of 128, shuffled in each epoch. Evaluation is left out of every time.

    python benchmarks/image_training.py                # rates and seconds to 98.5 %
    python benchmarks/image_training.py --accuracy     # after 10 epochs, three seeds
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import environments
import harness
from harness import Case, Contestant, Measurement

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PRECISIONS = ("fp32", "bf16")

_RATE: tuple[str, harness.Better, str] = ("images/s", "higher", "images_per_second")
RATES = (
    Case("images_per_second_fp32", *_RATE, ("fp32",)),
    Case("images_per_second_over_fp32_peers", *_RATE, ("fp32",), ours=PRECISIONS),
    Case("images_per_second", *_RATE, PRECISIONS),
    Case("seconds_to_98.5", "s", "lower", "seconds_to_target", PRECISIONS),
    Case("overhead", "% of a step", "lower", "overhead_percent", ("",)),
)
ACCURACIES = (
    Case("accuracy_fp32", "share right", "higher", "accuracy", ("fp32",)),
    Case("accuracy_bf16", "share right", "higher", "accuracy", ("bf16",)),
    Case("seconds_to_98.5", "s", "lower", "seconds_to_target", PRECISIONS),
    Case("images_per_second", *_RATE, PRECISIONS),
    Case("images_per_second_over_fp32_peers", *_RATE, ("fp32",), ours=PRECISIONS),
)

_SCRIPTS = {
    # peer: its environment, and its script with the script's own arguments
    harness.OURS: ("luthier", ("luthier_train.py",)),
    "keras_tensorflow": ("keras_tensorflow", ("keras_tensorflow.py",)),
    "keras_jax": ("keras_jax", ("keras_jax.py",)),
    "hf_trainer": ("hf_trainer", ("hf_trainer.py",)),
    "lightning": ("lightning", ("lightning_fit.py",)),
    "torch_loader": ("torch", ("torch_loop.py",)),
    "torch_indexed": ("torch", ("torch_loop.py", "--indexed")),
    "bare_loop": ("torch", ("bare.py",)),
}


def contestants(*, overhead: bool) -> list[Contestant]:
    """Everyone in each precision, and what measures luthier's overhead."""
    everyone = [
        Contestant(
            peer=peer,
            variant=precision,
            environment=environment,
            command=(*command, "--precision", precision),
            yardstick=peer == "bare_loop",
        )
        for peer, (environment, command) in _SCRIPTS.items()
        for precision in PRECISIONS
    ]
    if overhead:
        everyone.append(
            Contestant(harness.OURS, "", "luthier", ("luthier_overhead.py", "--precision", "bf16"))
        )
    return everyone


def main() -> int:
    """Runs the benchmark that the command line asks for."""
    parser = harness.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--accuracy", action="store_true", help="accuracy after 10 epochs instead")
    parser.add_argument("--epochs", type=int, help="of a run; none: 6, or 10 for accuracy")
    parser.add_argument("--without", default="", help="left out, by name: 'luthier fp32, …'")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--data", type=Path, default=_data(), help="directory of the MNIST files")
    given = parser.parse_args()
    if not (given.data / "train-images-idx3-ubyte.gz").exists():
        print(f"{given.data}: no MNIST files there; give --data DIR", file=sys.stderr)
        return 2
    everyone = harness.chosen(contestants(overhead=not given.accuracy), given.peers)
    without = {name.strip() for name in given.without.split(",")}
    everyone = [one for one in everyone if one.name not in without]
    versions = {one.environment: environments.versions(one.environment) for one in everyone}
    machine = harness.machine()
    epochs, rounds = _effort(given)
    measured, failed = harness.take_turns(
        everyone, rounds, lambda one, turn: _measure(one, turn, epochs, given.data)
    )
    cases = ACCURACIES if given.accuracy else RATES
    rows = harness.rows_of(cases, everyone, measured)
    result = harness.document(
        benchmark="image_training",
        machine=machine,
        rows=rows,
        ratios=harness.ratios_of(cases, everyone, rows),
        failed=failed,
        versions=versions,
    )
    return harness.finish(result, given.json)


def _effort(given: argparse.Namespace) -> tuple[int, int]:
    """Epochs of a run, and rounds."""
    if given.quick:
        return 2, 1
    return given.epochs or (10 if given.accuracy else 6), given.rounds


def _measure(one: Contestant, turn: int, epochs: int, data: Path) -> Measurement:
    python = environments.python_of(one.environment)
    order = ["--epochs", str(epochs), "--seed", str(turn + 1), "--data", str(data.resolve())]
    return harness.run_script(python, [*one.command, *order], PEERS)


def _data() -> Path:
    root = Path(os.environ.get("LUTHIER_DATA", HERE.parent.parent / "shared" / "data"))
    return root / "image_classification" / "mnist"


if __name__ == "__main__":
    sys.exit(main())
