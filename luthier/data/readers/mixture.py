"""Documents of several sources, mixed by weight."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.readers.text import TextSpec
from luthier.data.text.documents.division import DocumentSplitSpec
from luthier.data.text.labelled.texts import TextsSpec
from luthier.spec import Many, Spec

SHARED = ("tokenizer", "context", "packing")
"""Settings that all parts have in common."""
INHERITED = ("split", "on_error", "limit")
"""Settings that a part has of the mixture, unless it has its own."""


class MixturePart(Spec):
    """One source of a mixture."""

    data: TextSpec
    """Its documents."""
    weight: float = Field(gt=0)
    """Its share of the rows, relative to the other weights."""


class MixtureSpec(TextsSpec):
    """Documents of several sources; training rows are drawn from them by weight."""

    kind: Literal["mixture"] = "mixture"

    parts: Many[MixturePart] = Field(min_length=1)
    """What is mixed: `{data: {kind: text, …}, weight: 0.7}` and so on. An epoch has as many rows
    as the parts have together; those of a part come in a random order, each once before any
    comes again. All parts have one tokenizer, trained on text in the shares of the weights."""
    packing: bool = True
    """Whether short texts share a row, each for itself; else each has a row of its own, and
    shorter ones are padded."""
    split: DocumentSplitSpec = Field(default_factory=DocumentSplitSpec)

    @model_validator(mode="after")
    def _settings_in_common(self) -> Self:
        for number, part in enumerate(self.parts):
            own = [name for name in SHARED if name in part.data.model_fields_set]
            if own:
                raise ValueError(
                    f"parts: part {number + 1} sets {own[0]}; all parts share it: set it beside "
                    "parts, as data." + own[0]
                )
        return self

    @property
    def sources(self) -> tuple[TextSpec, ...]:
        """The parts with all of their settings."""
        common = {name: getattr(self, name) for name in (*SHARED, *INHERITED)}
        return tuple(
            part.data.model_copy(
                update={
                    name: value
                    for name, value in common.items()
                    if name not in part.data.model_fields_set
                }
            )
            for part in self.parts
        )
