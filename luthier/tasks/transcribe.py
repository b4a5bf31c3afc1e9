"""Transcribe: what is said in a sound, by CTC; by attention it is `dictation.py`.

Dimension key, for the whole file:
    N  sounds      P  frames of all sounds, as the network gives them      L  of the longest
    V  tokens and the blank      S  frames that are read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.data.purpose import Purpose
from luthier.data.sound.ngram import Ngram
from luthier.data.sound.sound_examples import SoundSamples, Writer
from luthier.data.target import Target, Transcripts, Written
from luthier.metrics.edits import counted_edits, error_counts, error_metrics, worst_texts
from luthier.metrics.interval import Metric
from luthier.model.block import BlockSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.ctc import BeamSpec, DecoderSpec, GreedySpec, LogP, beam, ctc_nats, greedy
from luthier.tasks.dictation import Dictation
from luthier.tasks.forward import finished, in_float32, must_be_sequence
from luthier.tasks.listening import fitting, log_p_of
from luthier.tasks.sounds import Sounds, hear
from luthier.tasks.task import Columns, Loss

WORST = 24
"""Texts that details show word by word."""


class TranscribeSpec(Spec):
    """What is said in a sound."""

    kind: Literal["transcribe"] = "transcribe"
    by: Literal["ctc", "attention"] = "ctc"
    """ctc, connectionist temporal classification: at each frame a score for each token, and for
    none. attention: a decoder writes the text token by token, as in Whisper; it takes a network
    with an encoder and a decoder."""
    decoder: DecoderSpec = Field(default_factory=GreedySpec)
    """How the scores of CTC become a text: `{kind: greedy}`, or `{kind: beam, width: 16,
    language: {kind: ngram, order: 5}}`."""
    beams: int = Field(default=1, ge=1, le=64)
    """By attention, texts that are written side by side where one is searched for: the best one
    counts. 1 takes the likeliest token each time."""

    @model_validator(mode="after")
    def _used(self) -> Self:
        unused, of = ("beams", "attention") if self.by == "ctc" else ("decoder", "ctc")
        if unused in self.model_fields_set and getattr(self, unused) != _USUAL[unused]:
            raise ValueError(f"{unused}: belongs to by: {of}; leave it out")
        return self

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        if self.by == "attention":
            return Purpose(learns="transcripts", specials=("end",))
        language = self.decoder.language if isinstance(self.decoder, BeamSpec) else None
        return Purpose(learns="transcripts", language=language)

    def head(self, signal: Signal, target: Target) -> tuple[BlockSpec, ...]:
        """A score for each token; of CTC for the blank too.

        Raises:
            ShapeError: If it is no sequence.
        """
        must_be_sequence("transcribe", signal)
        if isinstance(target, Written):
            return (UnembedSpec(vocab=target.vocab),)
        assert isinstance(target, Transcripts)
        return (DenseSpec(width=target.vocab + 1),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample: of any length."""
        if isinstance(target, Written):
            return Signal("sequence", (target.context, target.vocab))
        assert isinstance(target, Transcripts)
        return Signal("sequence", (0, target.vocab + 1))

    def build(self, target: Target) -> Transcribe | Dictation:
        """The task for the tokens of `target`."""
        if isinstance(target, Written):
            return Dictation(self.beams, target)
        assert isinstance(target, Transcripts)
        return Transcribe(self, target)


_USUAL = {"beams": 1, "decoder": GreedySpec()}
"""A setting that says what is usual is no contradiction: finished models have all of them."""


