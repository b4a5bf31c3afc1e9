"""From sounds to splits that are ready to be read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from luthier.data.collection import Rows, Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored
from luthier.data.readers.whole import read_whole
from luthier.data.sound.form import SoundForm, figures
from luthier.data.sound.ngram import Ngram
from luthier.data.sound.numbered import Numbered, groups_of, numbered
from luthier.data.sound.sound_examples import Said, SoundExamples, Writer
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.sound.spoken import as_spoken
from luthier.data.sound.waves import Stretches, cached_frames, cached_waves, looks
from luthier.data.split import make_splits
from luthier.data.target import Labels, Transcripts, Written
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import DataError
from luthier.spec import Decision, plain

NOUN = Noun(one="sound", many="sounds", unit="sounds")
LOOKED_AT = 200
"""Sounds whose sampling rates decide that of all."""
HIGHEST_AUTO_RATE = 16_000


@dataclass(frozen=True, kw_only=True)
class PreparedSounds(Prepared):
    """Sounds that are ready to be trained on."""

    train: SoundExamples
    validation: SoundExamples | None
    test: SoundExamples | None
    target: Labels | Transcripts | Written
    form: SoundForm

    def heard_by(self, inputs: SoundInputs) -> PreparedSounds:
        """The same sounds as a finished model hears and writes them.

        Args:
            inputs: Of the model, whose rate and features are those of the sounds.
        """

        def heard(examples: SoundExamples) -> SoundExamples:
            return examples.heard_by(inputs.form, inputs.writer)

        return replace(
            self,
            train=heard(self.train),
            validation=None if self.validation is None else heard(self.validation),
            test=None if self.test is None else heard(self.test),
            form=inputs.form,
            inputs=inputs,
        )


def prepare_sounds(
    spec: SoundsSpec,
    purpose: Purpose,
    *,
    seed: int,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> PreparedSounds:
    """Reads, checks, decodes, splits and measures.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it.
        seed: Of the augmentation.
        progress: Told what is being done, and how far it is.
        cache: Where decoded sounds are kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it has no labels that the task could learn.
        StorageError: If the cache cannot be written.
    """
    faults = Faults(spec.on_error, one="sound")
    given = numbered(spec, purpose, faults)
    heard = _heard(spec, given, faults, progress, cache)
    given = heard.given
    splits, split_decisions = _splits(spec, given, heard.waves)
    form = _normalised(heard.form, heard.frames, splits["train"])
    said, writer, said_decisions = _said(spec, purpose, given, splits, form)
    examples = {
        name: SoundExamples(
            split=name,
            rows=rows,
            names=[given.rows[row].name for row in rows],
            labels=given.labels[rows],
            waves=heard.waves,
            frames=heard.frames,
            form=form,
            said=said.get(name),
        )
        for name, rows in splits.items()
    }
    train = examples["train"].augmented(spec.augment, seed)
    target, unfilled = _target(spec, given, train, writer)
    return PreparedSounds(
        train=train,
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=target,
        signal=train.signal,
        inputs=SoundInputs(form, writer),
        decisions=(*heard.decisions, *given.decisions, *split_decisions, *said_decisions),
        fingerprint=_fingerprint(given, splits, heard.waves, form, writer),
        recognised=given.recognised,
        skipped=(*faults.found, *unfilled),
        noun=NOUN,
        form=form,
    )


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """Sounds, decoded."""

    given: Numbered
    """Without those that could not be."""
    waves: Stretches
    frames: Stretches
    form: SoundForm
    decisions: tuple[Decision, ...]


def _heard(
    spec: SoundsSpec,
    given: Numbered,
    faults: Faults,
    progress: Progress | None,
    cache: Path | None,
) -> _Heard:
    rate, decisions = _rate(spec, given)
    waves, key = cached_waves(given.rows, rate, spec.longest_seconds, progress, cache)
    for row, reason in waves.faults:
        faults.add(given.rows[row].name, reason)
    faults.settle()
    form = SoundForm(
        rate=rate, features=spec.features, normalize="none", fill_seconds=spec.fill_seconds
    )
    frames = cached_frames(waves, key, form, progress, cache)
    if frames.faults:
        raise DataError(frames.faults[0][1])  # a setting that suits no sound
    good = waves.lengths > 0
    splits = {name: rows[good[rows]] for name, rows in given.splits.items()}
    for name, rows in splits.items():
        if not len(rows):
            raise DataError(f"{given.recognised}: no usable sound is left for {name}")
    seconds = float(waves.lengths.max()) / rate
    form = form.model_copy(update={"normalize": spec.normalize, "seconds": round(seconds, 3)})
    return _Heard(
        given=replace(given, splits=splits),
        waves=waves,
        frames=frames,
        form=form,
        decisions=decisions,
    )


def usual_rate(spec: SoundsSpec, purpose: Purpose) -> int:
    """The sampling rate that sounds get.

    Raises:
        DataError: If there are no sounds.
    """
    return _rate(spec, numbered(spec, purpose, Faults("skip", one="sound")))[0]


def _rate(spec: SoundsSpec, given: Numbered) -> tuple[int, tuple[Decision, ...]]:
    if spec.sample_rate != "auto":
        return spec.sample_rate, ()
    step = -(-len(given.rows) // LOOKED_AT)
    rates = Counter(look.rate for look in looks(given.rows[::step]))
    if not rates:
        return HIGHEST_AUTO_RATE, ()  # none can be read, which is told when they are decoded
    usual = max(rates, key=lambda rate: (rates[rate], rate))
    rate = min(usual, HIGHEST_AUTO_RATE)
    told = f"{rates[usual]:,} of {rates.total():,} sounds that were looked at have {usual:,}"
    if rate < usual:
        told += f"; no more than {HIGHEST_AUTO_RATE:,} without being asked"
    return rate, (Decision(place="data.sample_rate", value=rate, reason=told),)


def _splits(
    spec: SoundsSpec, given: Numbered, waves: Stretches
) -> tuple[dict[Split, Rows], tuple[Decision, ...]]:
    """The given splits and those that are made, as row numbers."""
    if spec.join is not None:
        return dict(given.splits), ()  # they were made before sounds were joined
    train = given.splits["train"]
    made, decisions = make_splits(
        spec.split,
        {name: len(rows) for name, rows in given.splits.items()},
        given.labels[train],
        lambda: groups_of([waves.digests[row] for row in train]),
        "sounds",
    )
    return {**given.splits, **{name: train[rows] for name, rows in made.items()}}, decisions


def _normalised(form: SoundForm, frames: Stretches, train: Rows) -> SoundForm:
    """The form with what it normalises by."""
    if form.normalize != "train":
        return form
    spans = [(int(frames.offsets[row]), int(frames.offsets[row + 1])) for row in train]
    return form.model_copy(update=figures(frames.values, spans))


def _said(
    spec: SoundsSpec,
    purpose: Purpose,
    given: Numbered,
    splits: Mapping[Split, Rows],
    form: SoundForm,
) -> tuple[dict[Split, Said], Writer | None, tuple[Decision, ...]]:
    """What is said in each split, as text and as tokens; nothing where nobody asks."""
    if purpose.learns != "transcripts":
        return {}, None, ()
    texts = {name: [given.rows[row].text or "" for row in rows] for name, rows in splits.items()}
    wanted = spec.tokenizer
    decisions: tuple[Decision, ...] = ()
    if wanted == "auto":
        wanted = CharactersSpec()
        reason = "each letter is a token; give {kind: bpe, vocab: …} for pieces of words"
        decisions = (Decision(place="data.tokenizer", value=plain(wanted), reason=reason),)
    spaced = "end" in purpose.specials
    learned = [f" {text}" for text in texts["train"]] if spaced else texts["train"]
    tokenizer = train_tokenizer(wanted, learned, specials=purpose.specials)
    language = None
    if purpose.language is not None:
        path = purpose.language.path
        counted = tokenizer.encode(texts["train"] if path is None else _lines(path, spec))
        tokens = (piece.tokens.tolist() for piece in counted)
        language = Ngram.of(tokens, purpose.language.order, tokenizer.size)
    writer = Writer(
        tokenizer=tokenizer,
        language=language,
        hop_seconds=form.features.hop_seconds,
        spaced=spaced,
    )
    said = {name: Said.of(texts[name], writer) for name in splits}
    return said, writer, decisions


def _lines(path: str, spec: SoundsSpec) -> list[str]:
    """The texts of a file, one a line, written as what is said in the sounds."""
    text, problem = read_whole(Stored.at(existing(path, "a file with one text a line")))
    if problem:
        raise DataError(f"{path}: {problem}")
    lines = [as_spoken(line) if spec.spoken else line.strip() for line in text.split("\n")]
    return [line for line in lines if line]


def _target(
    spec: SoundsSpec, given: Numbered, train: SoundExamples, writer: Writer | None
) -> tuple[Labels | Transcripts | Written, list[tuple[str, str]]]:
    """What the data says of each sound; and classes that cannot be learned."""
    if writer is not None and writer.spaced:
        assert train.said is not None
        end = writer.tokenizer.special("end")
        assert end is not None, "asked for"
        # Twice as long as the longest text: what is said in other sounds may be longer.
        context = 2 * max(map(len, train.said.tokens)) + 2
        written = Written(vocab=writer.tokenizer.size, context=context, end=end, opening=end)
        return written, []
    if writer is not None:
        return Transcripts(vocab=writer.tokenizer.size), []
    counts = np.bincount(train.labels, minlength=len(given.classes))
    target = Labels(names=given.classes, counts=tuple(counts.tolist()))
    return target, _unfilled(spec, given.classes, counts)


def _unfilled(spec: SoundsSpec, classes: Sequence[str], counts: Rows) -> list[tuple[str, str]]:
    """The classes that cannot be learned."""
    faults = Faults(spec.on_error, one="class")
    limited = f" (data.limit is {spec.limit})" if spec.limit is not None else ""
    for number in np.flatnonzero(counts == 0):
        faults.add(f'class "{classes[int(number)]}"', f"has no training sound{limited}")
    faults.settle()
    return faults.found


def _fingerprint(
    given: Numbered,
    splits: Mapping[Split, Rows],
    waves: Stretches,
    form: SoundForm,
    writer: Writer | None,
) -> str:
    """Of every sample, label, text, name of a class and split, of the features and the tokens."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\0".join(given.classes).encode())
    digest.update(form.model_dump_json().encode())
    if writer is not None:
        digest.update(writer.tokenizer.fingerprint.encode())
    for name in sorted(splits):
        digest.update(f"\0{name}".encode())
        for row in splits[name]:
            fields = (waves.digests[row], int(given.labels[row]), given.rows[row].text)
            digest.update(repr(fields).encode())
    return digest.hexdigest()
