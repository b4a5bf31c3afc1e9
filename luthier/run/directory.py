"""The run directory: where everything of a run lies, and what is written there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.checkpoint.document import sealed, unsealed
from luthier.checkpoint.files import Files, write_file
from luthier.errors import InputError, RunError, nearest
from luthier.recipe import Recipe, path_of
from luthier.spec import Decision, plain
from luthier.training.metrics_file import read_rows
from luthier.yaml_source import read_yaml, write_yaml

RUNS = Path("runs")


@dataclass(frozen=True)
class RunDirectory:
    """The names in a run directory."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe as it was given."""
        return self.path / "recipe.yaml"

    @property
    def resolved(self) -> Path:
        """The recipe with every `auto` made a value, each with its reason."""
        return self.path / "resolved.yaml"

    @property
    def metrics(self) -> Path:
        """A JSON object a line: what training logged."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """`step-000100/` and so on."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """What was learned beside the weights of the start, where the run has an adapter."""
        return self.path / "adapter"

    @property
    def reference(self) -> Path:
        """What the network that training began with says of answers, where that is compared; or
        what a teacher says of texts."""
        return self.path / "reference"

    @property
    def evaluation(self) -> Path:
        """`test.json` and `test.parquet` and so on."""
        return self.path / "evaluation"

    @property
    def facts(self) -> Path:
        """What is known of the run beside its recipe: machine, times, data, outcome."""
        return self.path / "facts.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def entries(self) -> tuple[Path, ...]:
        """All that luthier writes here; resolved.yaml, which makes it a run, first."""
        return (
            self.resolved,
            self.recipe,
            self.facts,
            self.metrics,
            self.checkpoints,
            self.model,
            self.adapter,
            self.reference,
            self.evaluation,
            self.report,
            self.path / "tensorboard",
            self.path / "wandb",
        )

    @property
    def begun(self) -> bool:
        """Whether there is a run here already."""
        return self.resolved.exists() or self.checkpoints.exists() or self.model.exists()

    @property
    def finished_step(self) -> int | None:
        """The step at which the run was finished: model, scores and report; none before."""
        step: int | None = self.read_facts().get("finished_step")
        return step

    @property
    def resume_command(self) -> str:
        """What to type to go on with the run."""
        recipe, path = shlex.quote(str(self.recipe)), shlex.quote(str(self.path))
        return f"luthier train {recipe} --out {path} --resume"

    def must_be_finished(self) -> None:
        """Refuses a run whose training has not ended.

        Raises:
            InputError: With what to type.
        """
        if self.finished_step is None:
            raise InputError(
                f"{self.path}: its training is not finished; go on with {self.resume_command}"
            )

    def read_recipe(self) -> Recipe:
        """The recipe as it was given."""
        return Recipe.read(self.recipe)

    def read_resolved(self) -> Recipe:
        """The recipe with no `auto` left."""
        return Recipe.read(self.resolved)

    def read_decisions(self) -> tuple[Decision, ...]:
        """What was decided for each `auto`."""
        return tuple(Decision(**item) for item in self.read_facts().get("decisions", []))

    def read_facts(self) -> dict[str, Any]:
        """What is known of the run; empty before it began.

        Raises:
            RunError: If it is not what was written.
        """
        if not self.facts.exists():
            if self.resolved.exists():
                raise RunError(f"{self.facts} is gone; bring back a copy, or train again")
            return {}
        try:
            return unsealed(self.facts.read_bytes())
        except ValueError as error:
            raise RunError(
                f"{self.facts} is damaged: {error}; bring back a copy, or train again"
            ) from None

    def write_facts(self, facts: Mapping[str, Any], files: Files) -> None:
        """Replaces what is known of the run."""
        write_file(self.facts, sealed(facts), files)

    def add_facts(self, facts: Mapping[str, Any], files: Files) -> None:
        """Adds to what is known of the run."""
        self.write_facts({**self.read_facts(), **facts}, files)

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows that training logged, in order; damaged lines are left out."""
        return read_rows(self.metrics)


def find_run(path: Path | str) -> RunDirectory:
    """The run at `path`, or the one of that name in `runs/`.

    Raises:
        InputError: If there is none; with the nearest run that is there.
    """
    given = Path(path)
    for candidate in (given, RUNS / given):
        if (candidate / "resolved.yaml").exists():
            return RunDirectory(candidate)
    if given.is_file():
        raise InputError(f"{given}: is a file; wanted a run directory such as runs/digits")
    known = [str(found.parent) for found in sorted(RUNS.glob("*/resolved.yaml"))]
    hint = nearest(str(given), known) if known else "; train one first: luthier train RECIPE"
    raise InputError(f"{given}: no run is there{hint}")


def annotated(recipe: Recipe, decisions: Sequence[Decision]) -> str:
    """`recipe` as YAML, with the reason behind each value that was decided."""
    text = write_yaml(plain(recipe), width=10_000)  # one line a value: a reason finds its line
    lines = read_yaml(text, "resolved.yaml").lines
    rows = text.splitlines()
    for decision in decisions:
        row = lines[path_of(decision.place)] - 1
        rows[row] += f"  # {decision.reason}"
    return "\n".join(rows) + "\n"
