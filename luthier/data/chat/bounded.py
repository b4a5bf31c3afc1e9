"""The filters, methods and operators of templates, each with a limit where it could make much."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from jinja2 import filters
from jinja2.exceptions import SecurityError

from luthier.data.chat.meter import check_size, measured, meter

WIDEST_INDENT = 16
MOST_DIGITS = 50
_PLAIN = (
    "abs", "attr", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby",
    "int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "reverse", "select", "selectattr", "sort", "title", "trim", "truncate", "unique", "upper",
    "wordcount",
)  # fmt: skip
"""Filters whose result is no larger than what they read."""
STRING_METHODS = frozenset(
    (
        "capitalize", "casefold", "count", "endswith", "find", "format", "index", "isalnum",
        "isalpha", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper",
        "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind",
        "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
        "swapcase", "title", "upper",
    )
)  # fmt: skip
METHODS: Mapping[type, frozenset[str]] = {
    str: STRING_METHODS,
    dict: frozenset(("get", "items", "keys", "values", "copy")),
    list: frozenset(("index", "count", "copy")),
    tuple: frozenset(("index", "count")),
}
"""What may be called of a value; other methods have no use in a template, or none within limits."""
_WIDE = re.compile(r"%(\([^)]*\))?[^a-zA-Z%]*(\d{4}|\*)|\{[^{}]*(\d{4}|\{)")
"""A width of many digits, or one that is a value, in a format."""


def text_of(value: Any) -> str:
    """A value as text."""
    return str(measured(value))


def concatenated(*parts: Any) -> str:
    """`a ~ b`."""
    texts = [text_of(part) for part in parts]
    check_size(sum(map(len, texts)))
    return "".join(texts)


def joined(value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    """`|join`."""
    assert attribute is None or isinstance(attribute, str | int)
    items = list(value)
    if attribute is not None:
        items = [item.get(attribute, "") for item in items]
    return text_joined(d, items)


def text_joined(separator: str, items: Iterable[Any]) -> str:
    """`separator.join(items)`."""
    texts = [text_of(item) for item in items]
    check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return measured(str(separator).join(texts))  # type: ignore[no-any-return]


def replaced(text: str, old: str, new: str, count: int | None = None) -> str:
    """`|replace`, `text.replace(old, new)`."""
    text, old, new = str(text), str(old), str(new)
    times = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    check_size(len(text) + times * max(len(new) - len(old), 0))
    return measured(text.replace(old, new, -1 if count is None else count))  # type: ignore[no-any-return]


def indented(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """`|indent`."""
    size = width if isinstance(width, int) else len(width)
    if size > WIDEST_INDENT:
        raise SecurityError(f"indent: got {size}; wanted at most {WIDEST_INDENT}")
    return filters.do_indent(str(s), width, first, blank)


def rounded(value: float, precision: int = 0, method: str = "common") -> float:
    """`|round`."""
    if abs(precision) > MOST_DIGITS:
        raise SecurityError(f"round: got {precision} digits; wanted at most {MOST_DIGITS}")
    return filters.do_round(value, precision, method)  # type: ignore[arg-type]


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """`|tojson`: as the field writes it, with no character escaped for HTML."""
    if indent is not None and indent > WIDEST_INDENT:
        raise SecurityError(f"tojson: got an indent of {indent}; wanted at most {WIDEST_INDENT}")
    return measured(  # type: ignore[no-any-return]
        json.dumps(
            measured(value),
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )
    )


def formatted(form: str, make: Callable[[], str]) -> str:
    """What a format makes, where it asks for no great width."""
    if _WIDE.search(form):
        raise SecurityError(f"{form!r:.40}: a format with so wide a field is not allowed")
    return measured(make())  # type: ignore[no-any-return]


def operated(operator: str, left: Any, right: Any, apply: Callable[[Any, Any], Any]) -> Any:
    """The result of an operator, once it is known not to be too large."""
    meter().step()
    if operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int):
                check_size(len(many) * max(times, 0))
    elif operator == "**" and abs(right) * max(int(abs(left)), 2).bit_length() > 1024:
        raise SecurityError(f"{left} ** {right}: is too large a power")
    elif operator == "%" and isinstance(left, str):
        measured(right)
        return formatted(left, lambda: str(apply(left, right)))
    elif operator == "+" and isinstance(left, str) and isinstance(right, str):
        check_size(len(left) + len(right))
    return measured(apply(left, right))


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """The filters that a template may use."""
    made: dict[str, Callable[..., Any]] = {name: filters.FILTERS[name] for name in _PLAIN}
    made |= {"join": joined, "replace": replaced, "indent": indented, "tojson": to_json}
    made |= {"round": rounded, "safe": text_of, "string": text_of}
    return {name: _counted(function) for name, function in made.items()}


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def _called(*arguments: Any, **named: Any) -> Any:
        meter().step()
        return measured(function(*arguments, **named))

    return _called
