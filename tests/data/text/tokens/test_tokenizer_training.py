"""From a recipe's tokenizer section to a tokenizer."""

from __future__ import annotations

import json
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tokenizers_to_try import FEW, SPECIALS, SPECS, TEXT, TEXTS, foreign_file, trained

from luthier.data.text.tokens.learned import character_counts, excerpt, most_frequent
from luthier.data.text.tokens.subwords import BpeSpec, UnigramSpec, WordpieceSpec, _in_order
from luthier.data.text.tokens.symbols import BytesSpec, CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer_file import TokenizerFileSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer
from luthier.errors import DataError, SpecError

DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[5] / "shared" / "data"))
LANGUAGE = DATA / "language_modelling"
real_data = pytest.mark.skipif(not LANGUAGE.exists(), reason=f"no {LANGUAGE}: LUTHIER_DATA")


@pytest.mark.parametrize("name", SPECS)
def test_the_same_texts_give_the_same_file(name: str) -> None:
    again = train_tokenizer(SPECS[name], iter(TEXTS), specials=SPECIALS)
    assert again.to_json() == trained(name).to_json()


@pytest.mark.parametrize("name", SPECS)
@FEW
@given(texts=st.lists(TEXT, max_size=4), other=st.sampled_from(TEXTS))
def test_any_texts_can_be_learned_from(name: str, texts: list[str], other: str) -> None:
    spec = SPECS[name]
    if not any(texts) and not isinstance(spec, BytesSpec):
        with pytest.raises(DataError, match="the training texts are empty; wanted texts"):
            train_tokenizer(spec, texts, specials=["end"])
        return
    tokenizer = train_tokenizer(spec, texts, specials=["end", "unknown"])
    assert tokenizer.special("end") == 0
    assert tokenizer.special("unknown") == 1
    assert sum(map(len, tokenizer.encode([*texts, other]))) > 0
    vocab = getattr(spec, "vocab", None)
    assert vocab is None or tokenizer.size <= vocab


def test_the_trainers_order_does_not_matter() -> None:
    one = [("▁the", -2.0), ("a", -3.00000000001), ("b", -3.0), ("é", -9.0), ("ß", -8.9999)]
    other = [("▁the", -2.0), ("b", -3.00000000001), ("a", -3.0), ("ß", -9.0), ("é", -8.9999)]
    assert _in_order(one) == _in_order(other)
    assert sorted(one, key=lambda item: -item[1]) != sorted(other, key=lambda item: -item[1])
    assert [piece for piece, _ in _in_order(one)] == ["▁the", "a", "b", "ß", "é"]


@pytest.mark.parametrize("name", SPECS)
def test_unknown_is_there_where_it_is_needed(name: str) -> None:
    tokenizer = train_tokenizer(SPECS[name], TEXTS, specials=["pad"])
    assert tokenizer.special("pad") == 0
    assert tokenizer.special("unknown") == (None if name in ("bpe", "bytes") else 1)


def test_bytes_are_numbered_by_their_value() -> None:
    tokenizer = train_tokenizer(BytesSpec(), [], specials=["end", "pad"])
    assert tokenizer.size == 258
    assert tokenizer.encode(["Aé"])[0].tokens.tolist() == [2 + 0x41, 2 + 0xC3, 2 + 0xA9]


def test_characters_are_numbered_by_their_code_point() -> None:
    tokenizer = train_tokenizer(CharactersSpec(), ["cab", "bd"], specials=[])
    assert [tokenizer.token_text(token) for token in range(5)] == ["<|unknown|>", *"abcd"]
    capped = train_tokenizer(CharactersSpec(vocab=3), ["cab", "bd"], specials=[])
    assert [capped.token_text(token) for token in range(capped.size)] == ["<|unknown|>", *"ab"]


