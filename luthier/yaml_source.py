"""YAML as people mean it, read as plain data with the line of each value.

YAML 1.2's core types: `1e-4` is a number, `no` and `on` are strings, `010` is ten. A duplicate
key is an error; anchors, aliases and tags are refused (an alias bomb of 330 bytes makes a
million leaves); size and depth are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from luthier.errors import Problem, SpecError
from luthier.wording import Lines, Path

MAX_BYTES = 1_000_000
MAX_DEPTH = 32

_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_INFINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """What a YAML text says."""

    data: Any
    lines: Lines
    """The line, from 1, of each path."""


def read_yaml(text: str, name: str) -> Source:
    """`text` as plain data.

    Args:
        text: The YAML.
        name: What the user calls the text, for messages.

    Raises:
        SpecError: If it is not YAML, too large or too deep, has a duplicate key, an anchor, an
            alias or a tag; with the line.

    Example:
        >>> read_yaml("rate: 1e-4\\nlabels: [yes, no]", "a recipe").data
        {'rate': 0.0001, 'labels': ['yes', 'no']}
    """
    if len(text.encode()) > MAX_BYTES:
        raise _error(name, f"is larger than {MAX_BYTES:,} bytes, too large for a recipe", None)
    lines: dict[Path, int] = {}
    try:
        _refuse_references(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise _error(name, f"is not YAML: {what}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise _error(name, f"is not YAML: {error}", None) from None
    data = None if node is None else _value(node, (), lines, name)
    return Source(data, lines)


def scalar(text: str) -> Any:
    """One plain value, as on the right of a dotted override: `3`, `1e-4`, `true`, `adam`."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `scalar` would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: _Dumper, text: str) -> ScalarNode:
    style = None if isinstance(scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def write_yaml(data: Any, width: int = 100, *, compact: bool = False) -> str:
    """Plain data as a text that `read_yaml` reads back as the same data.

    Args:
        data: The data.
        width: Characters of a line.
        compact: Whether what holds no other list or mapping stands on one line: `{kind: conv}`.
    """
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=width,
        default_flow_style=None if compact else False,
    )
    return text


def _refuse_references(text: str, name: str) -> None:
    """Looks at the events first: composing would already expand the aliases."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1  # type: ignore[union-attr]  # each event has a mark
        if isinstance(event, yaml.AliasEvent):
            raise _error(name, f"has an alias (*{event.anchor}); write the value out", line)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            raise _error(name, f"has an anchor (&{event.anchor}); write the value out", line)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise _error(name, f"has a tag ({event.tag}); a recipe is plain data", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _error(name, f"is nested deeper than {MAX_DEPTH} levels", line)


def _value(node: Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, SequenceNode):
        return [_value(item, (*path, i), lines, name) for i, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        return _mapping(node, path, lines, name)
    assert isinstance(node, ScalarNode)
    return node.value if node.style in ("'", '"', "|", ">") else scalar(node.value)


def _mapping(node: MappingNode, path: Path, lines: dict[Path, int], name: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise _error(name, "has a list or a mapping as a key; wanted a name", line)
        if key.value in data:
            first = lines[(*path, key.value)]
            raise _error(name, f'has the key "{key.value}" twice, first on line {first}', line)
        data[key.value] = _value(value, (*path, key.value), lines, name)
        lines[(*path, key.value)] = line
    return data


def _error(name: str, message: str, line: int | None) -> SpecError:
    return SpecError([Problem(place="", message=message, line=line)], name)
