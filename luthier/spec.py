"""Specs: frozen data that a recipe is made of, read strictly.

A spec lives in the file of the code it configures. Its field docstrings are the help of the
command line and of the JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from luthier.errors import Problem, SpecError, nearest

Path = tuple[str | int, ...]
Lines = Mapping[Path, int]


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
        problems = [_problem(cls, data, item, lines or {}, prefix) for item in error.errors()]
    raise SpecError(_once(problems), source)


def place(path: Sequence[str | int]) -> str:
    """A path as people write it: `("model", "layers", 3)` is `model.layers[3]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


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


def _once(problems: list[Problem]) -> list[Problem]:
    seen: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.place, problem.message), problem)
    return sorted(seen.values(), key=lambda problem: (problem.line or 0, problem.place))


def _problem(cls: type[BaseModel], data: Any, error: Any, lines: Lines, prefix: str) -> Problem:
    path = _real_path(data, error["loc"])
    message = _message(cls, error, path)
    where = ".".join(part for part in (prefix, place(path)) if part)
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    return Problem(place=where, message=message, line=line)


def _real_path(data: Any, loc: Sequence[str | int]) -> Path:
    """The error's place in the user's data: pydantic's loc without the names of union members."""
    path: list[str | int] = []
    last = len(loc) - 1
    for position, part in enumerate(loc):
        if (isinstance(data, Mapping) and isinstance(part, str) and part in data) or (
            isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        ):
            path.append(part)
            data = data[part]
        elif position == last and isinstance(data, Mapping) and isinstance(part, str):
            path.append(part)
    return tuple(path)


def _message(cls: type[BaseModel], error: Any, path: Path) -> str:
    kind, got, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"got {_shown(got)}, wanted settings: {{key: value, …}}"
    if kind == "extra_forbidden":
        known = _fields_at(cls, error["loc"][:-1])
        return f'unknown setting "{path[-1]}"{nearest(str(path[-1]), known)}'
    if kind == "missing":
        return "is missing, and has no default"
    if kind == "union_tag_not_found":
        return f"has no kind, got {_shown(got)}; give one: {{kind: …}}"
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f'unknown kind "{context["tag"]}"{nearest(context["tag"], tags)}'
    if kind == "literal_error":
        valid = [part.strip(" '") for part in context["expected"].replace(" or ", ", ").split(",")]
        return f"got {_shown(got)}{nearest(str(got), valid)}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", error["msg"]))
    wanted = error["msg"].removeprefix("Input should be ").replace("valid ", "")
    return f"got {_shown(got)}, wanted {wanted}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "nothing"}[value]
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _fields_at(cls: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The names that are valid where an unknown one was found."""
    found: list[type[BaseModel]] = [cls]
    for part in loc:
        deeper: list[type[BaseModel]] = []
        for spec in found:
            if isinstance(part, str) and part in spec.model_fields:
                deeper += _specs_in(spec.model_fields[part])
            elif (isinstance(part, str) and _kind_of(spec) == part) or isinstance(part, int):
                deeper.append(spec)
        found = deeper or found
    return sorted({name for spec in found for name in spec.model_fields})


def _specs_in(field: FieldInfo | Any) -> list[type[BaseModel]]:
    annotation = field.annotation if isinstance(field, FieldInfo) else field
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs_in(inner)]


def _kind_of(spec: type[BaseModel]) -> str | None:
    field = spec.model_fields.get("kind")
    values = get_args(field.annotation) if field is not None else ()
    return str(values[0]) if values else None
