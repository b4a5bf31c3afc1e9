"""Texts as tokens: made, and where they are many, kept in the cache.

An entry is a folder named by a fingerprint of the texts and of the tokenizer's settings, with
`tokenizer.json` and for each split an archive of arrays. What looks torn is made anew.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from luthier.data.collection import Split
from luthier.data.decoding import Progress
from luthier.data.entry import cache_folder, make_entry, settle
from luthier.data.purpose import Special
from luthier.data.text.labelled.encoding import Raw, encode
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.labelled.labelled import LabelledTexts
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import FILE_NAME, TokenizerFileSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer
from luthier.errors import DataError

VERSION = 1
"""Raise it when the same texts and settings give other tokens, or the entry's form changes."""
KEPT_FROM_CHARACTERS = 2**22
"""Fewer are made anew in the time that it takes to look."""


@dataclass(frozen=True)
class TextTokens:
    """The texts of all splits, and what made tokens of them."""

    tokenizer: Tokenizer
    raw: dict[Split, Raw]


def tokens_of(
    texts: LabelledTexts,
    wanted: TokenizerSpec | Tokenizer,
    specials: Sequence[Special],
    *,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> TextTokens:
    """The tokens of all texts.

    Args:
        texts: What was read.
        wanted: A tokenizer; or how one is made, from the training texts alone.
        specials: What it needs a token for, if it is made.
        progress: Told what is being done, and how far it is.
        cache: Where tokens of many texts are kept; none means `cache_folder()`.

    Raises:
        DataError: If a text gives no tokens.
        StorageError: If the cache cannot be written.
    """
    if isinstance(wanted, TokenizerFileSpec):
        wanted = wanted.read(specials)
    rows = [row for part in texts.parts.values() for row in part]
    if sum(len(row.text) + len(row.second or "") for row in rows) < KEPT_FROM_CHARACTERS:
        found = _made(texts, wanted, specials, progress)
    else:
        home = (cache_folder() if cache is None else cache) / "texts"
        entry = home / _key(texts, wanted, specials)
        kept = _read(entry, list(texts.parts))
        if kept is None:
            made = _made(texts, wanted, specials, progress)
            make_entry(entry, lambda folder: _write(folder, made), "texts as tokens")
            kept = made
        found = kept
    for split, part in texts.parts.items():
        _some_tokens(part, found.raw[split])
    # What was kept of one that is known is its file, which does not say what a network has.
    return replace(found, tokenizer=wanted) if isinstance(wanted, Tokenizer) else found


def _made(
    texts: LabelledTexts,
    wanted: TokenizerSpec | Tokenizer,
    specials: Sequence[Special],
    progress: Progress | None,
) -> TextTokens:
    tokenizer = wanted
    if not isinstance(tokenizer, Tokenizer):
        train = _learned_from(texts.parts["train"])
        tokenizer = train_tokenizer(tokenizer, train, specials=specials, progress=progress)
    total = sum(map(len, texts.parts.values()))
    raw: dict[Split, Raw] = {}
    before = 0
    for split, rows in texts.parts.items():

        def told(done: int, before: int = before) -> None:
            if progress:
                progress("making tokens", before + done, total)

        raw[split] = encode(rows, tokenizer, told)
        before += len(rows)
    return TextTokens(tokenizer, raw)


def _learned_from(rows: Sequence[TextRow]) -> Iterator[str]:
    for row in rows:
        if row.words is not None:
            yield " ".join(row.words)
        else:
            yield row.text if row.second is None else f"{row.text}\n{row.second}"


def _some_tokens(rows: Sequence[TextRow], raw: Raw) -> None:
    for part in (raw.texts, raw.seconds):
        if part is not None and not part.lengths.all():
            row = rows[int(part.lengths.argmin())]
            text = row.text if part is raw.texts else row.second
            raise DataError(
                f"{row.name}: gives no tokens: {text!r:.60}; take another data.tokenizer"
            )


def _key(
    texts: LabelledTexts, wanted: TokenizerSpec | Tokenizer, specials: Sequence[Special]
) -> str:
    how: object = wanted.fingerprint if isinstance(wanted, Tokenizer) else wanted.model_dump()
    library = tokenizers.__version__
    settings = json.dumps([VERSION, library, how, list(specials)], sort_keys=True)
    digest = hashlib.blake2b(settings.encode(), digest_size=16)
    for split, rows in texts.parts.items():
        digest.update(f"\0{split} {len(rows)}".encode())
        for row in rows:
            digest.update(repr((row.text, row.second, row.words)).encode())
    return digest.hexdigest()


def _write(folder: Path, made: TextTokens) -> None:
    with (folder / FILE_NAME).open("w", encoding="utf-8") as text:
        text.write(made.tokenizer.to_json())
        settle(text)
    for split, raw in made.raw.items():
        arrays: dict[str, NDArray[Any]] = {
            "tokens": raw.texts.values,
            "offsets": raw.texts.offsets,
            "bytes": np.array(raw.text_bytes),
        }
        if raw.seconds is not None:
            arrays |= {"seconds": raw.seconds.values, "second_offsets": raw.seconds.offsets}
        if raw.words is not None:
            arrays["words"] = raw.words
        with (folder / f"{split}.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            settle(file)


def _read(entry: Path, splits: Sequence[Split]) -> TextTokens | None:
    """The entry; none if there is none, or it is torn."""
    try:
        tokenizer = Tokenizer.from_json((entry / FILE_NAME).read_text(encoding="utf-8"))
        raw: dict[Split, Raw] = {}
        for split in splits:
            with np.load(entry / f"{split}.npz", allow_pickle=False) as arrays:
                paired = "seconds" in arrays
                raw[split] = Raw(
                    texts=Ragged(arrays["tokens"], arrays["offsets"]),
                    seconds=Ragged(arrays["seconds"], arrays["second_offsets"]) if paired else None,
                    words=arrays.get("words"),
                    text_bytes=int(arrays["bytes"]),
                )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, DataError):
        return None  # torn: it is made anew
    return TextTokens(tokenizer, raw)
