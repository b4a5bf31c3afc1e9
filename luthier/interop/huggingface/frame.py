"""The special tokens that a tokenizer.json puts around a text by itself: its post-processor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tokenizers

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError

_PROBE = "a"


@dataclass(frozen=True)
class Frame:
    """Tokens around a text.

    Attributes:
        before: In front of it: BERT's `[CLS]`, Llama's `<|begin_of_text|>`.
        behind: At its end: BERT's `[SEP]`.
    """

    before: tuple[int, ...] = ()
    behind: tuple[int, ...] = ()

    @classmethod
    def of(cls, text: str) -> Frame:
        """That of a tokenizer.json.

        Raises:
            InputError: If it does not leave the text in one piece.
        """
        inner = tokenizers.Tokenizer.from_str(text)
        inner.no_padding()
        inner.no_truncation()
        own = list(inner.encode(_PROBE, add_special_tokens=False).ids)
        whole = list(inner.encode(_PROBE, add_special_tokens=True).ids)
        for start in range(len(whole) - len(own) + 1):
            if whole[start : start + len(own)] == own:
                return cls(tuple(whole[:start]), tuple(whole[start + len(own) :]))
        raise InputError(
            "the tokenizer puts special tokens into a text, not around it; luthier cannot do so"
        )


def with_frame(tokenizer: Tokenizer, frame: Frame) -> str:
    """The tokenizer.json of a tokenizer that puts `frame` around a text.

    The second text of a pair stands behind another of the tokens that the first one ends with,
    and is of the second kind.
    """
    text = tokenizer.to_json()
    if Frame.of(text) == frame:
        return text
    document = json.loads(text)
    document["post_processor"] = None
    if frame.before or frame.behind:
        document["post_processor"] = _template(tokenizer, frame)
    return json.dumps(document, indent=2, ensure_ascii=False)


def _template(tokenizer: Tokenizer, frame: Frame) -> dict[str, Any]:
    """A post-processor of the tokenizers library."""
    names = {number: tokenizer.name(number) for number in (*frame.before, *frame.behind)}
    first, second = ({"Sequence": {"id": name, "type_id": n}} for n, name in enumerate("AB"))
    single = [*_pieces(names, frame.before, 0), first, *_pieces(names, frame.behind, 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, second, *_pieces(names, frame.behind, 1)],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for number, name in sorted(names.items())
        },
    }


def _pieces(names: dict[int, str], numbers: Sequence[int], kind: int) -> list[dict[str, Any]]:
    return [{"SpecialToken": {"id": names[number], "type_id": kind}} for number in numbers]
