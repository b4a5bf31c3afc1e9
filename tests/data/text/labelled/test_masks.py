"""Texts with masks in them, for tokenizers of each kind."""

from __future__ import annotations

import pytest

from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.tokens.subwords import BpeSpec, WordpieceSpec
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer

TEXTS = ["a cat sat on the mat", "a dog sat on the cat"] * 20
KINDS = {
    "bpe": BpeSpec(vocab=320),
    "characters": CharactersSpec(),
    "wordpiece": WordpieceSpec(vocab=200),
}


def tokenizer(spec: TokenizerSpec) -> Tokenizer:
    return train_tokenizer(spec, TEXTS, specials=["pad", "first", "separator", "mask"])


def tokens(made: Tokenizer, text: str, *, masks: bool = True) -> list[int]:
    inputs = TextInputs(made, TextForm(context=64, masks=masks))
    found: list[int] = inputs.samples([text], 0).texts[0].tokens.tolist()
    return found


@pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS)
def test_a_mask_is_what_hides_a_token(spec: TokenizerSpec) -> None:
    """Of a word that is one token, or of a character."""
    made = tokenizer(spec)
    mask = made.special("mask")
    assert mask is not None
    hidden = "c" if spec.kind == "characters" else "cat"
    whole = tokens(made, "a cat sat on the mat")
    at = 2 if spec.kind == "characters" else 1
    wanted = [mask if place == at else token for place, token in enumerate(whole)]
    text = "a cat sat on the mat".replace(hidden, "<|mask|>", 1)
    assert tokens(made, text) == wanted


def test_several_and_at_the_ends() -> None:
    made = tokenizer(KINDS["wordpiece"])
    mask = made.special("mask")
    found = tokens(made, "<|mask|> cat <|mask|><|mask|>")
    assert [token == mask for token in found] == [True, False, True, True]
    assert tokens(made, "<|mask|>") == [mask]


@pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS)
def test_the_usual_name_is_a_mask_too(spec: TokenizerSpec) -> None:
    made = tokenizer(spec)
    for text in ("a {} sat on", "{}", "{} the {}{}", "on the {}"):
        usual, own = (text.format(*[name] * 3) for name in ("[MASK]", "<|mask|>"))
        assert tokens(made, usual) == tokens(made, own)
        assert tokens(made, usual, masks=False) != tokens(made, usual)


def test_elsewhere_its_name_is_text() -> None:
    made = tokenizer(KINDS["bpe"])
    assert made.special("mask") not in tokens(made, "a <|mask|>", masks=False)
