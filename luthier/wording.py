"""What is wrong with a spec, in words: the place, what was got, what was wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from luthier.errors import Problem, nearest

Path = tuple[str | int, ...]
Lines = Mapping[Path, int]
NO_LINE = 0
"""Of what stands in no file, though what is around it does: an override."""

_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
    "model_type": "settings: {key: value, …}",
    "model_attributes_type": "settings: {key: value, …}",
    "dict_type": "settings: {key: value, …}",
    "none_required": "nothing (null)",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
_FEW = 4
"""So many words that would have been right are all named; of more, the nearest."""
_FIELD_FIRST = re.compile(r"([a-z_]+): (.+)", re.DOTALL)


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's errors: a sentence, or one of several things that were wanted."""

    path: Path
    sentence: str = ""
    got: Any = None
    wanted: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Words that would have been right."""


def problems_of(
    error: ValidationError, cls: type[BaseModel], data: Any, lines: Lines, prefix: str = ""
) -> list[Problem]:
    """Each thing that is wrong with `data` as a `cls`, once, in the order of the file.

    Args:
        error: What pydantic found.
        cls: The spec that was to be made.
        data: The user's data.
        lines: The line of each path, where known.
        prefix: The place of `data` in the recipe.
    """
    faults: dict[Path, list[_Fault]] = {}
    for item in error.errors():
        fault = _fault(cls, data, item)
        faults.setdefault(fault.path, []).append(fault)
    problems = []
    for path, found in faults.items():
        if _meant_otherwise(path, found, faults):
            continue
        where = ".".join(part for part in (prefix, place(path)) if part)
        for message in _messages(found):
            problems.append(Problem(place=where, message=message, line=_line(path, lines)))
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.place))


def _meant_otherwise(path: Path, found: Sequence[_Fault], faults: Mapping[Path, Any]) -> bool:
    """Whether something inside of the value is wrong: so its kind is the one that was meant, and
    what else could have stood in its place is no help."""
    inside = any(len(other) > len(path) and other[: len(path)] == path for other in faults)
    return inside and all(fault.got is not None and not fault.sentence for fault in found)


def place(path: Sequence[str | int]) -> str:
    """A path as people write it: `("model", "layers", 3)` is `model.layers[3]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def shown(value: Any) -> str:
    """A value that a user gave, short."""
    if isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "nothing"}[value]
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def wanted(error: ErrorDetails) -> str:
    """What was got and what was wanted, of one of pydantic's errors: of a command's option."""
    return f"got {shown(error['input'])}, wanted {_limit(error)}"


def _messages(faults: Sequence[_Fault]) -> list[str]:
    """The sentences; and one for all that was wanted at the place, where several kinds fit."""
    sentences = list(dict.fromkeys(fault.sentence for fault in faults if fault.sentence))
    wanting = [fault for fault in faults if not fault.sentence]
    if not wanting or sentences:
        return sentences
    got = wanting[0].got
    names = [name for fault in wanting for name in fault.names]
    wanted = [text for fault in wanting for text in fault.wanted]
    if not wanted and len(names) > _FEW:
        return [f"got {shown(got)}{nearest(str(got), names)}"]
    options = list(dict.fromkeys([*wanted, *map(_quoted, names)]))
    return [f"got {shown(got)}, wanted {' or '.join(options)}"]


def _line(path: Path, lines: Lines) -> int | None:
    around = (path[:end] for end in range(len(path), 0, -1))
    return next((lines[at] for at in around if at in lines), NO_LINE) or None


def _fault(cls: type[BaseModel], data: Any, error: ErrorDetails) -> _Fault:
    kind, got, context = error["type"], error["input"], error.get("ctx", {})
    path = _real_path(data, error["loc"], kind in ("missing", "extra_forbidden"))
    if kind == "extra_forbidden":
        known = _fields_at(cls, error["loc"][:-1])
        return _Fault(path, f'unknown setting "{path[-1]}"{nearest(str(path[-1]), known)}')
    if kind == "missing":
        return _Fault(path, "is missing, and has no default")
    if kind == "union_tag_not_found":
        return _Fault(path, f"has no kind, got {shown(got)}; give one: {{kind: …}}")
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return _Fault(path, f'unknown kind "{context["tag"]}"{nearest(context["tag"], tags)}')
    if kind == "literal_error":
        names = context["expected"].replace(" or ", ", ").split(", ")
        return _Fault(path, got=got, names=tuple(name.strip("'") for name in names))
    if kind in ("value_error", "assertion_error"):
        return _of_a_rule(cls, path, error["loc"], str(context["error"]))
    return _Fault(path, got=got, wanted=(_limit(error),))


def _limit(error: ErrorDetails) -> str:
    """What was wanted of one value."""
    kind = error["type"]
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        limit = error["ctx"][key]
        return f"{word} {int(limit) if limit == int(limit) else limit:,}"
    return _WANTED.get(kind) or error["msg"].removeprefix("Input should be ")


def _of_a_rule(cls: type[BaseModel], path: Path, loc: Sequence[str | int], message: str) -> _Fault:
    """A rule of a whole spec that begins with a field's name speaks of that field."""
    match = _FIELD_FIRST.fullmatch(message)
    if match and match[1] in _fields_at(cls, loc) and path[-1:] != (match[1],):
        return _Fault((*path, match[1]), match[2])
    return _Fault(path, message)


def _quoted(name: str) -> str:
    """A word in quotation marks, a number without."""
    return name if name.isdigit() else f'"{name}"'


def _real_path(data: Any, loc: Sequence[str | int], names_a_key: bool) -> Path:
    """The error's place in the user's data: pydantic's loc without the names of union members."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        if _holds(data, part):
            path.append(part)
            data = data[part]
        elif names_a_key and position == len(loc) - 1 and isinstance(data, Mapping):
            path.append(part)
    return tuple(path)


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(data, list | tuple) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _fields_at(cls: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The names that are valid where an unknown one was found."""
    found: list[type[BaseModel]] = [cls]
    for part in loc:
        if isinstance(part, int):
            continue
        deeper = [
            inner
            for spec in found
            if part in spec.model_fields
            for inner in _specs_in(spec.model_fields[part])
        ]
        found = deeper or [spec for spec in found if part in _names_of(spec)] or found
    return sorted({name for spec in found for name in spec.model_fields})


def _specs_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, FieldInfo):
        annotation = annotation.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs_in(inner)]


def _names_of(spec: type[BaseModel]) -> tuple[str, ...]:
    """What pydantic calls a member of a union: its kinds, or where it has none its class."""
    field = spec.model_fields.get("kind")
    return (spec.__name__,) if field is None else get_args(field.annotation)
