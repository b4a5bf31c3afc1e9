"""From files to rows: what is decided, what is kept, what is told.

Dimension key, for the whole file:
    B  rows of a batch      S  tokens of a row
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luthier.data.entry as entry_module
import luthier.data.text.documents.document_entry as making
import luthier.data.text.documents.tokenizing as tokenizing_module
from luthier.data.purpose import Purpose
from luthier.data.readers.mixture import MixtureSpec
from luthier.data.readers.text import TextSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.text.documents.prepare_documents import PreparedDocuments, prepare_documents
from luthier.data.text.labelled.texts import TextsSpec
from luthier.data.text.rows.mixing import JoinedRows, MixedRows
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.samples import PADDING, RowSamples
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import BpeSpec, train_tokenizer
from luthier.errors import DataError, InputError, SpecError, StorageError
from luthier.spec import parse

NEXT = Purpose(learns="documents", specials=("end",), ahead=1)
MASKED = Purpose(learns="documents", specials=("pad", "first", "separator", "mask"), words=True)
DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[5] / "shared" / "data"))
SHAKESPEARE = DATA / "language_modelling" / "tinyshakespeare"
POEMS = DATA / "language_modelling" / "chinese_poetry" / "quan_tang_shi.tar.xz"


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A table of 150 short stories, all different."""
    path = tmp_path / "stories.jsonl"
    rng = np.random.default_rng(0)
    names = ["Ann", "Bo", "Cy", "Dé", "李白"]
    with path.open("w", encoding="utf-8") as file:
        for number in range(150):
            lines = [f"{names[n % 5]} saw {n} birds." for n in rng.integers(0, 99, 1 + number % 9)]
            row = {"text": "\n".join([f"Story {number}", *lines])}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def spec_of(**settings: Any) -> TextsSpec:
    kind = MixtureSpec if settings.get("kind") == "mixture" else TextSpec
    return parse(kind, {"kind": "text", **settings})


def prepared(purpose: Purpose = NEXT, seed: int = 1, **settings: Any) -> PreparedDocuments:
    settings = {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()}
    return prepare_documents(spec_of(**settings), purpose, seed=seed)


def everything(rows: RowExamples | MixedRows | JoinedRows, epoch: int = 0) -> RowSamples:
    return rows.read(np.arange(len(rows)), epoch)


def counted_bytes(rows: RowExamples | MixedRows | JoinedRows) -> int:
    """Of all targets of an evaluation."""
    samples = everything(rows)
    here = torch.ones_like(samples.tokens_BS[:, 1:], dtype=torch.bool)
    if samples.documents_BS is not None:
        here = samples.documents_BS[:, 1:] == samples.documents_BS[:, :-1]
        here &= samples.documents_BS[:, 1:] != PADDING
    return int(samples.bytes_BS[:, 1:][here].sum())


def texts_of(found: PreparedDocuments, rows: RowExamples) -> list[str]:
    """The documents of rows that are not cut, without what stands around them."""
    samples = everything(rows)
    texts = []
    documents_BS = samples.documents_BS
    if documents_BS is None:
        documents_BS = torch.zeros_like(samples.tokens_BS)
    for tokens, documents in zip(samples.tokens_BS, documents_BS, strict=True):
        for number in range(int(documents.max()) + 1):
            texts.append(found.tokenizer.decode(tokens[documents == number].numpy()))
    return texts


def decided(found: PreparedDocuments) -> dict[str, Any]:
    return {decision.place: decision.value for decision in found.decisions}


