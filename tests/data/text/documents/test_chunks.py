from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.documents.chunks import CHUNK_BYTES, text_chunks
from luthier.data.text.documents.tokenizing import breaks_of
from luthier.data.text.tokens.cutting import Break
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import (
    BpeSpec,
    UnigramSpec,
    WordpieceSpec,
    train_tokenizer,
)

PROSE = (
    "It was the best of times, it was the worst of times; it's 1,859 now.\n"
    "\tIndented lines\n\nand  double  spaces — 狄更斯寫道：「那是最好的時代，那是最壞的時代。」 "
    "Ça va? naïve co-operation… "
) * 4


def cut(text: str, most: int, breaks: tuple[Break, ...]) -> list[str]:
    data = text.encode()
    chunks = list(text_chunks(lambda a, b: data[a:b], 0, len(data), breaks, most))
    assert [chunk.ends for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(chunk.size == len(chunk.text.encode()) <= most for chunk in chunks)
    return [chunk.text for chunk in chunks]


@given(st.text(max_size=200), st.integers(4, 20))
def test_parts_make_the_text(text: str, most: int) -> None:
    assert "".join(cut(text, most, ())) == text


@pytest.mark.parametrize(
    "spec", [BpeSpec(vocab=400), WordpieceSpec(vocab=300), UnigramSpec(vocab=300)]
)
@pytest.mark.parametrize("most", [128, 200, 333])
def test_parts_give_the_tokens_of_the_whole(
    spec: BpeSpec | WordpieceSpec | UnigramSpec, most: int
) -> None:
    tokenizer = train_tokenizer(spec, [PROSE], specials=["end"])
    parts = cut(PROSE, most, breaks_of(tokenizer))
    assert len(parts) > len(PROSE.encode()) / most
    assert tokens(tokenizer, parts) == tokens(tokenizer, [PROSE])


def test_parts_that_are_cut_anywhere_do_not() -> None:
    tokenizer = train_tokenizer(BpeSpec(vocab=400), [PROSE], specials=["end"])
    assert tokens(tokenizer, cut(PROSE, 100, ())) != tokens(tokenizer, [PROSE])


def tokens(tokenizer: Tokenizer, parts: list[str]) -> list[int]:
    return [token for pieces in tokenizer.encode(parts) for token in pieces.tokens.tolist()]


def test_a_token_of_a_part_has_no_more_bytes_than_16_bits_can_tell() -> None:
    assert CHUNK_BYTES < 2**16
