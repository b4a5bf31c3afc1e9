"""Families and sizes by name."""

from __future__ import annotations

import pytest

from luthier.errors import InputError
from luthier.model.families.catalogue import families, named, published


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt2", {"kind": "gpt2", "size": "small"}),
        ("gpt2-xl", {"kind": "gpt2", "size": "xl"}),
        ("Llama-3.2-1B", {"kind": "llama", "size": "3.2-1b"}),
        ("smollm2-135m", {"kind": "llama", "size": "smollm2-135m"}),
        ("qwen2.5-0.5b", {"kind": "qwen", "size": "2.5-0.5b"}),
        ("transformer", {"kind": "transformer", "depth": 4}),
        ("gru", {"kind": "gru"}),
    ],
)
def test_names(name: str, model: dict[str, object]) -> None:
    assert named(name) == model


def test_a_name_stands_for_one_model() -> None:
    names = [row.name for cls in families().values() for row in cls.SIZES.values()]
    assert len(set(names)) == len(names)
    assert not set(names) & set(families())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gtp2", 'did you mean "gpt2"?'),
        ("llama-3.2-2b", 'did you mean "llama-3.2-3b"?'),
        ("roberta-bas", 'did you mean "roberta-base"?'),
        ("digts.yaml", 'did you mean "digits.yaml"?'),
        ("xyzzy", "families: bart, bert, conformer, crnn, "),
    ],
)
def test_a_name_that_is_none(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        named(name, ["digits.yaml"])
    assert f'"{name}" is no recipe file, family or published size; {hint}' in str(caught.value)


def test_what_is_changed_is_no_longer_what_was_published() -> None:
    gpt2 = families()["gpt2"]
    row = gpt2.SIZES["small"]
    assert published(gpt2.model_validate({"size": "small"})) is row
    assert published(gpt2.model_validate({"size": "small", "depth": 12})) is None
    assert published(gpt2.model_validate({"depth": 12})) is None