def test_words_that_are_rare_are_unknown() -> None:
    texts = ["The cat. the dog. A cat"]
    tokenizer = train_tokenizer(WordsSpec(), texts, specials=[])
    names = [tokenizer.token_text(token) for token in range(tokenizer.size)]
    assert names == ["<|unknown|>", ".", "cat", "the"]
    cased = train_tokenizer(WordsSpec(lowercase=False, vocab=3), texts, specials=[])
    assert [cased.token_text(token) for token in range(cased.size)] == ["<|unknown|>", ".", "cat"]


def test_rare_characters_give_way_to_a_small_vocabulary() -> None:
    texts = ["".join(chr(0x4E00 + n) for n in range(400)) + "天地玄黃" * 50]
    for spec in (UnigramSpec(vocab=60, coverage=1.0), WordpieceSpec(vocab=60, coverage=1.0)):
        tokenizer = train_tokenizer(spec, texts, specials=["end"])
        assert tokenizer.size <= 60
        unknown = tokenizer.special("unknown")
        assert unknown not in tokenizer.encode(["天地玄黃"])[0].tokens
        assert unknown in tokenizer.encode([chr(0x4E00 + 399)])[0].tokens


def test_coverage_leaves_out_the_rarest() -> None:
    counts = character_counts(["aaaaabbbbc", "d"])
    assert most_frequent(counts) == ["a", "b", "c", "d"]
    assert most_frequent(counts, 0.8) == ["a", "b"]
    assert most_frequent(character_counts([])) == []


def test_wordpiece_is_cased_if_wanted() -> None:
    tokenizer = trained("wordpiece_cased")
    assert tokenizer.decode(tokenizer.encode(["The fox naïve"])[0].tokens) == "The fox naïve"
    plain = trained("wordpiece")
    assert plain.decode(plain.encode(["The fox naïve"])[0].tokens) == "the fox naive"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (BpeSpec(vocab=257), "got 257; wanted at least 258: 256 bytes and 2 special tokens"),
        (WordpieceSpec(vocab=3), "got 3; wanted at least 4: 3 special tokens, and one for the"),
        (UnigramSpec(vocab=5), "got 5; wanted at least 6: 3 special tokens, a space and two"),
        (CharactersSpec(vocab=1), "got 1; wanted at least 4: 3 special tokens and a character"),
        (WordsSpec(vocab=1), "got 1; wanted at least 4: 3 special tokens and a word"),
    ],
)
def test_a_vocabulary_without_room(spec: TokenizerSpec, message: str) -> None:
    with pytest.raises(SpecError, match=rf"data\.tokenizer\.vocab: {message}"):
        train_tokenizer(spec, TEXTS, specials=["end", "pad"])


@pytest.mark.parametrize("name", ["bpe", "wordpiece", "unigram", "characters", "words"])
def test_the_smallest_vocabulary(name: str) -> None:
    spec = SPECS[name].model_copy(update={"vocab": {"bpe": 258, "unigram": 6}.get(name, 4)})
    tokenizer = train_tokenizer(spec, TEXTS, specials=["end", "pad"])
    assert tokenizer.size <= spec.vocab
    assert len(tokenizer.encode(["fox"])[0])


@given(texts=st.lists(TEXT, max_size=5), limit=st.integers(1, 60))
def test_an_excerpt_is_the_beginning(texts: list[str], limit: int) -> None:
    found = "".join(excerpt(texts, limit)).encode()
    whole = "".join(text.encode("utf-8", "replace").decode() for text in texts)
    assert len(found) <= limit
    if whole.isprintable() and "?" not in whole and "\ufffd" not in whole:
        assert whole.encode().startswith(found)
        assert len(found) >= min(len(whole.encode()), limit) - 3


def test_no_more_is_read_than_needed() -> None:
    told: list[tuple[str, int, int]] = []
    asked = 0

    def texts() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield "a quick fox " * 50_000

    spec = CharactersSpec(train_bytes=3_000_000)
    train_tokenizer(spec, texts(), specials=[], progress=lambda *news: told.append(news))
    assert asked == 5
    assert told[0][0] == "reading texts for the tokenizer"
    assert [news[1] for news in told] == [*sorted(news[1] for news in told[:-1]), 1]
    assert all(done <= total for _, done, total in told)
    assert told[-1] == ("learning the tokens", 1, 1)