@pytest.fixture
def writings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by one whenever texts are tokenized into the cache."""
    done: list[Path] = []
    write = making.write_index

    def counted(folder: Path, *rest: Any) -> None:
        done.append(folder)
        write(folder, *rest)

    monkeypatch.setattr(making, "write_index", counted)
    return done


@pytest.mark.parametrize(
    "tokenizer",
    [{"kind": "bpe", "vocab": 300}, {"kind": "characters"}, {"kind": "bytes"}, {"kind": "words"}],
)
@pytest.mark.parametrize("packing", [True, False])
def test_an_evaluation_counts_all_bytes_of_the_source(
    stories: Path, tokenizer: dict[str, Any], packing: bool
) -> None:
    found = prepared(path=stories, tokenizer=tokenizer, context=32, packing=packing)
    texts = [json.loads(line)["text"] for line in stories.read_text(encoding="utf-8").splitlines()]
    assert found.validation is not None
    total = counted_bytes(found.validation) + counted_bytes(found.train.plain())
    assert total == sum(len(text.encode()) for text in texts)


def test_documents_come_back_as_they_were(stories: Path) -> None:
    found = prepared(path=stories, tokenizer={"kind": "bpe", "vocab": 300}, context=512)
    wanted = [json.loads(line)["text"] for line in stories.read_text(encoding="utf-8").splitlines()]
    assert isinstance(found.train, RowExamples)
    assert isinstance(found.validation, RowExamples)
    got = texts_of(found, found.train) + texts_of(found, found.validation)
    assert sorted(got) == sorted(wanted)
    assert len(texts_of(found, found.validation)) == 15


def test_a_document_stands_between_two_end_tokens(stories: Path) -> None:
    found = prepared(path=stories, tokenizer={"kind": "characters"}, context=512)
    end = found.tokenizer.special("end")
    assert found.target.specials == {"end": end}
    samples = everything(found.train)
    first = samples.tokens_BS[0][samples.documents_BS[0] == 0]  # type: ignore[index]
    assert (first[0], first[-1], int((first == end).sum())) == (end, end, 2)


def test_what_is_decided(stories: Path) -> None:
    found = prepared(path=stories)
    assert decided(found) == {
        "data.tokenizer": {"kind": "characters"},
        "data.context": 168,
        "data.column": "text",
        "data.split.by": "documents",
        "data.split.validation": 0.1,
    }
    reasons = " ".join(decision.reason for decision in found.decisions)
    assert "different characters: too little to learn longer tokens from" in reasons
    assert found.signal.shape == (168,)
    assert found.signal.vocab == found.target.vocab == found.tokenizer.size
    assert found.noun.units == 168
    again = prepared(
        path=stories,
        tokenizer={"kind": "characters"},
        context=168,
        column="text",
        split={"by": "documents", "validation": 0.1},
    )
    assert again.decisions == ()
    assert again.fingerprint == found.fingerprint
    assert torch.equal(everything(again.train).tokens_BS, everything(found.train).tokens_BS)


def test_a_masked_purpose_gets_words_and_frames(stories: Path) -> None:
    found = prepared(MASKED, path=stories, context=48)
    assert decided(found)["data.tokenizer"]["kind"] == "wordpiece"
    assert set(found.target.specials) == {"pad", "first", "separator", "mask"}
    samples = everything(found.train)
    assert samples.words_BS is not None
    assert samples.tokens_BS.shape[1] <= 48
    first = found.target.specials["first"]
    assert (samples.tokens_BS[:, 0] == first).all()
    goes_on = samples.words_BS == 1
    names = {found.tokenizer.token_text(int(token)) for token in samples.tokens_BS[goes_on]}
    assert names
    assert all(name.startswith("##") for name in names)


def test_prepared_once(stories: Path, writings: list[Path]) -> None:
    found = prepared(path=stories)
    for settings in (
        {"context": 16},
        {"packing": False},
        {"on_error": "skip"},
        {"seed": 5},
    ):
        again = prepared(path=stories, **settings)
        assert again.fingerprint == found.fingerprint
    assert len(writings) == 1
    assert isinstance(again.parts[0].streams["train"].tokens.base, np.memmap)


def test_what_changes_tokens_prepares_anew(stories: Path, writings: list[Path]) -> None:
    base = {"path": stories, "tokenizer": {"kind": "bpe", "vocab": 300}}
    seen = {prepared(**base).fingerprint}
    for settings in (
        {"tokenizer": {"kind": "bpe", "vocab": 301}},
        {"split": {"validation": 0.2}},
        {"split": {"seed": 2}},
        {"limit": 120},
        {"purpose": MASKED},
    ):
        seen.add(prepared(**{**base, **settings}).fingerprint)
    lines = stories.read_text(encoding="utf-8").splitlines(keepends=True)
    stories.write_text("".join(lines).replace("Story 3\\n", "Story three\\n"), encoding="utf-8")
    seen.add(prepared(**base).fingerprint)
    assert len(seen) == len(writings) == 7


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "tokens").iterdir())


def test_a_torn_entry_is_made_anew(stories: Path, cache: Path, writings: list[Path]) -> None:
    whole = prepared(path=stories)
    wanted = everything(whole.train).tokens_BS  # read now: what is cut off under a map is gone
    (entry,) = entries(cache)
    names = sorted(path.name for path in entry.iterdir())
    assert "0-train-tokens.bin" in names
    assert not any("spool" in name for name in names)
    for count, name in enumerate(names, 2):
        os.truncate(entry / name, (entry / name).stat().st_size // 2)
        again = prepared(path=stories)
        assert again.fingerprint == whole.fingerprint
        assert torch.equal(everything(again.train).tokens_BS, wanted)
        assert len(writings) == count, name
    (entry / "0-train-words.bin").touch()
    (entry / "0-train-starts.bin").unlink()
    assert prepared(path=stories).fingerprint == whole.fingerprint


def test_a_crash_leaves_nothing_that_counts(
    stories: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "write_index", crash)
        with pytest.raises(KeyboardInterrupt):
            prepared(path=stories)
    assert entries(cache) == []


def test_a_full_disk_is_told(stories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(entry_module.os, "fsync", full)
    with pytest.raises(StorageError, match=r"texts as tokens cannot be kept there: No space left"):
        prepared(path=stories)


def test_what_was_skipped_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one two"}\nbroken\n{"text": "three"}\n')
    skipped = prepared(path=path, on_error="skip", split={"validation": 0})
    for _ in range(2):
        again = prepared(path=path, on_error="skip", split={"validation": 0})
        assert again.skipped == skipped.skipped
        assert [name for name, _ in again.skipped] == ["a.jsonl line 2"]
    with pytest.raises(DataError, match=r"1 \w+ cannot be used:\n  a.jsonl line 2: is no JSON"):
        prepared(path=path, split={"validation": 0})


def test_a_tokenizer_from_a_file(stories: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(train_tokenizer(BpeSpec(vocab=280), ["abcabc"], specials=["end"]).to_json())
    chosen = {"kind": "file", "path": str(file)}
    found = prepared(path=stories, tokenizer=chosen)
    assert found.tokenizer.size <= 280
    file.write_text(train_tokenizer(BpeSpec(vocab=280), ["xyzxyz"], specials=["end"]).to_json())
    assert prepared(path=stories, tokenizer=chosen).fingerprint != found.fingerprint
    with pytest.raises(SpecError, match="does not exist"):
        prepared(path=stories, tokenizer={"kind": "file", "path": "nowhere.json"})
    file.write_text(train_tokenizer(BpeSpec(vocab=280), ["abcabc"], specials=[]).to_json())
    with pytest.raises(SpecError, match="lacks special tokens that the task needs: end"):
        prepared(path=stories, tokenizer=chosen)


def write_tokens(path: Path, tokens: list[int]) -> None:
    np.array(tokens, dtype="<u2").tofile(path)


@pytest.fixture
def bins(tmp_path: Path) -> tuple[Path, Tokenizer, dict[str, str]]:
    """nanoGPT's files: documents of tokens, an end token behind each."""
    tokenizer = train_tokenizer(BpeSpec(vocab=300), ["once upon a time 詩"], specials=["end"])
    end = tokenizer.special("end")
    assert end is not None
    folder = tmp_path / "bins"
    folder.mkdir()
    for split, texts in {"train": ["once upon", "a time 詩", "", "upon"], "val": ["time"]}.items():
        tokens = [t for text in texts for t in [*tokenizer.encode([text])[0].tokens.tolist(), end]]
        write_tokens(folder / f"{split}.bin", tokens)
    file = tmp_path / "tokenizer.json"
    file.write_text(tokenizer.to_json())
    return folder, tokenizer, {"kind": "file", "path": str(file)}


