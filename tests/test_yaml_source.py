"""YAML as people mean it."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import SpecError
from luthier.yaml_source import MAX_BYTES, MAX_DEPTH, read_yaml, scalar, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-3", 1e-3),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000", 1000),
        ("010", 10),
        ("-3", -3),
        ("true", True),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("0x1F", "0x1F"),
        ("~", None),
        ("null", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("e5", "e5"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    got = read_yaml(f"key: {text}", "t").data["key"]
    assert got == value
    assert type(got) is type(value)


def test_lines() -> None:
    source = read_yaml("a: 1\nb:\n  - {c: 2}\n  - d\n", "t")
    assert source.lines["a",] == 1
    assert source.lines["b", 0, "c"] == 3
    assert source.lines["b", 1] == 4


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\na: 2", 'has the key "a" twice, first on line 1', 2),
        ("a: {b: 1, b: 2}", 'has the key "b" twice', 1),
        ("a: &x 1\nb: 2", "has an anchor (&x)", 1),
        ("a: 1\nb: *x", "has an alias (*x)", 2),
        ("a: !!python/object:os.system x", "has a tag", 1),
        ("a: !own x", "has a tag", 1),
        ("a: [1,", "is not YAML", 1),
        ("a: 1\n---\nb: 2", "another document", 2),
        ("? [1]\n: 2", "as a key", 1),
        ("a:\n\t- b", "is not YAML", 2),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper", 1),
    ],
)
def test_refused(text: str, message: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "r.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("r.yaml: ")
    assert caught.value.problems[0].line == line


def test_too_large() -> None:
    with pytest.raises(SpecError, match="larger than 1,000,000 bytes"):
        read_yaml("a" * (MAX_BYTES + 1), "r.yaml")


def test_alias_bomb_is_refused_before_it_grows() -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    rows += [
        f"{new}: &{new} [{', '.join(['*' + old] * 10)}]"
        for old, new in zip("abcdef", "bcdefg", strict=True)
    ]
    with pytest.raises(SpecError, match="anchor"):
        read_yaml("\n".join(rows), "bomb.yaml")


# PyYAML writes some control characters so that it cannot read them back; recipes have none.
words = st.text("abcxyz019 -_:#'\"{}[],.é中", max_size=8)
plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | words
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(plain_values)
def test_what_is_written_is_read(value: object) -> None:
    assert read_yaml(write_yaml({"key": value}), "t").data["key"] == value


def test_pyyaml_alone_would_lose_a_label() -> None:
    """The twin that fails: YAML 1.1 writes the text 09 bare, and 1.2 reads a number."""
    assert read_yaml(yaml.safe_dump({"key": "09"}), "t").data["key"] == 9
    assert read_yaml(write_yaml({"key": "09"}), "t").data["key"] == "09"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        read_yaml(text, "t")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_python_floats_are_numbers(value: float) -> None:
    assert scalar(repr(value)) == value
