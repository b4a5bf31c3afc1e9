"""Language: the tokens of documents, each from those before it or from those around it.

Dimension key, for the whole file:
    B  rows      T  positions      N  positions with a target      V  vocab      D  width
    M  positions that somebody asks about      K  the likeliest tokens
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.data.purpose import Purpose, Special
from luthier.data.target import Documents, Target
from luthier.data.text.rows.samples import RowSamples, TextSamples
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.metrics.interval import Metric
from luthier.metrics.language import language_metrics
from luthier.model.blocks.unembed import Unembed, UnembedSpec
from luthier.model.blueprint import Network
from luthier.model.linear_cross_entropy import (
    Scoring,
    cross_entropy,
    linear_cross_entropy,
    linear_nats,
    nats_of,
)
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.forward import (
    before_last,
    finished,
    forward,
    in_float32,
    last_of_head,
    must_be_sequence,
)
from luthier.tasks.masking import Masking, masked
from luthier.tasks.rows import RowBatch, batch_of, next_tokens
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import Texts, read

MASK_RATE = 0.15
"""BERT's."""
MASKED_SPECIALS: tuple[Special, ...] = ("pad", "first", "separator", "mask")
"""BERT's too: each document stands between the first token and a separator."""


class LanguageSpec(Spec):
    """The tokens of documents: the next one, or those that are hidden."""

    kind: Literal["language"] = "language"
    objective: Literal["next_token", "masked"] = "next_token"
    """next_token predicts each token from those before it, and can write; masked predicts hidden
    tokens from those around them, as BERT does, and is to be tuned on other tasks."""
    mask_rate: float | None = Field(default=None, gt=0, lt=1)
    """The share of tokens to predict where the objective is masked: 80 % of them are hidden, 10 %
    replaced by any token, 10 % left. None means 0.15."""
    whole_words: bool = False
    """Whether all tokens of a word are hidden together, where the objective is masked."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread over all tokens, in training."""
    z_loss: float = Field(default=0.0, ge=0, le=1)
    """Times the squared logarithm of the sum of exp(scores), added to the loss in training: keeps
    the scores from drifting away. PaLM has 1e-4; 0 for none."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.objective == "next_token":
            given = {"mask_rate": self.mask_rate, "whole_words": self.whole_words or None}
            for name, value in given.items():
                if value is not None:
                    raise ValueError(
                        f"{name}: got {value} where no token is masked; leave it out, or set "
                        "objective: masked"
                    )
        return self

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        if self.objective == "next_token":
            return Purpose(learns="documents", specials=("end",), ahead=1)
        return Purpose(learns="documents", specials=MASKED_SPECIALS, words=self.whole_words)

    def head(self, signal: Signal, target: Target) -> tuple[UnembedSpec, ...]:
        """The block that turns `signal`, the last layer's output, into a score for each token.

        Raises:
            ShapeError: If it is no sequence.
        """
        assert isinstance(target, Documents)
        must_be_sequence("language", signal)
        return (UnembedSpec(vocab=target.vocab),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Documents)
        return Signal("sequence", (reads.shape[0], target.vocab))

    def build(self, target: Target) -> Language:
        """The task for the vocabulary of `target`.

        Raises:
            InputError: If tokens shall be masked, and the tokenizer has no mask.
        """
        assert isinstance(target, Documents)
        if self.objective == "masked" and "mask" not in target.specials:
            raise InputError(
                "task.objective: got masked, but the tokenizer has no token for what is hidden; "
                "let it be trained anew for this task (data.tokenizer: auto)"
            )
        return Language(self, target)


@dataclass(frozen=True)
class AskedTexts:
    """Texts, and what made their tokens."""

    texts: Texts
    tokenizer: Tokenizer

    @property
    def size(self) -> int:
        """Texts."""
        return len(self.texts)

    def to(self, device: torch.device) -> AskedTexts:
        """The same on `device`."""
        return AskedTexts(self.texts.to(device), self.tokenizer)


LanguageBatch = RowBatch | AskedTexts


@dataclass(frozen=True)
class Answer:
    """What a network says where there is a target."""

    x_N: Tensor
    """`(N, D)`, what its last block reads; without one to be spared, `(N, V)` scores."""
    last: Unembed | None
    """The block that makes scores of it."""
    stream: Stream
    """Of the pass."""


def answered(network: nn.Module, batch: RowBatch) -> Answer:
    """One forward pass, up to where all scores would be there at once."""
    stream, last = Stream(layout=batch.layout), last_of_head(network)
    if isinstance(last, Unembed):
        assert isinstance(network, Network)
        x_ND = batch.chosen(before_last(network, batch.tokens_BT, stream))
        return Answer(x_ND, last, stream)
    y_NV = in_float32(batch.chosen(forward(network, batch.tokens_BT, stream)))
    return Answer(y_NV, None, stream)


class Language:
    """Cross-entropy of the softmax of a score for each token, in nats, over all targets.

    Where the network ends with an `Unembed` that the task added, its scores are never there all
    at once: see `linear_cross_entropy`. Only positions with a target are scored.

    Args:
        spec: The settings.
        target: The vocabulary.
    """

    headline = "loss"
    higher_is_better = False

    def __init__(self, spec: LanguageSpec, target: Documents) -> None:
        self.spec = spec
        self.target = target
        self.masking: Masking | None = None
        if spec.objective == "masked":
            self.masking = Masking(
                rate=spec.mask_rate or MASK_RATE,
                whole_words=spec.whole_words,
                mask=target.specials["mask"],
                specials=frozenset(target.specials.values()),
                vocab=target.vocab,
            )

    def collate(self, samples: RowSamples | TextSamples) -> LanguageBatch:
        """Rows to learn from as a batch; or texts that somebody asks about."""
        if isinstance(samples, TextSamples):
            assert samples.tokenizer is not None, "texts without what made their tokens"
            return AskedTexts(Texts.of(samples), samples.tokenizer)
        if self.masking is None:
            return next_tokens(samples)
        read_BT, chosen_BT = masked(samples, self.masking)
        return batch_of(samples, read_BT, samples.documents_BS, samples.tokens_BS, chosen_BT)

    def loss(self, network: nn.Module, batch: LanguageBatch) -> Loss:
        """One forward pass and its loss; `z_loss`, where there is one, is a part of it."""
        assert isinstance(batch, RowBatch), "a loss of texts that somebody asks about"
        return self.loss_of(answered(network, batch), batch)

    def loss_of(self, answer: Answer, batch: RowBatch) -> Loss:
        """The loss of a pass that was made."""
        smoothing, z_loss, last = self.spec.label_smoothing, self.spec.z_loss, answer.last
        if last is not None:
            scoring = Scoring(softcap=last.spec.softcap, label_smoothing=smoothing, z_loss=z_loss)
            loss, z = linear_cross_entropy(
                answer.x_N, last.weight, last.added, batch.targets_N, scoring
            )
        else:
            scoring = Scoring(label_smoothing=smoothing, z_loss=z_loss)
            loss, z = cross_entropy(answer.x_N, batch.targets_N, scoring)
        made = finished(loss, batch.count.to(loss.dtype), answer.stream, self._share)
        return Loss(made.sum, made.count, {**made.parts, "z_loss": z}) if z_loss else made

    def judge(self, network: nn.Module, batch: LanguageBatch) -> Columns:
        """How well each row was predicted.

        `id`, `loss` (nats, the mean over the row's targets, without smoothing), `targets`, `nats`
        (their sum), `correct` (targets that were the likeliest token) and, where the next token is
        predicted, `bytes` (of the text that the targets stand for).
        """
        assert isinstance(batch, RowBatch), "an evaluation of texts that somebody asks about"
        answer = answered(network, batch)
        if (last := answer.last) is not None:
            nats_N, right_N = linear_nats(
                answer.x_N, last.weight, last.added, batch.targets_N, last.spec.softcap
            )
        else:
            nats_N, right_N = nats_of(answer.x_N, batch.targets_N)
        rows, size = batch.rows_N.numpy(), batch.size
        targets = np.bincount(rows, minlength=size)
        nats = np.bincount(rows, nats_N.detach().cpu().double().numpy(), minlength=size)
        columns = {
            "id": batch.ids.numpy(),
            "loss": nats / np.maximum(targets, 1),
            "targets": targets,
            "nats": nats,
            "correct": np.bincount(rows, right_N.cpu().numpy(), minlength=size).astype(np.int64),
        }
        if self.masking is None:
            of_text = np.bincount(rows, batch.bytes_N.numpy(), minlength=size)
            columns["bytes"] = of_text.astype(np.int64)
        return columns

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`loss` in nats a token, `perplexity`, `bits_per_byte` (of the next token) and
        `accuracy`."""
        return language_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What was measured on: `rows`, `targets` and `bytes`."""
        found = {"rows": len(columns["id"]), "targets": int(columns["targets"].sum())}
        return found | ({"bytes": int(columns["bytes"].sum())} if "bytes" in columns else {})

    def predict(self, network: nn.Module, batch: LanguageBatch, top: int) -> list[dict[str, Any]]:
        """What each text may go on with, or what its masks may hide.

        Next token: `token`, `probability` and `top`, a list of both. Masked: `masks`, a list with
        the same for each mask of the text, in their order.

        Raises:
            InputError: If a text has no mask.
        """
        assert isinstance(batch, AskedTexts), "a prediction of rows to learn from"
        texts = self._begun(batch.texts, network)
        asked = self._asked(texts, batch.tokenizer)
        places_M = torch.tensor([place for places in asked for place in places])
        last = last_of_head(network)
        if last is None:
            y_MV = read(network, texts)[0].index_select(0, places_M.to(texts.device))
        else:
            x_SD, _ = read(network, texts, whole=False)
            y_MV = last(x_SD.index_select(0, places_M.to(texts.device))[None])[0]
        answers = iter(_likeliest(y_MV, top, batch.tokenizer))
        found = [[next(answers) for _ in places] for places in asked]
        if self.masking is None:
            return [answer for (answer,) in found]
        return [{"masks": masks} for masks in found]

    def _begun(self, texts: Texts, network: nn.Module) -> Texts:
        """The texts as documents begin, where what comes next is predicted.

        One that is longer than the context then loses its first token.
        """
        begins = self.target.begins
        if self.masking is not None or begins is None:
            return texts
        longest = network.reads.shape[0] if isinstance(network, Network) else None
        first = texts.tokens_S.new_tensor([begins])
        parts = [
            torch.cat([first, part])[-(longest or len(part) + 1) :]
            for part in torch.split(texts.tokens_S, list(texts.lengths))
        ]
        return replace(texts, tokens_S=torch.cat(parts), lengths=tuple(len(part) for part in parts))

    def _asked(self, texts: Texts, tokenizer: Tokenizer) -> list[list[int]]:
        """The places of each text that somebody asks about, among the tokens of all."""
        if self.masking is None:
            return [[start + length - 1] for start, length in _spans(texts)]
        is_mask = (texts.tokens_S == self.masking.mask).cpu().numpy()
        asked = [
            (start + np.flatnonzero(is_mask[start : start + length])).tolist()
            for start, length in _spans(texts)
        ]
        for number, places in enumerate(asked, 1):
            if not places:
                mask = tokenizer.token_text(self.masking.mask)
                raise InputError(
                    f"text {number} of those given has nothing to fill in; write {mask} in place "
                    "of a word"
                )
        return asked

    @property
    def _share(self) -> float:
        """Targets for a position."""
        return 1.0 if self.masking is None else self.masking.rate


def _spans(texts: Texts) -> list[tuple[int, int]]:
    return list(zip(texts.starts, texts.lengths, strict=True))


def _likeliest(y_MV: Tensor, top: int, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The likeliest tokens at each place, with their probabilities."""
    p_MK, token_MK = y_MV.detach().cpu().double().softmax(1).topk(min(top, y_MV.shape[1]), 1)
    answers = []
    for p_K, token_K in zip(p_MK.tolist(), token_MK.tolist(), strict=True):
        likeliest = [
            {"token": tokenizer.token_text(token), "probability": p}
            for token, p in zip(token_K, p_K, strict=True)
        ]
        answers.append({**likeliest[0], "top": likeliest})
    return answers