def test_tokens_are_read_as_they_are(bins: tuple[Path, Tokenizer, dict[str, str]]) -> None:
    folder, _, chosen = bins
    found = prepared(path=folder, tokenizer=chosen, context=64)
    assert isinstance(found.train, RowExamples)
    assert isinstance(found.validation, RowExamples)
    assert texts_of(found, found.train) == ["once upon", "a time 詩", "upon"]
    assert texts_of(found, found.validation) == ["time"]
    assert counted_bytes(found.train) == len("once upona time 詩upon".encode())
    assert "tokens" in found.recognised


def test_tokens_that_cannot_be_right(
    bins: tuple[Path, Tokenizer, dict[str, str]], stories: Path
) -> None:
    folder, _, chosen = bins
    with pytest.raises(DataError, match=r"holds tokens; name the tokenizer that made them"):
        prepared(path=folder)
    write_tokens(folder / "train.bin", [1, 2, 60_000])
    with pytest.raises(DataError, match=r"token 2 is 60000; the tokenizer has \d+"):
        prepared(path=folder, tokenizer=chosen)
    (folder / "train.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match="has half a token at its end"):
        prepared(path=folder, tokenizer=chosen)
    with pytest.raises(DataError, match=r"holds tokens, but .* holds text"):
        prepared(path=[str(folder / "val.bin"), str(stories)], tokenizer=chosen)


def mixture(*parts: tuple[Path, float, dict[str, Any]], **settings: Any) -> dict[str, Any]:
    listed = [
        {"data": {"kind": "text", "path": str(path), **own}, "weight": weight}
        for path, weight, own in parts
    ]
    return {"kind": "mixture", "parts": listed, **settings}


def test_rates_count_no_padding(stories: Path, tmp_path: Path) -> None:
    def tokens_of_a_row(**settings: Any) -> float:
        found = prepared(tokenizer={"kind": "characters"}, context=128, **settings)
        rows = everything(found.train)
        documents = rows.documents_BS
        share = 1.0 if documents is None else float((documents >= 0).sum()) / (len(rows.ids) * 129)
        assert found.noun.units == 128
        assert found.noun.units_on_average == pytest.approx(128 * share)
        return found.noun.units_on_average

    packed, padded = tokens_of_a_row(path=stories), tokens_of_a_row(path=stories, packing=False)
    assert padded < 0.9 * packed <= 0.9 * 128
    other = tmp_path / "other.txt"
    other.write_text("a line\n" * 50)
    parts = mixture((stories, 1, {}), (other, 3, {"document": "line"}), context=128)
    mixed = prepared(**parts, packing=False)
    assert mixed.noun.units_on_average < padded, "most rows are of short lines"


def test_a_mixture(stories: Path, tmp_path: Path) -> None:
    other = tmp_path / "numbers.txt"
    other.write_text("\n".join(f"number {number * 7919} and more" for number in range(400)))
    how = mixture((stories, 3, {}), (other, 1, {"document": "line"}), context=64)
    found = prepared(**how)
    assert isinstance(found.train, MixedRows)
    assert isinstance(found.validation, JoinedRows)
    (tmp_path / "tokenizer.json").write_text(found.tokenizer.to_json())
    same = {"context": 64, "tokenizer": {"kind": "file", "path": str(tmp_path)}}
    alone = [prepared(path=stories, **same), prepared(path=other, document="line", **same)]
    assert len(found.train) == sum(len(each.train) for each in alone)
    assert found.train.draws.tolist()[0] == round(0.75 * len(found.train))
    held = [counted_bytes(each.validation) for each in alone if each.validation is not None]
    assert counted_bytes(found.validation) == sum(held)
    assert {"data.parts[0].data.column", "data.parts[1].data.split.by"} <= decided(found).keys()
    assert "drawn in an epoch" in found.recognised
    heavier = prepared(**mixture((stories, 4, {}), (other, 1, {"document": "line"}), context=64))
    assert heavier.fingerprint != found.fingerprint


def test_a_mixture_learns_its_tokenizer_by_weight(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("aa " * 3000)
    (tmp_path / "z.txt").write_text("zz zyzy " * 100)
    chosen = {"tokenizer": {"kind": "bpe", "vocab": 259}, "split": {"validation": 0}}

    def learned(weight: float) -> set[str]:
        parts = (tmp_path / "a.txt", 1.0, {}), (tmp_path / "z.txt", weight, {})
        tokenizer = prepared(**mixture(*parts, **chosen)).tokenizer
        return {tokenizer.token_text(number) for number in range(257, tokenizer.size)}

    assert learned(0.01) == {"aa", "␣aa"}
    assert learned(100.0) & {"aa", "␣aa"} == set()


def test_paths_are_found_from_anywhere(
    stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.txt").write_text("one more text, and no other")
    monkeypatch.chdir(tmp_path)
    listed = prepared(path=["stories.jsonl", "other.txt"])
    assert decided(listed)["data.path"] == [str(stories), str(tmp_path / "other.txt")]
    mixed = prepared(**mixture((Path("stories.jsonl"), 1, {}), (stories, 1, {})))
    assert decided(mixed)["data.parts[0].data.path"] == str(stories)
    assert "data.parts[1].data.path" not in decided(mixed)
    assert "data.path" not in decided(prepared(path="stories.jsonl")), "all data is, by the run"


def test_settings_of_a_mixture(stories: Path) -> None:
    with pytest.raises(SpecError, match=r"part 1 sets context; .* set it beside parts"):
        spec_of(**mixture((stories, 1, {"context": 8})))
    with pytest.raises(SpecError, match="weight: got 0, wanted above 0"):
        spec_of(**mixture((stories, 0, {})))
    spec = spec_of(**mixture((stories, 1, {"limit": 3}), (stories, 1, {}), limit=7, context=8))
    assert isinstance(spec, MixtureSpec)
    assert [source.limit for source in spec.sources] == [3, 7]
    assert [source.context for source in spec.sources] == [8, 8]


def test_other_data_is_refused(tmp_path: Path) -> None:
    spec = TextLinesSpec.model_construct(kind="text_lines")
    with pytest.raises(InputError, match="this task learns from documents"):
        prepare_documents(spec, NEXT, seed=0)


def test_blank_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("  \n ")
    with pytest.raises(DataError, match="no text for train has a token: all are blank"):
        prepared(path=tmp_path / "a.txt", split={"validation": 0}, tokenizer={"kind": "words"})


def test_a_long_blank_keeps_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a part of the text has no token at all."""
    text = "one" + " " * 5000 + "two " + "three " * 500
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "words.json").write_text(
        train_tokenizer(
            parse(
                TextSpec, {"kind": "text", "path": "x", "tokenizer": {"kind": "words"}}
            ).tokenizer,  # type: ignore[arg-type]
            ["one two three one two three"],
            specials=["end"],
        ).to_json()
    )
    monkeypatch.setattr("luthier.data.text.documents.chunks.CHUNK_BYTES", 2**10)
    chosen = {"kind": "file", "path": str(tmp_path / "words.json")}
    found = prepared(path=tmp_path / "a.txt", split={"validation": 0}, tokenizer=chosen, context=64)
    assert counted_bytes(found.train.plain()) == len(text)


def test_progress_names_each_stage(stories: Path) -> None:
    told: dict[str, tuple[int, int]] = {}

    def progress(what: str, done: int, total: int) -> None:
        told[what] = (done, total)

    spec = spec_of(path=str(stories), tokenizer={"kind": "bpe", "vocab": 300})
    prepare_documents(spec, NEXT, seed=0, progress=progress)
    assert {"reading texts", "making tokens"} <= told.keys()
    assert all(done == total for what, (done, total) in told.items() if "for the tok" not in what)


def test_a_text_is_never_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one_line.txt"
    with path.open("w") as file:
        for number in range(50_000):
            file.write(f"word{number} ")
    longest, largest = 0, 0
    encode = Tokenizer.encode

    def watched(self: Tokenizer, texts: list[str]) -> Any:
        nonlocal longest, largest
        longest = max(longest, *map(len, texts))
        largest = max(largest, sum(map(len, texts)))
        return encode(self, texts)

    monkeypatch.setattr(Tokenizer, "encode", watched)
    monkeypatch.setattr(tokenizing_module, "BATCH_BYTES", 2**17)
    found = prepared(path=path, tokenizer={"kind": "bytes"}, split={"validation": 0})
    assert counted_bytes(found.train.plain()) == path.stat().st_size
    assert longest <= 2**15
    assert largest <= 2**17 + 2**15


@pytest.mark.real_data
@pytest.mark.skipif(not SHAKESPEARE.exists(), reason=f"no {SHAKESPEARE}: set LUTHIER_DATA")
def test_tiny_shakespeare_as_nanogpt_has_it() -> None:
    found = prepared(path=SHAKESPEARE, context=64)
    text = (SHAKESPEARE / "input.txt").read_text()
    assert decided(found)["data.tokenizer"] == {"kind": "characters"}
    assert found.tokenizer.size == 65 + 2, "characters, and tokens for the end and the unknown"
    assert found.validation is not None
    assert counted_bytes(found.validation) == len(text) - int(0.9 * len(text)) == 111_540
    samples = found.validation.read(np.array([0]), 0)
    assert found.tokenizer.decode(samples.tokens_BS[0].numpy()) == text[1_003_854:][:64]


@pytest.mark.real_data
@pytest.mark.skipif(not POEMS.exists(), reason=f"no {POEMS}: set LUTHIER_DATA")
def test_poems_as_their_archive_lies() -> None:
    found = prepared(
        path=POEMS, column="paragraphs", tokenizer={"kind": "characters"}, context=256, limit=1000
    )
    assert "1,000 texts" in found.recognised
    assert isinstance(found.train, RowExamples)
    assert found.train.fill > 0.95
    texts = "\n".join(texts_of(found, found.train))
    assert "秦川雄帝宅，函谷壯皇居。\n綺殿千尋起，離宮百雉餘。" in texts