def test_one_endless_line_takes_little_memory() -> None:
    text = "天地玄黃" * 5_000_000
    tracemalloc.start()
    train_tokenizer(CharactersSpec(train_bytes=6_000_000), [text], specials=[])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(foreign_file("bert"), encoding="utf-8")
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        spec = TokenizerFileSpec(path=str(path))
        tokenizer = train_tokenizer(spec, [], specials=["pad", "mask", "first"])
        # Neither cut at 8 tokens nor filled up to as many, though the file says so.
        assert len(tokenizer.encode(["fox " * 20])[0]) == 20
        assert len(tokenizer.encode(["fox"])[0]) == 1


def test_a_file_that_lacks_what_the_task_needs(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(foreign_file("qwen"), encoding="utf-8")
    spec = TokenizerFileSpec(path=str(path))
    assert train_tokenizer(spec, [], specials=["end"]).special("end") is not None
    wanted = r"data\.tokenizer\.path: .*tokenizer\.json: lacks special tokens .* mask .*\[MASK\]"
    with pytest.raises(SpecError, match=wanted):
        train_tokenizer(spec, [], specials=["end", "mask"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"does not exist; wanted a tokenizer\.json"),
        (b"", r"tokenizer\.json: no tokenizer\.json that the tokenizers library"),
        (b"\xff\xfe", r"tokenizer\.json: is no text; wanted a tokenizer\.json"),
        (b'{"model": 3}', r"no tokenizer\.json that .* can read: "),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"data\.tokenizer\.path: .*{message}"):
        train_tokenizer(TokenizerFileSpec(path=str(path)), [], specials=[])


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.jsn").write_text("")
    with pytest.raises(SpecError, match=r'did you mean "tokenizer\.jsn"'):
        train_tokenizer(TokenizerFileSpec(path=str(tmp_path)), [], specials=[])


def test_recipes() -> None:
    read = TypeAdapter(TokenizerSpec).validate_python
    assert read({"kind": "bpe"}) == BpeSpec(vocab=8192)
    assert read({"kind": "words", "vocab": 900, "lowercase": False, "least": 2}).vocab == 900
    assert read({"kind": "characters"}).vocab is None
    assert read({"kind": "file", "path": "t.json"}) == TokenizerFileSpec(path="t.json")


@pytest.mark.real_data
@real_data
def test_english() -> None:
    text = (LANGUAGE / "wiki_demo" / "wiki_demo.txt").read_text(encoding="utf-8")
    tokenizer = train_tokenizer(BpeSpec(), [text], specials=["end"])
    assert tokenizer.size == 8192
    pieces = tokenizer.encode([text])[0]
    assert tokenizer.decode(pieces.tokens) == text
    assert int(pieces.bytes.sum()) == len(text.encode())
    assert pieces.bytes.mean() > 4


@pytest.mark.real_data
@real_data
def test_chinese() -> None:
    with tarfile.open(LANGUAGE / "chinese_poetry" / "song_ci.tar.xz") as archive:
        member = next(item for item in archive if item.isfile() and item.name.endswith(".json"))
        file = archive.extractfile(member)
        assert file is not None
        poems = ["\n".join(poem["paragraphs"]) for poem in json.load(file)]
    bpe = train_tokenizer(BpeSpec(vocab=4096), poems, specials=["end"])
    characters = train_tokenizer(CharactersSpec(), poems, specials=["end"])
    for tokenizer, least in ((bpe, 2.5), (characters, 2.8)):
        pieces = tokenizer.encode(poems)
        assert [tokenizer.decode(found.tokens) for found in pieces] == poems
        assert np.concatenate([found.bytes for found in pieces]).mean() > least
