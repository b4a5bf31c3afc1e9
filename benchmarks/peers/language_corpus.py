"""Makes the token files that all language benchmarks read: once, from real text.

    python language_corpus.py --data DIRECTORY --cache DIRECTORY

Reads English Wikipedia articles, Shakespeare's plays and SST-2's sentences. The first 90 % of
the characters of each of the two corpora are for training, the rest for validation; tokenizers
learn from the training part alone. What is written, `language_data` reads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import language_data
import language_sizes
import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TRAIN_SHARE = 0.9
END = "<|endoftext|>"
WIKI = "language_modelling/wiki_demo/wiki_demo.txt"
PLAYS = "language_modelling/tinyshakespeare/input.txt"
SST2 = "text_classification/sst2/stsa.binary.train"
_MADE_BY = 2
"""Raised when this script writes something else than before."""


@dataclass(frozen=True)
class Sources:
    """The text of the three files; the corpora by what one document is."""

    articles: tuple[list[str], list[str]]
    """For training, and for validation."""
    speeches: tuple[list[str], list[str]]
    sentences: list[tuple[int, str]]
    """With their labels."""


def main() -> None:
    """Writes what is missing, and says where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    stamp = given.cache / "made_from.json"
    fingerprint = {
        "made_by": _MADE_BY,
        **{name: _digest(given.data / name) for name in (WIKI, PLAYS, SST2)},
    }
    if not stamp.exists() or json.loads(stamp.read_text()) != fingerprint:
        sources = read(given.data)
        for size in language_sizes.GPTS.values():
            write_streams(sources, size.vocab, given.cache)
        write_speeches(sources, language_sizes.GPTS["5m"], given.cache)
        write_excerpts(sources, given.cache)
        write_sentences(sources, given.cache)
        # Last, so that what was cut short is made anew.
        stamp.write_text(json.dumps(fingerprint, indent=2) + "\n")
    print(json.dumps({"cache": str(given.cache)}))


def read(data: Path) -> Sources:
    """The sources below the data directory."""
    articles, speeches = (
        _parts((data / name).read_text(encoding="utf-8"), between)
        for name, between in ((WIKI, "\n"), (PLAYS, "\n\n"))
    )
    lines = (data / SST2).read_text(encoding="utf-8").splitlines()
    sentences = [(int(label), text) for label, _, text in (line.partition(" ") for line in lines)]
    return Sources(articles, speeches, sentences)


def write_streams(sources: Sources, vocab: int, cache: Path) -> None:
    """A byte-level BPE, and both corpora in its tokens, each document with its end."""
    folder = language_data.bpe_folder(cache, vocab)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _bpe([*sources.articles[0], *sources.speeches[0]], vocab)
    tokenizer.save(str(folder / "tokenizer.json"))
    for split, name in enumerate(("train", "validation")):
        articles = _ended(tokenizer, sources.articles[split])
        # The plays stay whole, their speeches divided by blank lines.
        plays = _ended(tokenizer, ["\n\n".join(sources.speeches[split])])
        language_data.write_stream(np.concatenate([*articles, *plays]), folder / f"{name}.bin")


def write_speeches(sources: Sources, size: language_sizes.Gpt, cache: Path) -> None:
    """The plays' speeches as documents of their own length, none longer than the context."""
    folder = language_data.bpe_folder(cache, size.vocab)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [row[: size.context] for row in _ended(tokenizer, sources.speeches[0])]
    language_data.write_texts(*_shuffled(rows, [0] * len(rows)), folder / "speeches.npz")


def write_excerpts(sources: Sources, cache: Path) -> None:
    """Rows of the LSTM's length, to tell articles from plays."""
    size = language_sizes.LSTM
    folder = language_data.bpe_folder(cache, size.vocab)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for split, name in enumerate(("train", "validation")):
        rows, labels = _excerpts(tokenizer, sources, split, size.length)
        language_data.write_texts(rows, labels, folder / f"excerpts_{name}.npz")


def write_sentences(sources: Sources, cache: Path) -> None:
    """A WordPiece; SST-2's sentences at their lengths, and excerpts of BERT's equal length."""
    folder = language_data.wordpiece_folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    sentences = [text for _, text in sources.sentences]
    corpus = [*sources.articles[0], *sources.speeches[0], *sentences]
    tokenizer = _wordpiece(corpus, language_sizes.BERT.vocab)
    tokenizer.save(str(folder / "tokenizer.json"))
    first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    inside = language_sizes.BERT_LENGTH - 2
    plain = [np.array(one.ids, np.uint16) for one in tokenizer.encode_batch(sentences)]
    cut = [_framed(row[:inside], first, last) for row in plain]
    labels = [label for label, _ in sources.sentences]
    language_data.write_texts(*_shuffled(cut, labels), folder / "real.npz")
    rows, labels = _excerpts(tokenizer, sources, 0, inside)
    framed = [_framed(row, first, last) for row in rows]
    language_data.write_texts(framed, labels, folder / "equal.npz")


def _parts(text: str, between: str) -> tuple[list[str], list[str]]:
    at = int(len(text) * TRAIN_SHARE)
    train, validation = (
        [document for document in part.split(between) if document.strip()]
        for part in (text[:at], text[at:])
    )
    return train, validation


def _bpe(texts: Sequence[str], vocab: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(texts: Sequence[str], vocab: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab,
        # Padding is 0, as BERT has it.
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _ended(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    end = tokenizer.token_to_id(END)
    return [np.array([*one.ids, end], np.uint16) for one in tokenizer.encode_batch(texts)]


def _excerpts(
    tokenizer: Tokenizer, sources: Sources, split: int, length: int
) -> tuple[list[np.ndarray], list[int]]:
    rows: list[np.ndarray] = []
    labels: list[int] = []
    for label, (documents, between) in enumerate(
        ((sources.articles[split], "\n"), (sources.speeches[split], "\n\n"))
    ):
        tokens = np.array(tokenizer.encode(between.join(documents)).ids, np.uint16)
        whole = len(tokens) // length
        rows.extend(tokens[: whole * length].reshape(whole, length))
        labels.extend([label] * whole)
    return _shuffled(rows, labels)


def _shuffled(rows: list[np.ndarray], labels: list[int]) -> tuple[list[np.ndarray], list[int]]:
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[at] for at in order], [labels[at] for at in order]


def _framed(row: np.ndarray, first: int, last: int) -> np.ndarray:
    return np.concatenate([[first], row, [last]]).astype(np.uint16)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
