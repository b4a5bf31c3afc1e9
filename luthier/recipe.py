"""A recipe: everything about a run, in one value.

The sections are the parts' own specs; only rules that span sections stand here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from luthier.adapters import AdapterSpec
from luthier.data import DataSpec
from luthier.errors import InputError, Problem, SpecError, nearest
from luthier.model.blueprint import Aim
from luthier.model.families import ModelSpec
from luthier.model.families.forecaster import ForecasterSpec
from luthier.placement.place import PlacementSpec
from luthier.spec import Many, Spec, parse, plain
from luthier.tasks import TaskSpec
from luthier.tasks.distill import DistillSpec
from luthier.tasks.forecast import ForecastSpec
from luthier.training.optimizer import AdamSpec, OptimizerSpec
from luthier.training.schedule import ConstantSpec, ScheduleSpec
from luthier.training.settings import TrainingSpec
from luthier.wording import NO_LINE, Lines, place, shown
from luthier.yaml_source import read_yaml, write_yaml

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class Recipe(Spec):
    """What to train, on what, and how."""

    name: str
    """The name of the run: letters, digits, `.`, `_` and `-`. Its directory is `runs/NAME`."""
    task: TaskSpec
    """What is learned."""
    data: DataSpec
    """What it is learned from."""
    model: ModelSpec | None = None
    """The network. Left out where `start` has one, or where Python code gives its own:
    `train(recipe, network=…)`."""
    start: str | None = None
    """A finished run whose layers, with their weights, and tokenizer this one starts from; or a
    pretrained network: a Hugging Face folder, or its name on the hub. The head is new, but where
    both learn a language with the same objective, or both extract answers: there it goes on."""
    new_tokens: Many[str] = ()
    """Tokens that the tokenizer of `start` gets, such as `["<tool>", "</tool>"]`. Their vectors
    begin as the mean of the others, and learn, with an adapter too."""
    adapter: AdapterSpec | None = None
    """Which weights move of what `start` gives: those of a small adapter, with
    `{kind: lora, rank: 16}`. Left out, all do. What is new, as a head for other classes, always
    does."""
    distill: DistillSpec | None = None
    """What a teacher, a finished run that does the same, says is learned too. Of the tasks classify
    and language."""
    optimizer: OptimizerSpec = Field(default_factory=AdamSpec)
    """How the weights move."""
    schedule: ScheduleSpec = Field(default_factory=ConstantSpec)
    """The learning rate over the run, as a multiple of the optimizer's."""
    training: TrainingSpec = Field(default_factory=TrainingSpec)
    """How long, in which batches, with what kept."""
    placement: PlacementSpec = Field(default_factory=PlacementSpec)
    """Where it runs, and in which precision."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not re.fullmatch(NAME, self.name):
            raise ValueError(
                f"name: got {shown(self.name)}; "
                'wanted up to 64 letters, digits, ".", "_" or "-", '
                "the first a letter or a digit"
            )
        if self.new_tokens and self.start is None:
            raise ValueError("new_tokens: are added to those of a start; give start")
        if len(set(self.new_tokens)) < len(self.new_tokens) or not all(
            token.strip() == token != "" for token in self.new_tokens
        ):
            raise ValueError(
                f"new_tokens: got {shown(list(self.new_tokens))}; wanted each once, with something "
                "in it, and without spaces around it"
            )
        if isinstance(self.model, ForecasterSpec) and isinstance(self.task, ForecastSpec):
            wanted = {"horizon": self.task.horizon, "outputs": self.task.outputs}
            for name, value in wanted.items():
                given = getattr(self.model, name)
                if given not in ("auto", value):
                    raise ValueError(
                        f"model.{name}: got {given}, but the task wants {value}; leave it out"
                    )
        return self

    @property
    def aim(self) -> Aim:
        """What its network is for."""
        purpose = self.task.purpose()
        match purpose.learns:
            case "documents":
                return "next_token" if purpose.ahead else "masked"
            case "preferences" | "judgements":
                return "next_token" if purpose.ahead else "labels"
            case "transcripts":
                return "pairs" if "end" in purpose.specials else "transcripts"
            case learns:
                return learns

    @property
    def network(self) -> ModelSpec | None:
        """Its model; one that forecasts, as far as the task does where that is left open."""
        model, task = self.model, self.task
        if isinstance(model, ForecasterSpec) and isinstance(task, ForecastSpec):
            return model.reaching(task.horizon, task.outputs)
        return model

    @classmethod
    def read(cls, path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
        """The recipe in the YAML file `path`, with `a.b=c` overrides.

        Raises:
            InputError: If there is no such file, or it cannot be read.
            SpecError: With every problem of the recipe: place, line, what was got and wanted.
        """
        path = Path(path)
        text = _text(path)
        source = read_yaml(text, str(path))
        if not isinstance(source.data, dict):
            got = "is empty" if source.data is None else f"is {_described(source.data)}"
            problem = Problem(place="", message=f"{got}; wanted name, task, data and model")
            raise SpecError([problem], str(path))
        return cls.of(source.data, overrides, lines=source.lines, source=str(path))

    @classmethod
    def of(
        cls,
        data: Mapping[str, Any],
        overrides: Sequence[str] = (),
        *,
        lines: Lines | None = None,
        source: str | None = None,
    ) -> Recipe:
        """The recipe that plain `data` describes, with `a.b=c` overrides."""
        changed: dict[str, Any] = _copy(data)
        lines = dict(lines or {})
        for override in overrides:
            path = _override(changed, override)
            lines = {at: line for at, line in lines.items() if at[: len(path)] != path}
            lines[path] = NO_LINE
        return parse(cls, changed, lines=lines, source=source)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """This recipe with other values at dotted paths: `{"training.epochs": 3}`."""
        data = plain(self)
        for dotted, value in values.items():
            _set(data, path_of(dotted), value)
        return parse(Recipe, data)

    def to_yaml(self) -> str:
        """The recipe as a YAML text that `read` takes; what was not set is left out."""
        return write_yaml(plain(self))


def overridden(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Plain `data` with `a.b=c` overrides.

    Raises:
        InputError: If there is no such place.
    """
    changed: dict[str, Any] = _copy(data)
    for override in overrides:
        _override(changed, override)
    return changed