@dataclass(frozen=True)
class TranscribeBatch:
    """Sounds, and what is said in them."""

    inputs: Sounds
    tokens: Sequence[NDArray[np.int32]] | None
    """Of each; none where it is not known."""
    texts: Sequence[str]
    writer: Writer
    """What makes texts of tokens."""
    ids: Tensor
    """`(N,)` row numbers."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.inputs)

    def to(self, device: torch.device) -> TranscribeBatch:
        """The same batch on `device`; what only people read stays."""
        return TranscribeBatch(
            self.inputs.to(device), self.tokens, self.texts, self.writer, self.ids
        )


class Transcribe:
    """`-ln p(text | sound)`, over all ways in which the tokens may lie in time.

    The loss is a sum over texts, its count the tokens of all of them. A text that does not fit
    into its frames has no loss and no count; `check` names such sounds.

    Args:
        spec: The settings.
        target: The tokens.
    """

    headline = "word_error"
    higher_is_better = False

    def __init__(self, spec: TranscribeSpec, target: Transcripts) -> None:
        self.spec = spec
        self.target = target

    def collate(self, samples: SoundSamples) -> TranscribeBatch:
        """Samples as a batch."""
        assert samples.writer is not None, "sounds without a tokenizer"
        return TranscribeBatch(
            Sounds.of(samples), samples.tokens, samples.texts, samples.writer, samples.ids
        )

    def loss(self, network: nn.Module, batch: TranscribeBatch) -> Loss:
        """One forward pass and its loss."""
        nats_N, fits, stream, _ = self._nats(network, batch)
        assert batch.tokens is not None
        count = sum(len(text) for text, fit in zip(batch.tokens, fits, strict=True) if fit)
        loss = nats_N.sum()
        frames = len(batch.inputs.frames_SM)
        share = 1 / frames if not count else count / frames
        return finished(loss, loss.new_full((), count), stream, share)

    def judge(self, network: nn.Module, batch: TranscribeBatch) -> Columns:
        """What the network says of each sound.

        `id`, `loss` (nats a token, 0 of what does not fit), `targets` (tokens, 0 of what does not
        fit), `right` and `said` (the texts), and the counts of `metrics/edits.py`.
        """
        nats_N, fits, _, rows = self._nats(network, batch)
        assert batch.tokens is not None, "an evaluation of sounds whose texts are not known"
        lengths = np.array([len(text) for text in batch.tokens]) * np.array(fits)
        said = [self._text(log_p, batch.writer) for log_p in rows]
        return {
            "id": batch.ids.numpy(),
            "loss": nats_N.detach().cpu().double().numpy() / np.maximum(lengths, 1),
            "targets": lengths,
            "right": np.array(batch.texts, dtype=np.str_),
            "said": np.array(said, dtype=np.str_),
            **counted_edits(batch.texts, said),
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`word_error`, `character_error` and `exact`."""
        return error_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """`errors`, counted by kind, and `worst`, the texts with most of them, word by word."""
        return {"errors": error_counts(columns), "worst": worst_texts(columns, WORST)}

    def predict(self, network: nn.Module, batch: TranscribeBatch, top: int) -> list[dict[str, Any]]:
        """`text`, what is said in each sound, and `seconds`, its length.

        There is one answer for each sound: `top` changes nothing. A sound that is much longer than
        those that were learned from is read in windows that overlap.
        """
        found = []
        for frames_SM in torch.split(batch.inputs.frames_SM, list(batch.inputs.lengths)):
            log_p = log_p_of(network, frames_SM)
            seconds = round(len(frames_SM) * batch.writer.hop_seconds, 2)
            found.append({"text": self._text(log_p, batch.writer), "seconds": seconds})
        return found

    def _text(self, log_p: LogP, writer: Writer) -> str:
        decoder = self.spec.decoder
        match decoder:
            case GreedySpec():
                tokens = greedy(log_p)
            case BeamSpec():
                language = writer.language
                assert language is None or isinstance(language, Ngram)
                tokens = beam(log_p, decoder, language)
        return " ".join(writer.tokenizer.decode(tokens).split())

    def _nats(
        self, network: nn.Module, batch: TranscribeBatch
    ) -> tuple[Tensor, list[bool], Stream, list[LogP]]:
        """Of each text its nats and whether it fits; the stream, and what is said at each frame."""
        y, stream, layout = hear(network, batch.inputs)
        y_NLV = layout.to(y.device).documents_apart(in_float32(y))
        log_p_NLV = y_NLV.log_softmax(-1)
        assert batch.tokens is not None, "texts are not known"
        fits = fitting(layout.lengths, batch.tokens)
        nats_N = ctc_nats(log_p_NLV, layout.lengths, batch.tokens)
        nats_N = torch.where(torch.tensor(fits, device=y.device), nats_N, 0.0)
        rows = [
            row[:length].detach().cpu().double().numpy()
            for row, length in zip(log_p_NLV, layout.lengths, strict=True)
        ]
        return nats_N, fits, stream, rows
