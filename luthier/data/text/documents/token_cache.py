"""Documents as tokens, kept on disk: prepared once, then mapped into memory.

An entry is a folder named by a fingerprint of the files and of the settings that the tokens depend
on, with the tokenizer, `index.json`, and for each part of a mixture and each split its tokens
(16 or 32 bits each), their bytes (16 bits) and where documents begin. What looks torn is made
anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.collection import SPLITS, Split
from luthier.data.entry import make_entry, settle
from luthier.data.faults import Faults
from luthier.data.finding import Finding
from luthier.data.text.rows.stream import TokenStream, read_stream
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError
from luthier.spec import Decision

VERSION = 1
"""Raise it when the same files and settings give other tokens, or the entry's form changes."""
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class TokenizedPart:
    """One source as tokens."""

    streams: Mapping[Split, TokenStream]
    recognised: str
    """What it is, in one sentence."""
    decisions: tuple[Decision, ...]
    """What was left to the reader."""
    skipped: tuple[tuple[str, str], ...]
    """Texts that were left out, with the reason."""
    digest: str
    """Changes when a text or a split does."""
    findings: tuple[Finding, ...]
    """What a person should know of the texts."""


@dataclass(frozen=True)
class Tokenized:
    """All sources as tokens, and what made them."""

    tokenizer: Tokenizer
    decisions: tuple[Decision, ...]
    """What was left to luthier about the tokenizer."""
    parts: tuple[TokenizedPart, ...]


@dataclass(frozen=True)
class PartIndex:
    """What an entry says of a source beside its tokens."""

    splits: tuple[Split, ...]
    recognised: str
    decisions: tuple[Decision, ...]
    skipped: tuple[tuple[str, str], ...]
    digest: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class EntryIndex:
    """What an entry says of all sources."""

    decisions: tuple[Decision, ...]
    parts: tuple[PartIndex, ...]


def tokenized(
    home: Path,
    key: Any,
    faults: Sequence[Faults],
    write: Callable[[Path], None],
    *,
    words: bool,
) -> Tokenized:
    """What was prepared before, or is prepared now.

    Args:
        home: The folder with all entries.
        key: What the tokens depend on, JSON-ready.
        faults: Of each source: whether texts may be left out.
        write: Fills the folder of an entry.
        words: Whether it is kept which tokens go on with a word.

    Raises:
        DataError: If texts cannot be used.
        StorageError: If the cache cannot be written.
    """
    text = json.dumps([VERSION, key], sort_keys=True)
    entry = home / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    found = _read(entry, words=words)
    if found is None:
        make_entry(entry, write, "texts as tokens")
        found = _read(entry, words=words)
        assert found is not None, f"{entry} was just written"
        return found
    for part, own in zip(found.parts, faults, strict=True):
        own.found.extend(part.skipped)  # the entry may be of a run that left them out
        own.settle()
    return found


def write_index(folder: Path, tokenizer: Tokenizer, index: EntryIndex) -> None:
    """What stands beside the tokens of an entry."""
    data = {
        "decisions": _listed(index.decisions),
        "parts": [
            {
                "splits": list(part.splits),
                "recognised": part.recognised,
                "decisions": _listed(part.decisions),
                "skipped": part.skipped,
                "digest": part.digest,
                "findings": [[each.severity, each.message] for each in part.findings],
            }
            for part in index.parts
        ],
    }
    for name, text in ((TOKENIZER, tokenizer.to_json()), ("index.json", json.dumps(data))):
        with (folder / name).open("w", encoding="utf-8") as file:
            file.write(text)
            settle(file)


def stream_name(part: int, split: Split) -> str:
    """What the files of a split of a source begin with."""
    return f"{part}-{split}"


def _listed(decisions: Sequence[Decision]) -> list[list[Any]]:
    return [[decision.place, decision.value, decision.reason] for decision in decisions]


def _decisions(listed: Sequence[Sequence[Any]]) -> tuple[Decision, ...]:
    return tuple(Decision(place=place, value=value, reason=why) for place, value, why in listed)


def _read(entry: Path, *, words: bool) -> Tokenized | None:
    """The entry; none if there is none, or it is torn."""
    try:
        index = json.loads((entry / "index.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_json((entry / TOKENIZER).read_text(encoding="utf-8"))
        parts = []
        for number, part in enumerate(index["parts"]):
            streams: dict[Split, TokenStream] = {}
            for split in SPLITS:
                if split not in part["splits"]:
                    continue
                name = stream_name(number, split)
                stream = read_stream(entry, name, tokenizer.size, words=words)
                if stream is None:
                    return None
                streams[split] = stream
            parts.append(
                TokenizedPart(
                    streams=streams,
                    recognised=part["recognised"],
                    decisions=_decisions(part["decisions"]),
                    skipped=tuple((name, reason) for name, reason in part["skipped"]),
                    digest=part["digest"],
                    findings=tuple(
                        Finding(severity=severity, message=message)
                        for severity, message in part["findings"]
                    ),
                )
            )
        return Tokenized(tokenizer, _decisions(index["decisions"]), tuple(parts))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, DataError):
        return None  # torn: it is made anew
