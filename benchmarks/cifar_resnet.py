"""Trains ResNet-20 on CIFAR-10 by luthier's recipe and by a script written by hand.

The same network, settings and data in both: the accuracies must agree.

    python benchmarks/cifar_resnet.py --epochs 3
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import environments
import harness
from harness import Case, Contestant, Measurement

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
CASES = (
    Case("accuracy", "share right", "higher", "accuracy", ("bf16",)),
    Case("images_per_second", "images/s", "higher", "images_per_second", ("bf16",)),
)
CONTESTANTS = [
    Contestant(harness.OURS, "bf16", "luthier", ("cifar_luthier.py", "--precision", "bf16")),
    Contestant("torch_script", "bf16", "luthier", ("cifar_torch.py", "--precision", "bf16")),
]


def main() -> int:
    """Runs the benchmark that the command line asks for."""
    parser = harness.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=_data(), help="directory of the archives")
    parser.add_argument("--epochs", type=int, default=8, help="of a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of different seeds")
    given = parser.parse_args()
    everyone = harness.chosen(CONTESTANTS, given.peers)
    epochs, rounds = (1, 1) if given.quick else (given.epochs, given.rounds)

    def measure(one: Contestant, turn: int) -> Measurement:
        order = ["--epochs", str(epochs), "--seed", str(turn + 1), "--data", str(given.data)]
        python = environments.python_of(one.environment)
        return harness.run_script(python, [*one.command, *order], PEERS)

    machine = harness.machine()
    measured, failed = harness.take_turns(everyone, rounds, measure)
    rows = harness.rows_of(CASES, everyone, measured)
    result = harness.document(
        benchmark="cifar_resnet",
        machine=machine,
        rows=rows,
        ratios=harness.ratios_of(CASES, everyone, rows),
        failed=failed,
        versions={one.environment: environments.versions(one.environment) for one in everyone},
    )
    return harness.finish(result, given.json)


def _data() -> Path:
    root = Path(os.environ.get("LUTHIER_DATA", HERE.parent.parent / "shared" / "data"))
    return (root / "image_classification" / "cifar10_jpg").resolve()


if __name__ == "__main__":
    sys.exit(main())
