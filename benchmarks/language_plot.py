"""Draws validation loss over seconds of training, of every contestant in one plot.

python benchmarks/language_plot.py benchmarks/results/language_loss.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[str, Any]]
"""By contest and contestant: its runs, each with `seconds` and `losses`."""


def draw(curves: Curves, file: Path) -> Path:
    """Writes the plot to `file`, whose suffix says its format: one panel a contest."""
    mpl.rcParams["svg.hashsalt"] = "luthier"  # so that the same curves give the same file
    figure = Figure(figsize=(8, 5 * len(curves)), layout="constrained")
    panels = figure.subplots(len(curves), 1, squeeze=False)[:, 0]
    for panel, (contest, runs_by_name) in zip(panels, curves.items(), strict=True):
        for at, (name, runs) in enumerate(runs_by_name.items()):
            ours = name.startswith("luthier")
            for number, run in enumerate(runs):
                panel.plot(
                    run["seconds"],
                    run["losses"],
                    color="black" if ours else f"C{at % 10}",
                    linestyle="-" if at < 10 or ours else "--",
                    linewidth=2.5 if ours else 1.2,
                    marker=".",
                    label=None if number else name,
                )
        panel.set_title(contest)
        panel.set_xlabel("seconds of training, with compiling, without evaluations")
        panel.set_ylabel("validation loss, nats a token")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    return file


def main(files: list[Path]) -> int:
    """Draws each JSON of `language_training` beside itself."""
    for file in files:
        curves = json.loads(file.read_text())["curves"]
        if not curves:
            print(f"{file}: no curves; they come with --case loss_5m", file=sys.stderr)
            return 2
        print(draw(curves, file.with_suffix(".svg")))
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
