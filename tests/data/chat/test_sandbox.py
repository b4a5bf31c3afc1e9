"""What a template from a stranger may do, and what it may cost."""

from __future__ import annotations

import time
from datetime import date

import pytest
from chat_data import CHATML, MARKED, STRICT, THOUGHTS

from luthier.data.chat import meter
from luthier.data.chat.conversation import UnusableRowError
from luthier.data.chat.meter import TemplateLimitError
from luthier.data.chat.template import ChatTemplate, without_marks
from luthier.errors import DataError

REFUSED = (DataError, UnusableRowError, TemplateLimitError)
TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": " Hi "},
    {"role": "assistant", "content": "<think>so</think>\nYo"},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "Ümlaut"},
]
NS = "{% set ns = namespace(s=START) %}{% for i in range(60) %}STEP{% endfor %}{{ ns.s | length }}"


def doubled(start: str, step: str) -> str:
    return NS.replace("START", start).replace("STEP", step)


HARMFUL = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "looks for nothing": (
        "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}"
    ),
    "calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "calls itself for ever": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "recurses over lists": (
        "{% for i in [range(999)] * 99 recursive %}{% if i is iterable %}{{ loop(i) }}{% else %}"
        "{% for j in range(999) %}{% endfor %}{% endif %}{% endfor %}"
    ),
    "multiplies": "{{ 'a' * 100000000000 }}",
    "multiplies a list": "{{ [1] * 100000000000 }}",
    "doubles by ~": doubled("'a'", "{% set ns.s = ns.s ~ ns.s %}"),
    "doubles by +": doubled("'a'", "{% set ns.s = ns.s + ns.s %}"),
    "doubles by a block": doubled("'a'", "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"),
    "doubles by join": doubled("'a'", "{% set ns.s = [ns.s, ns.s] | join %}"),
    "doubles by a format": doubled("'a'", "{% set ns.s = '%s%s' % (ns.s, ns.s) %}"),
    "doubles by str.format": doubled("'a'", "{% set ns.s = '{0}{0}'.format(ns.s) %}"),
    "squares": doubled("'ab'", "{% set ns.s = ns.s.replace('a', ns.s) %}"),
    "squares by a filter": doubled("'ab'", "{% set ns.s = ns.s | replace('a', ns.s) %}"),
    "nests lists": doubled("['a']", "{% set ns.s = [ns.s, ns.s] %}"),
    "nests dictionaries": doubled("{}", "{% set ns.s = dict(a=ns.s, b=ns.s) %}"),
    "nests namespaces": doubled("''", "{% set ns.s = namespace(a=ns.s, b=ns.s) %}") + "{{ ns.s }}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a width that is a value": "{{ '%*d' % (1000000000, 1) }}",
    "a wide str.format": "{{ '{:1000000000}'.format(1) }}",
    "a large power": "{{ 9 ** (9 ** 9) }}",
    "digits": "{{ 5 | round(-1000000000) }}",
    "a wide indent": "{{ 'a' | indent(1000000000) }}",
    "a wide JSON": "{{ [1] | tojson(indent=1000000000) }}",
    "bytes": "{{ (5).to_bytes(1000000000, 'big') }}",
    "center": "{{ 'a'.center(1000000000) }}",
    "writes for ever": "{% for i in range(99999) %}" + "{{ 'a' * 9999 }}" * 3 + "{% endfor %}",
    "reads a class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "reads globals": "{{ raise_exception.__globals__['os'] }}",
    "reads a file": "{% include '/etc/passwd' %}",
    "imports a file": "{% import '/etc/passwd' as x %}",
    "changes what it was given": "{{ messages.append(1) }}",
    "an undefined call": "{{ lipsum() }}",
    "is no template": "{% if %}",
    "nests expressions": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
}


@pytest.mark.parametrize("source", HARMFUL.values(), ids=HARMFUL.keys())
def test_harm_is_an_error(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MOST_STEPS", 20_000)
    begun = time.monotonic()
    with pytest.raises(REFUSED):
        ChatTemplate(source).render(TALK)
    assert time.monotonic() - begun < 5


def test_a_filter_shows_no_more() -> None:
    source = "{{ '' | attr('__class__') | attr('__mro__') | list }}"
    assert ChatTemplate(source).render(TALK) == "[]"


def test_the_limits_are_what_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: with no limit on steps, a loop that ends later is rendered."""
    source = "{% for i in range(300) %}{% for j in range(300) %}{% endfor %}{% endfor %}done"
    monkeypatch.setattr(meter, "MOST_STEPS", 20_000)
    with pytest.raises(TemplateLimitError, match="more than 20,000 steps: does it loop for ever"):
        ChatTemplate(source).render(TALK)
    monkeypatch.setattr(meter, "MOST_STEPS", 10**9)
    assert ChatTemplate(source).render(TALK) == "done"


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MOST_SECONDS", 0.01)
    with pytest.raises(TemplateLimitError, match="seconds"):
        ChatTemplate("{% for i in range(99999) %}{% endfor %}").render(TALK)


def test_what_a_template_refuses_is_told() -> None:
    with pytest.raises(
        UnusableRowError, match="the template refuses it: System role not supported"
    ):
        ChatTemplate(STRICT).render(TALK)
    with pytest.raises(DataError, match="no template in Jinja: line 2"):
        ChatTemplate("a\n{% endfor %}").check()


def test_the_day_is_the_one_that_was_said() -> None:
    found = ChatTemplate("{{ strftime_now('%d %b %Y') }}", day=date(2026, 1, 31)).render(TALK)
    assert found == "31 Jan 2026"


USEFUL = {
    "chatml": CHATML,
    "thoughts": THOUGHTS,
    "generation blocks": MARKED,
    "loops": (
        "{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ loop.last }}"
        "{{ loop.previtem.role if not loop.first }}{% endfor %}"
    ),
    "break": "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}x{% endfor %}",
    "json": "{{ messages | tojson(indent=2) }}{{ tools | tojson }}",
    "text": (
        "{{ messages[1:][0]['content'].strip() }}{{ 'a-b'.split('-') | last | upper }}"
        "{{ '%s!' % 'so' }}{{ '{:>4}'.format('x') }}{{ 'abc'[::-1] }}{{ 'a' in ['a', 'b'] }}"
        "{{ messages | map(attribute='role') | unique | join('/') }}"
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
    ),
    "a macro": (
        "{% macro say(m, end='.') %}{{ m.content }}{{ end }}{% endmacro %}{{ say(messages[0]) }}"
    ),
    "blanks": "  {%- if true -%}  a {% endif %}\n   {% if tools is none %}b{% endif %}\n{# no #}c",
    "sets": "{% set a, b = 1, [2, {'c': 3}] %}{{ a + b[1].c }}{{ b[1].get('d', 'none') }}",
}


@pytest.mark.parametrize("source", USEFUL.values(), ids=USEFUL.keys())
def test_templates_are_rendered_as_transformers_renders_them(source: str) -> None:
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    for reply in (False, True):
        [wanted], _ = utils.render_jinja_template(
            conversations=[TALK], chat_template=source, add_generation_prompt=reply
        )
        found = ChatTemplate(source).render(TALK, reply=reply)
        assert without_marks(found) == wanted
