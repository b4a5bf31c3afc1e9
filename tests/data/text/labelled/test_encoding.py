from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.labelled.encoding import Raw, TextForm, encode, shape, whole_lengths
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.labelled.text_examples import rows_at_once, text_of
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.rows.samples import PADDING
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import DataError

TOKENIZER = train_tokenizer(
    CharactersSpec(), ["abcdefghij"], specials=["first", "separator", "pad"]
)
FIRST, SEPARATOR = TOKENIZER.special("first"), TOKENIZER.special("separator")
TEXTS = st.text("abcdefghij", min_size=1, max_size=12)


def reference(row: TextRow, form: TextForm) -> tuple[list[int], list[int]]:
    """Tokens and types of a text, token by token: the longer of a pair loses one; of equally long
    ones the one that was shorter, or the second."""
    texts = [list(TOKENIZER.encode([text])[0].tokens) for text in (row.text, row.second) if text]
    room = form.context - 2 * form.framed - form.pairs
    second_is_longer = len(texts) > 1 and len(texts[1]) > len(texts[0])
    while sum(map(len, texts)) > room:
        difference = len(texts[0]) - len(texts[-1])
        first = len(texts) == 1 or difference > 0 or (difference == 0 and second_is_longer)
        (texts[0] if first else texts[1]).pop(0 if form.cut == "start" else -1)
    tokens, types = list(texts[0]), [0] * len(texts[0])
    if form.pairs:
        tokens += [SEPARATOR, *texts[1]]
        types += [0] + [1] * len(texts[1])
    if form.framed:
        tokens, types = [FIRST, *tokens, SEPARATOR], [0, *types, int(form.pairs)]
    return tokens, types


@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    st.integers(5, 20),
    st.sampled_from(["end", "start"]),
    st.booleans(),
    st.booleans(),
)
def test_against_token_by_token(
    texts: list[tuple[str, str]], context: int, cut: str, framed: bool, pairs: bool
) -> None:
    form = TextForm(context=context, cut=cut, framed=framed, pairs=pairs)  # type: ignore[arg-type]
    rows = [TextRow("", a, b if pairs else None) for a, b in texts]
    encoded = shape(encode(rows, TOKENIZER), TOKENIZER, form)
    for number, row in enumerate(rows):
        text = text_of(encoded, number)
        tokens, types = reference(row, form)
        assert text.tokens.tolist() == tokens
        assert (text.types is None) == (not pairs)
        if text.types is not None:
            assert text.types.tolist() == types
    around = 2 * framed + pairs
    whole = [len(a) + (len(b) if pairs else 0) + around for a, b in texts]
    assert encoded.whole.tolist() == whole
    assert encoded.cut.tolist() == [n for n, length in enumerate(whole) if length > context]


@pytest.mark.parametrize(("own", "other"), [(10, 2), (2, 10), (10, 10), (5, 6), (1, 1)])
def test_the_longer_of_a_pair_is_cut_first(own: int, other: int) -> None:
    form = TextForm(context=10, pairs=True)
    rows = [TextRow("", "a" * own, "b" * other)]
    encoded = shape(encode(rows, TOKENIZER), TOKENIZER, form)
    assert encoded.seconds is not None
    a = int(encoded.seconds[0]) - 1
    b = len(encoded.tokens[0]) - a - 1
    assert a + b == min(own + other, 9)
    assert a == own or a >= b - 1
    assert b == other or b >= a - 1


@pytest.mark.parametrize("cut", ["end", "start"])
@pytest.mark.parametrize("framed", [True, False])
def test_words_keep_their_numbers(cut: str, framed: bool) -> None:
    form = TextForm(context=6, cut=cut, framed=framed, words="spaces")  # type: ignore[arg-type]
    words = ["ab", "c", "def", "g"]
    encoded = shape(encode([TextRow("", "", words=words)], TOKENIZER), TOKENIZER, form)
    text = text_of(encoded, 0)
    numbers = [0, 0, 1, 2, 2, 2, 3]
    room = 4 if framed else 6
    kept = numbers[:room] if cut == "end" else numbers[-room:]
    wanted = [PADDING, *kept, PADDING] if framed else kept
    assert text.words is not None
    assert text.words.tolist() == wanted


def test_no_room_and_no_special_token() -> None:
    raw = encode([TextRow("", "ab")], TOKENIZER)
    with pytest.raises(DataError, match=r"data.context: got 2; .* wanted at least 3"):
        shape(raw, TOKENIZER, TextForm(context=2, framed=True))
    bare = train_tokenizer(CharactersSpec(), ["ab"], specials=[])
    with pytest.raises(DataError, match=r"has no first token, which data\.first asks for"):
        shape(raw, bare, TextForm(context=8, framed=True))
    pair = encode([TextRow("", "a", "b")], bare)
    with pytest.raises(DataError, match=r"has no separator, .* or set data.first=false"):
        shape(pair, bare, TextForm(context=8, pairs=True))


def test_lengths_and_bytes() -> None:
    tokenizer = train_tokenizer(CharactersSpec(), ["ab中"], specials=["separator"])
    raw = encode([TextRow("", "a中", "b"), TextRow("", "a", "bb")], tokenizer)
    assert raw.text_bytes == 4 + 1 + 1 + 2
    assert whole_lengths(raw, TextForm(context=9, pairs=True)).tolist() == [4, 4]
    assert isinstance(raw, Raw)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5), st.data())
def test_ragged_rows(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(rows)
    assert [ragged[n].tolist() for n in range(len(ragged))] == rows
    keep = [data.draw(st.integers(0, len(row))) for row in rows]
    lengths = np.array(keep, dtype=np.int64)
    ends: Sequence[bool] = (True, False)
    for from_the_end in ends:
        kept = ragged.kept(lengths, ends=from_the_end)
        wanted = [
            row[len(row) - n :] if from_the_end else row[:n]
            for row, n in zip(rows, keep, strict=True)
        ]
        assert [kept[n].tolist() for n in range(len(kept))] == wanted


def test_rows_at_once() -> None:
    assert rows_at_once(np.array([16])) == 1024
    assert rows_at_once(np.array([2**16])) == 1
    mixed = np.array([8] * 100 + [512])  # a long one among short ones: filled up, it is too much
    assert rows_at_once(mixed) == 4 * 2**14 // 512
    assert rows_at_once(np.array([], dtype=np.int64)) == 1
