"""The language of chat templates, Jinja, with nothing in it that a stranger could do harm with.

No file, no module, no private attribute, no method but harmless ones; and every loop, call and
text is counted (see `meter`).

Source:
    What templates of the field count on, from the documentation of transformers ("Chat
    templates"): `raise_exception`, `strftime_now`, `tojson` without escapes, break and continue,
    `{% generation %}`, and blocks that take their line with them.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import date
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from luthier.data.chat.bounded import (
    METHODS,
    allowed_filters,
    concatenated,
    formatted,
    operated,
    replaced,
    text_joined,
    text_of,
)
from luthier.data.chat.meter import CHARACTERS_A_STEP, measured, meter

REPLY_OPENS, REPLY_CLOSES = "\ufdd0", "\ufdd1"
"""Around what a `{% generation %}` block writes: code points that are no characters."""
_OPERATORS = frozenset(("+", "*", "**", "%"))


class Refused(Exception):  # noqa: N818  (what a template says, not what went wrong)
    """A template called `raise_exception`: the conversation is not one that it takes."""


class GenerationTag(Extension):
    """`{% generation %}` … `{% endgeneration %}`: what the assistant says."""

    tags = {"generation"}  # noqa: RUF012  (as the base class has it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body, between two marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return [_text(REPLY_OPENS, line), *body, _text(REPLY_CLOSES, line)]


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for one template."""

    intercepted_binops = _OPERATORS

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_emitted,
            extensions=[GenerationTag, loopcontrols],
        )
        self.filters = allowed_filters()
        given = {name: self.globals[name] for name in ("range", "dict", "namespace")}
        self.globals = {**given, "raise_exception": _refuse}
        self.tick = _tick
        self.concatenated = concatenated
        self.measured = measured

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The syntax tree, with what counts its work put into it."""
        return _with_meter(super()._parse(source, name, filename))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, within limits."""
        return operated(operator, left, right, self.binop_table[operator])

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`text.format`, within limits."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        form = str(value.__self__)

        def _bounded(*arguments: Any, **named: Any) -> str:
            return formatted(form, lambda: wrapped(*arguments, **named))

        return _bounded

    def _call(self, context: Context, called: Any, *arguments: Any, **named: Any) -> Any:
        """A call, if it is one of those that templates need; its result is counted."""
        meter().step()
        if isinstance(called, types.BuiltinMethodType) and not isinstance(
            called.__self__, types.ModuleType
        ):
            return measured(context.call(_method(called), *arguments, **named))
        known = isinstance(called, Macro | Undefined | LoopContext | types.FunctionType | type)
        of_loop = isinstance(called, types.MethodType) and isinstance(called.__self__, LoopContext)
        if not (known or of_loop) or (isinstance(called, type) and called not in (dict, Namespace)):
            raise SecurityError(f"{called!r:.60} may not be called by a template")
        result = super().call(context, called, *arguments, **named)
        return result if isinstance(result, Namespace) else measured(result)

    call = _call


def compiled(source: str) -> Template:
    """A template, ready to be rendered.

    Raises:
        TemplateSyntaxError: If it is none.
    """
    return Sandbox().from_string(source)


def strftime_for(day: date) -> Callable[[str], str]:
    """`strftime_now` on that day: so that what is learned does not hang on when it is rendered."""

    def strftime_now(form: str) -> str:
        return day.strftime(str(form)[:100])

    return strftime_now


def _refuse(message: Any = "") -> None:
    raise Refused(str(message))


def _tick(characters: int = 0) -> bool:
    meter().step(1 + characters // CHARACTERS_A_STEP)
    return True


def _emitted(value: Any) -> str:
    """What stands in `{{ }}` as text."""
    text = text_of(value)
    meter().write(len(text))
    return text


def _method(called: Any) -> Callable[..., Any]:
    """A method of a value, within limits."""
    own = called.__self__
    for kind, names in METHODS.items():
        if isinstance(own, kind) and called.__name__ in names:
            if kind is str and called.__name__ == "join":
                return lambda items: text_joined(str(own), items)
            if kind is str and called.__name__ == "replace":
                return lambda old, new, count=None: replaced(str(own), old, new, count)
            return called  # type: ignore[no-any-return]
    raise SecurityError(f"{type(own).__name__}.{called.__name__} may not be called by a template")


def _text(text: str, line: int) -> nodes.Output:
    return nodes.Output([nodes.TemplateData(text)], lineno=line)


def _with_meter(tree: nodes.Template) -> nodes.Template:
    """Counts each pass of a loop and each call of a macro, with the text that it writes."""
    _replace_expressions(tree)
    for loop in list(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock))):
        assert isinstance(loop, nodes.For | nodes.Macro | nodes.CallBlock)
        loop.body.insert(0, _counting(loop))
        if isinstance(loop, nodes.For) and loop.test is not None:
            loop.test = nodes.And(_asked("tick", [], loop.lineno), loop.test, lineno=loop.lineno)
    assert tree.environment is not None
    tree.set_environment(tree.environment)
    return tree


def _counting(loop: Any) -> nodes.ExprStmt:
    written = sum(len(data.data) for part in loop.body for data in _literals(part))
    size = nodes.Const(max(written, 0), lineno=loop.lineno)
    return nodes.ExprStmt(_asked("tick", [size], loop.lineno), lineno=loop.lineno)


def _literals(node: nodes.Node) -> list[nodes.TemplateData]:
    found = list(node.find_all(nodes.TemplateData))
    constants = [
        nodes.TemplateData(constant.value)
        for constant in node.find_all(nodes.Const)
        if isinstance(constant.value, str)
    ]
    return found + constants


def _replace_expressions(node: nodes.Node) -> None:
    """`a ~ b` and lists become calls that look at their size first."""
    for name in node.fields:
        value = getattr(node, name, None)
        if isinstance(value, nodes.Node):
            setattr(node, name, _replaced(value))
        elif isinstance(value, list):
            value[:] = [_replaced(item) if isinstance(item, nodes.Node) else item for item in value]


def _replaced(node: nodes.Node) -> nodes.Node:
    _replace_expressions(node)
    if isinstance(node, nodes.Concat):
        return _asked("concatenated", node.nodes, node.lineno)
    loads = getattr(node, "ctx", "load") == "load"
    if isinstance(node, nodes.List | nodes.Dict | nodes.Tuple) and loads:
        return _asked("measured", [node], node.lineno)
    return node


def _asked(name: str, arguments: list[Any], line: int) -> nodes.Call:
    """A call of a function of the sandbox."""
    function = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(function, arguments, [], None, None, lineno=line)
