"""JSON that says one thing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.checkpoint.document import from_json, to_json

Plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def exact(value: Any) -> str:
    """Tells 1 from 1.0 and from True, and 0.0 from -0.0; the order of keys means nothing."""
    if isinstance(value, dict):
        return repr(sorted((key, exact(inner)) for key, inner in value.items()))
    return repr([exact(inner) for inner in value]) if isinstance(value, list) else repr(value)


@given(Plain)
def test_what_is_written_is_read_back_exactly(value: Any):
    assert exact(from_json(to_json(value))) == exact(value)
    assert to_json(from_json(to_json(value))) == to_json(value)


def test_equal_values_are_equal_bytes_whatever_the_order_of_keys():
    assert to_json({"a": 1, "b": (2,)}) == to_json({"b": [2], "a": 1})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"loss": {"best": float("nan")}}, r"document.loss.best is nan: JSON has only finite"),
        ([1.0, float("inf")], r"document\[1\] is inf"),
        ({"a": {3: "x"}}, r"document.a has the key 3: JSON keys are strings"),
        ({"a": {1, 2}}, r"document.a is a set: JSON has no such thing"),
        ({"a": b"x"}, "document.a is a bytes"),
    ],
)
def test_what_json_would_change_is_refused(value: Any, words: str):
    with pytest.raises((TypeError, ValueError), match=words):
        to_json(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', 'the key "a" is given twice'),
        (b'{"a": Infinity}', "Infinity is not a JSON number"),
        (b"[" * 10**6, "it is nested too deeply"),
        (b"{", "Expecting property name"),
        (b"\xff", "can't decode byte 0xff"),
        (b"9" * 5000, "Exceeds the limit"),
    ],
)
def test_what_is_not_json_is_refused(text: bytes, words: str):
    with pytest.raises(ValueError, match=words):
        from_json(text)


def test_the_standard_reader_would_let_it_pass():
    assert json.loads('{"a": 1, "a": 3, "b": NaN}')["a"] == 3
