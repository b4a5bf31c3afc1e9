"""Dictation: what is said in a sound, written by a decoder that attends to it.

Dimension key, for the whole file:
    N  sounds      S  frames      M  values of a frame      D  width
    P  tokens of all texts, as they are read      T  those that are to be written      V  vocab
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.data.sound.sound_examples import SoundSamples, Writer
from luthier.data.sound.spoken import as_spoken
from luthier.data.target import Written
from luthier.errors import InputError
from luthier.metrics.edits import counted_edits, error_counts, error_metrics, worst_texts
from luthier.metrics.interval import Metric
from luthier.metrics.language import language_metrics
from luthier.model.blocks.unembed import Unembed
from luthier.model.blueprint import Network
from luthier.model.layout import Layout
from luthier.model.linear_cross_entropy import (
    Scoring,
    cross_entropy,
    linear_cross_entropy,
    linear_nats,
    nats_of,
)
from luthier.model.stream import Source, Stream
from luthier.tasks.beam import Search, beam_search
from luthier.tasks.forward import before_last, finished, forward, in_float32, last_of_head
from luthier.tasks.pair_batch import decoding
from luthier.tasks.sounds import Sounds
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import Texts

WORST = 24
"""Texts that details show word by word."""
WINDOWS_AT_ONCE = 8
"""Of a long sound."""


@dataclass(frozen=True, kw_only=True)
class DictationBatch:
    """Sounds, and what is said in them."""

    inputs: Sounds
    read: Texts | None
    """What the decoder reads: the opening, what is forced, the text; none where it is not known."""
    written_P: Tensor | None
    """bool, at which of these positions the next token is to be learned."""
    targets_T: Tensor | None
    """int64, the next token at each of those."""
    texts: Sequence[str]
    seconds: Sequence[float]
    writer: Writer
    ids: Tensor
    """`(N,)` row numbers."""

    @property
    def size(self) -> int:
        """N."""
        return len(self.inputs)

    def to(self, device: torch.device) -> DictationBatch:
        """The same batch on `device`; what only people read stays."""
        known = self.read is not None and self.written_P is not None and self.targets_T is not None
        if not known:
            return replace(self, inputs=self.inputs.to(device))
        assert self.read is not None
        assert self.written_P is not None
        assert self.targets_T is not None
        return replace(
            self,
            inputs=self.inputs.to(device),
            read=self.read.to(device),
            written_P=self.written_P.to(device),
            targets_T=self.targets_T.to(device),
        )


class Dictation:
    """Cross-entropy of each token of what is said, after those before it; measured by the words
    that are written.

    Words are compared as they are spoken: without case and marks.

    Args:
        beams: Texts that are written side by side; 1 takes the likeliest token each time.
        target: What texts begin with and end at.
        writes: Whether texts are written where it measures; else only its loss is.
    """

    higher_is_better = False

    def __init__(self, beams: int, target: Written, *, writes: bool = True) -> None:
        self.beams = beams
        self.target = target
        self.writes = writes

    @property
    def headline(self) -> str:
        """Of what is written; the loss, where nothing is."""
        return "word_error" if self.writes else "loss"

    def while_training(self) -> Dictation:
        """The same, which measures only the loss: a text takes a pass for each token."""
        return Dictation(self.beams, self.target, writes=False)

    def with_beams(self, beams: int) -> Dictation:
        """The same with other beams."""
        return Dictation(beams, self.target, writes=self.writes)

    def collate(self, samples: SoundSamples) -> DictationBatch:
        """Samples as a batch."""
        assert samples.writer is not None, "sounds without a tokenizer"
        read = written = targets = None
        if samples.tokens is not None:
            before = np.array([self.target.opening, *self.target.forced], dtype=np.int64)
            texts = [np.concatenate([before, text]) for text in samples.tokens]
            ends = [np.concatenate([text[len(before) :], [self.target.end]]) for text in texts]
            tokens = torch.from_numpy(np.concatenate(texts).astype(np.int64))
            read = Texts(tokens, None, tuple(map(len, texts)))
            forced = len(before) - 1
            learned = [np.arange(len(text)) >= forced for text in texts]
            written = torch.from_numpy(np.concatenate(learned))
            targets = torch.from_numpy(np.concatenate(ends).astype(np.int64))
        return DictationBatch(
            inputs=Sounds.of(samples),
            read=read,
            written_P=written,
            targets_T=targets,
            texts=samples.texts,
            seconds=samples.seconds,
            writer=samples.writer,
            ids=samples.ids,
        )

    def loss(self, network: nn.Module, batch: DictationBatch) -> Loss:
        """One forward pass over both sides, and its loss."""
        assert batch.targets_T is not None, "a loss of what is not known"
        source, stream = heard(_pair(network), batch.inputs)
        x_TD, last, stream = self._answered(_pair(network), batch, source, stream)
        if last is not None:
            scoring = Scoring(softcap=last.spec.softcap)
            loss, _ = linear_cross_entropy(x_TD, last.weight, last.added, batch.targets_T, scoring)
        else:
            loss, _ = cross_entropy(x_TD, batch.targets_T, Scoring())
        return finished(loss, loss.new_full((), len(batch.targets_T)), stream)

    def judge(self, network: nn.Module, batch: DictationBatch) -> Columns:
        """What the network says of each sound.

        `id`, `loss` (nats, the mean over the tokens), `targets` (tokens), `nats` (their sum) and
        `correct` (tokens that were the likeliest). Where texts are written, `right` and `said`,
        as they are spoken, and the counts of `metrics/edits.py`.
        """
        assert batch.targets_T is not None, "an evaluation of what is not known"
        assert batch.read is not None
        source, stream = heard(_pair(network), batch.inputs)
        x_TD, last, _ = self._answered(_pair(network), batch, source, stream)
        if last is not None:
            nats_T, right_T = linear_nats(
                x_TD, last.weight, last.added, batch.targets_T, last.spec.softcap
            )
        else:
            nats_T, right_T = nats_of(x_TD, batch.targets_T)
        lengths = np.array(batch.read.lengths) - len(self.target.forced)
        rows = np.repeat(np.arange(batch.size), lengths)
        nats = np.bincount(rows, nats_T.detach().cpu().double().numpy(), minlength=batch.size)
        correct = np.bincount(rows, right_T.cpu().numpy(), minlength=batch.size)
        columns: dict[str, np.ndarray] = {
            "id": batch.ids.numpy(),
            "loss": nats / lengths,
            "targets": lengths,
            "nats": nats,
            "correct": correct.astype(np.int64),
        }
        if self.writes:
            tokens = self.write(_pair(network), source)
            said = [as_spoken(batch.writer.tokenizer.decode(text)) for text in tokens]
            right = [as_spoken(text) for text in batch.texts]
            columns |= {
                "right": np.array(right, dtype=np.str_),
                "said": np.array(said, dtype=np.str_),
                **counted_edits(right, said),
            }
        return columns

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`word_error`, `character_error` and `exact`, where texts are written; `loss` in nats a
        token, `perplexity` and `accuracy` of tokens."""
        written = error_metrics(columns) if self.writes else {}
        return written | language_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """`errors`, counted by kind, and `worst`, the texts with most of them, word by word; and
        `beams`."""
        if not self.writes:
            return {}
        return {
            "errors": error_counts(columns),
            "worst": worst_texts(columns, WORST),
            "beams": self.beams,
        }

    def predict(self, network: nn.Module, batch: DictationBatch, top: int) -> list[dict[str, Any]]:
        """`text`, what is said in each sound, and `seconds`, its length.

        There is one answer for each sound: `top` changes nothing. A long sound comes in windows
        that are as long as what the network reads; their texts are put together.
        """
        pair, found = _pair(network), []
        sounds = torch.split(batch.inputs.frames_SM, list(batch.inputs.lengths))
        for frames_SM, seconds in zip(sounds, batch.seconds, strict=True):
            windows = torch.split(frames_SM, pair.reads.shape[0])
            texts = []
            for start in range(0, len(windows), WINDOWS_AT_ONCE):
                some = windows[start : start + WINDOWS_AT_ONCE]
                source, _ = heard(pair, Sounds(torch.cat(some), tuple(map(len, some))))
                texts += [batch.writer.tokenizer.decode(t) for t in self.write(pair, source)]
            text = " ".join(" ".join(texts).split())
            found.append({"text": text, "seconds": round(seconds, 2)})
        return found

    def write(self, network: Network, source: Source) -> list[list[int]]:
        """The tokens of what is said in each sound, without what is forced and the end.

        Args:
            network: In evaluation mode.
            source: What its encoder gave.
        """
        target = self.target
        search = Search(
            beams=self.beams,
            length_penalty=1.0,
            most=target.context - 1,
            opening=target.opening,
            end=target.end,
            forced=target.forced,
            suppressed=target.suppressed,
            suppressed_first=target.suppressed_first,
        )
        with torch.no_grad():
            found = beam_search(network, source, search)
        return [list(one[0].tokens[len(target.forced) :]) if one else [] for one in found]

    def _answered(
        self, network: Network, batch: DictationBatch, source: Source, stream: Stream
    ) -> tuple[Tensor, Unembed | None, Stream]:
        """What the last block reads where a token is to be written, `(T, D)`, and that block;
        without one to be spared, the scores `(T, V)`."""
        assert batch.read is not None
        assert batch.written_P is not None
        x, stream = decoding(batch.read, source, stream)
        last = last_of_head(network)
        if isinstance(last, Unembed):
            return before_last(network, x, stream).flatten(0, 1)[batch.written_P], last, stream
        y_PV = in_float32(forward(network, x, stream).flatten(0, 1))
        return y_PV[batch.written_P], None, stream


def heard(network: Network, sounds: Sounds) -> tuple[Source, Stream]:
    """What the encoder gives of the sounds, and the stream of its pass.

    Args:
        network: With an encoder.
        sounds: Of one length, as where they are filled up, each a row; else in a single row.
    """
    if len(set(sounds.lengths)) == 1:
        stream = Stream()
        x = sounds.frames_SM.view(len(sounds), sounds.lengths[0], -1)
        return Source(network.encode(x, stream), None), stream
    stream = Stream(layout=Layout.packed(sounds.lengths).to(sounds.device))
    y = network.encode(sounds.frames_SM[None], stream)
    return Source(y, stream.layout), stream


def too_long(tokens: Sequence[NDArray[np.int32]], target: Written) -> list[bool]:
    """Whether each text is longer than the decoder can write."""
    most = target.context - len(target.forced) - 1
    return [len(text) > most for text in tokens]


def _pair(network: nn.Module) -> Network:
    """The network, which has an encoder.

    Raises:
        InputError: If it has none.
    """
    if not isinstance(network, Network) or network.encoder is None:
        raise InputError(
            "model: to transcribe by attention takes a network with an encoder and a decoder; give "
            "model.encoder and model.decoder, or {kind: whisper, depth: 4}"
        )
    return network
