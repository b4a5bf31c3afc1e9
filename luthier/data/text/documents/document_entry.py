"""How an entry of the token cache is made: read, divided, a tokenizer learned, tokens written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.data.collection import SPLITS
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.purpose import Purpose
from luthier.data.readers.text import TextSpec
from luthier.data.text.documents.document_choices import choose_tokenizer
from luthier.data.text.documents.survey import Survey, Told, repeated, survey
from luthier.data.text.documents.token_cache import EntryIndex, PartIndex, stream_name, write_index
from luthier.data.text.documents.tokenizing import Tokenizing
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.stream import StreamWriter
from luthier.data.text.tokens.learned import LearnedSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer
from luthier.errors import DataError
from luthier.spec import Auto, Decision


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is to be prepared together, with one tokenizer."""

    specs: tuple[TextSpec, ...]
    weights: tuple[float, ...]
    """Of the text that the tokenizer learns from."""
    places: tuple[str, ...]
    """Where each source's settings stand in the recipe: `data`, `data.parts[0].data`."""
    tokenizer: TokenizerSpec | Auto
    known: Tokenizer | None
    """The tokenizer, where none is to be learned."""


def write_entry(
    folder: Path,
    sources: Sources,
    purpose: Purpose,
    faults: Sequence[Faults],
    progress: Progress | None,
) -> None:
    """Everything that an entry has.

    Args:
        folder: To be filled.
        sources: What to read.
        purpose: What for.
        faults: Of each source.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If texts cannot be used.
        SpecError: If the tokenizer cannot be made as its settings say.
    """
    surveys = _surveyed(folder, sources, faults, progress)
    tokenizer, decisions = _tokenizer(sources, purpose, surveys, progress)
    how = Tokenizing(tokenizer, Framing.of(purpose, tokenizer), purpose.words)
    total = sum(spans.size_bytes for each in surveys for spans in each.division.splits.values())
    done = 0
    parts = []
    for number, (each, own) in enumerate(zip(surveys, faults, strict=True)):
        splits = tuple(name for name in SPLITS if name in each.division.splits)
        for split in splits:
            spans = each.division.splits[split]
            name = stream_name(number, split)
            writer = StreamWriter(folder, name, tokenizer.size, words=purpose.words)
            how.write(each.spool, spans, writer, _told(progress, "making tokens", done, total))
            if not writer.close():
                raise DataError(
                    f"{each.recognised}: no text for {split} has a token: all are blank"
                )
            done += spans.size_bytes
        each.spool.path.unlink()
        place = sources.places[number]
        at_home = tuple(_at(place, decision) for decision in each.decisions)
        parts.append(
            PartIndex(
                splits=splits,
                recognised=each.recognised,
                decisions=at_home,
                skipped=tuple(own.found),
                digest=_digest(each),
                findings=tuple(repeated(each)),
            )
        )
    write_index(folder, tokenizer, EntryIndex(decisions, tuple(parts)))


def _surveyed(
    folder: Path, sources: Sources, faults: Sequence[Faults], progress: Progress | None
) -> list[Survey]:
    sizes = [spec.files().size_bytes for spec in sources.specs]
    surveys: list[Survey] = []
    for number, spec in enumerate(sources.specs):
        told = _told(progress, "reading texts", sum(sizes[:number]), sum(sizes))
        spool = folder / f"{number}-spool"
        surveys.append(survey(spec, spool, faults[number], sources.known, told))
    return surveys


def _tokenizer(
    sources: Sources, purpose: Purpose, surveys: Sequence[Survey], progress: Progress | None
) -> tuple[Tokenizer, tuple[Decision, ...]]:
    if sources.known is not None:
        return sources.known, ()
    size = sum(each.division.splits["train"].size_bytes for each in surveys)
    spec, decision = choose_tokenizer(
        sources.tokenizer, _texts(surveys, sources.weights, size), size, purpose
    )
    most = spec.train_bytes if isinstance(spec, LearnedSpec) else 0
    texts = _texts(surveys, sources.weights, min(size, most))
    trained = train_tokenizer(spec, texts, specials=purpose.specials, progress=progress)
    return trained, (decision,) if decision is not None else ()


def _texts(surveys: Sequence[Survey], weights: Sequence[float], most: int) -> Iterator[str]:
    """About `most` bytes of the training texts, those of each source in the share of its weight.

    Of a source that has more, parts that are spread over all of it; of one that has less, all of
    it several times.
    """
    for each, weight in zip(surveys, weights, strict=True):
        spans = each.division.splits["train"]
        passes = weight / sum(weights) * most / max(spans.size_bytes, 1)
        for number in range(math.ceil(passes)):
            share = min(passes - number, 1.0)
            kept = 0.0
            for chunk in each.spool.chunks(spans):
                kept += share
                if kept >= 1 - 1e-9:
                    kept -= 1
                    yield chunk.text


def _told(progress: Progress | None, what: str, before: int, total: int) -> Told:
    def told(done: int) -> None:
        if progress:
            progress(what, before + done, total)

    return told


def _at(place: str, decision: Decision) -> Decision:
    """The decision where its source's settings stand."""
    inside = decision.place.removeprefix("data.")
    return Decision(place=f"{place}.{inside}", value=decision.value, reason=decision.reason)


def _digest(each: Survey) -> str:
    """Of the content of all documents, and of the split that each is in."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(each.spool.keys.tobytes())
    digest.update(each.spool.stops.tobytes())
    for name in SPLITS:
        if name in each.division.splits:
            spans = each.division.splits[name]
            digest.update(name.encode())
            digest.update(spans.starts.tobytes() + spans.stops.tobytes())
    return digest.hexdigest()


def known_tokenizer(
    spec: TokenizerSpec | Auto, purpose: Purpose, *, tokens: str | None
) -> Tokenizer | None:
    """The tokenizer, where none is to be learned.

    Args:
        spec: What the recipe says.
        purpose: What special tokens are wanted for.
        tokens: A file of ready tokens, where there is one.

    Raises:
        DataError: If ready tokens have no tokenizer.
        SpecError: If a tokenizer's file cannot be used, or lacks a special token.
    """
    if spec != "auto" and not isinstance(spec, LearnedSpec):
        return train_tokenizer(spec, (), specials=purpose.specials)
    if tokens is not None:
        raise DataError(
            f"{tokens}: holds tokens; name the tokenizer that made them: "
            "data.tokenizer={kind: file, path: …/tokenizer.json}"
        )
    return None
