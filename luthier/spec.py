"""Specs: frozen data that a recipe is made of, read strictly.

A spec lives in the file of the code it configures. Its field docstrings are the help of the
command line and of the JSON schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from luthier.errors import SpecError
from luthier.wording import Lines, problems_of


class Spec(BaseModel):
    """What every spec is: frozen data, with no key that it does not know.

    A number is not a string, a yes is not a number: nothing is converted but a whole number to
    a floating-point one.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    def model_post_init(self, _context: Any) -> None:
        # A kind that Python code left to its default must still be written to a recipe.
        if "kind" in type(self).model_fields:
            self.model_fields_set.add("kind")


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Element = TypeVar("Element")
Many = Annotated[tuple[Element, ...], BeforeValidator(_listed)]
"""A list in a recipe; a tuple in the frozen spec."""

Auto = Literal["auto"]
"""A value that `resolve` decides, with a reason."""

AnySpec = TypeVar("AnySpec", bound=BaseModel)


def parse(
    cls: type[AnySpec],
    data: Any,
    *,
    lines: Lines | None = None,
    source: str | None = None,
    prefix: str = "",
) -> AnySpec:
    """`data` as a `cls`.

    Args:
        cls: The spec to make.
        data: Plain data, as a YAML file gives it.
        lines: The line of each path in the file, where known.
        source: The name of the file, for the message.
        prefix: The place of `data` in the recipe, put before each place in the message.

    Raises:
        SpecError: With every problem of `data`: place, line, what was got and wanted.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, cls, data, lines or {}, prefix)
    raise SpecError(problems, source)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An `auto` of a recipe made a value."""

    place: str
    """The dotted path in the recipe: `training.batch_size`."""
    value: Any
    """Plain data, as it would stand in the recipe."""
    reason: str
    """Why this value, in one line."""


def plain(spec: BaseModel) -> dict[str, Any]:
    """`spec` as plain data that `parse` reads back; keys that were not set are left out."""
    data: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True)
    return data
