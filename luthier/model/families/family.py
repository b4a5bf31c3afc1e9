"""What a family is: a known design, as a function from a few numbers to layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from luthier.errors import Problem, SpecError, nearest
from luthier.model.block import BlockSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim, LayersSpec
from luthier.model.encoder_decoder import EncoderDecoderSpec
from luthier.model.initialize import InitializeSpec
from luthier.signal import Signal
from luthier.spec import Decision, Spec, parse, plain
from luthier.wording import shown

Values = Mapping[str, Any]
"""A family's settings, each with a value; and `aim`, what the network is for."""
Block = dict[str, Any]
"""A block as a recipe writes it."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model that somebody published: a row of a family's table."""

    name: str
    """What `luthier design` calls it: `llama-3.2-1b`."""
    settings: Mapping[str, Any]
    """What it gives the family's settings."""
    vocab: int
    context: int
    """The longest input, in tokens."""
    parameters: int
    """All of them, as the family's docstring says; a tied table counts once."""
    source: str
    """Where the settings and the count stand."""
    reads: Signal | None = None
    """What stands for one input; none where it is as in the other sizes."""


@dataclass(frozen=True)
class Rule:
    """What a setting is where neither the recipe nor a size gives it.

    Attributes:
        setting: Its name.
        value: Of what is known so far: what is given, and what earlier rules made. Raises a
            ValueError in words where that has no answer.
        reason: In one line; `{width}` stands for what the width is.
    """

    setting: str
    value: Callable[[Values], Any]
    reason: str


class FamilySpec(Spec):
    """What every family's spec is: a `model` with a kind.

    A setting that is `auto` comes from the size, else from a rule; `decide` says which.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}
    """By what `size` calls them; the first one stands for the family."""
    RULES: ClassVar[tuple[Rule, ...]] = ()
    """In an order in which each finds what it reads."""
    DIALS: ClassVar[tuple[str, ...]] = ()
    """Settings of which one must be given, or a size; none where all have a rule."""
    SHOWN: ClassVar[Aim] = "next_token"
    """What a network of the family is for, unless it is said. Published counts are of the layers,
    of what is behind them for this aim, and of the scores of tokens where it has them."""
    READS: ClassVar[Signal | None] = None
    """What stands for one input where it is shown; none where it reads tokens."""
    OF_SCORES: ClassVar[frozenset[str]] = frozenset()
    """Settings of a head that gives scores to tokens, which only language models have."""

    kind: str
    size: str | None = None
    """A published size, by its name in the family's table; what is given beside it changes it."""
    initialize: InitializeSpec = Field(
        default_factory=lambda: InitializeSpec(scheme="normal", residual_depth=True)
    )
    """The weights before the first step."""

    @field_validator("size")
    @classmethod
    def _known(cls, size: str | None) -> str | None:
        if size is not None and size not in cls.SIZES:
            hint = nearest(size, cls.SIZES) or "; this family has no table of sizes, leave it out"
            raise ValueError(f"got {shown(size)}{hint}")
        return size

    @model_validator(mode="after")
    def _can_be_designed(self) -> Self:
        if (
            self.DIALS
            and self.size is None
            and all(getattr(self, dial) == "auto" for dial in self.DIALS)
        ):
            dials = ["size", *self.DIALS] if self.SIZES else list(self.DIALS)
            sizes = f"; sizes: {', '.join(self.SIZES)}" if self.SIZES else ""
            raise ValueError(
                f"got no {' or '.join(dials)}; give one, such as depth: 4, and the rest "
                f"follows{sizes}"
            )
        try:
            self.design(self.SHOWN)
        except SpecError as error:
            raise ValueError(_as_settings(error, self)) from None
        return self

    @classmethod
    def usual(cls) -> dict[str, Any]:
        """Settings that stand for the family: its first size, or else a small one."""
        if cls.SIZES:
            return {"size": next(iter(cls.SIZES))}
        return {"depth": 4} if cls.DIALS else {}

    def decide(self, aim: Aim) -> tuple[Decision, ...]:
        """A value for each `auto`, with its reason."""
        return tuple(
            Decision(place=f"model.{name}", value=value, reason=reason)
            for name, (value, reason) in self._settled(aim).decided.items()
            if aim in SCORES_TOKENS or name not in self.OF_SCORES
        )

    def design(self, aim: Aim) -> LayersSpec | EncoderDecoderSpec:
        """The layers that it stands for.

        Args:
            aim: What the network is for: it decides what stands behind the layers.

        Raises:
            SpecError: If a setting is given that this task does not use.
        """
        if aim not in SCORES_TOKENS:
            given = sorted(self.OF_SCORES & self.model_fields_set)
            message = "belongs to language models, and this task learns another thing; leave it out"
            if given:
                raise SpecError(Problem(place=f"model.{name}", message=message) for name in given)
        page = self.blank_page({**self._settled(aim).values, "aim": aim})
        if "initialize" not in page or "initialize" in self.model_fields_set:
            page["initialize"] = plain(self.initialize)
        said = {part: value for part, value in page.items() if value}
        if "encoder" in said:
            return parse(EncoderDecoderSpec, said, prefix="model")
        return parse(LayersSpec, said, prefix="model")

    @abstractmethod
    def blank_page(self, s: Values) -> dict[str, Any]:
        """A `LayersSpec` as a recipe writes it, but for `initialize`.

        Args:
            s: The settings, each with a value, and `aim`.
        """

    def _settled(self, aim: Aim) -> _Settled:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        settled = _Settled({name: value for name, value in given.items() if value != "auto"})
        if self.size is not None:
            row = self.SIZES[self.size]
            for name, value in row.settings.items():
                if given[name] == "auto":
                    settled.decide(name, value, f"as in {row.name}")
        for rule in self.RULES:
            if rule.setting not in settled.values:
                value = rule.value({**settled.values, "aim": aim})
                settled.decide(rule.setting, value, rule.reason.format_map(settled.values))
        assert settled.values.keys() == given.keys(), "a setting has no rule"
        return settled


@dataclass
class _Settled:
    """Settings on their way to a value each."""

    values: dict[str, Any]
    decided: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def decide(self, name: str, value: Any, reason: str) -> None:
        self.values[name] = value
        self.decided[name] = (value, reason)


def block(spec: type[BlockSpec], settings: Mapping[str, Any]) -> Block:
    """A block as a recipe writes it: what is the block's own default is left out."""
    fields = spec.model_fields
    said = {name: value for name, value in settings.items() if value != fields[name].default}
    return {"kind": fields["kind"].default, **said}


def repeated(times: int, layers: list[Block]) -> list[Block]:
    """The same layers several times: in a repeat, unless that would hold one copy, or none."""
    if times < 2:
        return layers * times
    return [{"kind": "repeat", "times": times, "layers": layers}]


def _as_settings(error: SpecError, family: FamilySpec) -> str:
    """What is wrong with the layers, as something wrong with the settings that they are made of."""
    problem = error.problems[0]
    setting = problem.place.rpartition(".")[2]
    return f"{setting}: {problem.message}" if setting in type(family).model_fields else str(problem)