def _text(path: Path) -> str:
    if path.is_dir():
        raise InputError(
            f"{path}: is a directory; wanted a recipe file such as recipes/digits.yaml"
        )
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = [str(file) for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        hint = nearest(str(path), beside) if beside else ""
        raise InputError(f"{path}: no such recipe file{hint}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text, byte {error.start}; wanted YAML") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _described(data: Any) -> str:
    return "a list" if isinstance(data, list) else f"the single value {shown(data)}"


def _copy(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(item) for item in data] if isinstance(data, list | tuple) else data


def _override(data: dict[str, Any], text: str) -> tuple[str | int, ...]:
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        raise InputError(f'"{text}": wanted an override such as training.epochs=3')
    path = path_of(dotted)
    if "" in path:
        raise InputError(
            f'"{text}": has an empty name; wanted an override such as training.epochs=3'
        )
    _set(data, path, read_yaml(value, f"the override {text}").data)
    return path


def path_of(dotted: str) -> tuple[str | int, ...]:
    """`model.layers.0.channels` or `model.layers[0].channels` as a path."""
    parts = dotted.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _set(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    for depth, part in enumerate(path):
        here = place(path[: depth + 1])
        if isinstance(part, int):
            if not isinstance(data, list):
                raise InputError(f"{here}: {place(path[:depth]) or 'the recipe'} is not a list")
            if part >= len(data):
                raise InputError(f"{here}: the list has {len(data)} entries, the first is 0")
        elif not isinstance(data, dict):
            what = "a list; wanted a number" if isinstance(data, list) else "a single value"
            raise InputError(f"{here}: {place(path[:depth])} is {what}")
        if depth == len(path) - 1:
            data[part] = value
        else:
            if isinstance(part, str) and data.get(part) is None:
                data[part] = {}
            data = data[part]
