"""Transcribe: parts of a batch, sounds one by one, long sounds in windows, what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_sounds import DESIGNS, LENGTHS, frames
from torch import Tensor

from luthier.data.sound.ngram import Ngram
from luthier.data.sound.sound_examples import SoundSamples, Writer
from luthier.data.target import Transcripts
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse
from luthier.tasks.listening import LONGER, left_out, lengths_behind, log_p_of
from luthier.tasks.transcribe import Transcribe, TranscribeSpec

TEXTS = ("ab", "a", "abba", "b", "ba", "aab")
TOKENIZER = train_tokenizer(CharactersSpec(), ["ab"], specials=[])
TARGET = Transcripts(vocab=TOKENIZER.size)


def network_of(design: str) -> Network:
    spec = parse(LayersSpec, {"layers": DESIGNS[design]})
    reads = Signal("sequence", (14, 6))
    network = build(spec, reads, lambda s: TranscribeSpec().head(s, TARGET))
    materialize(network, seed=1, spec=InitializeSpec(), dtype=torch.float64)
    return network.eval()


def samples(numbers: list[int]) -> SoundSamples:
    texts = [TEXTS[number] for number in numbers]
    return SoundSamples(
        frames=[frames(number) for number in numbers],
        labels=torch.full((len(numbers),), -1),
        ids=torch.tensor(numbers),
        tokens=[piece.tokens for piece in TOKENIZER.encode(texts)],
        texts=texts,
        writer=Writer(tokenizer=TOKENIZER, language=None, hop_seconds=0.01),
    )


def gradients(network: Network, task: Transcribe, parts: list[list[int]]) -> list[Tensor]:
    network.zero_grad()
    losses = [task.loss(network, task.collate(samples(part))) for part in parts]
    count = sum(float(loss.count) for loss in losses)
    for loss in losses:
        (loss.sum / count).backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_parts_of_a_batch_add_up_to_it(design: str) -> None:
    network, task = network_of(design), TranscribeSpec().build(TARGET)
    whole = gradients(network, task, [[0, 1, 2, 3, 4, 5]])
    assert max(float(part.abs().max()) for part in whole) > 1e-3
    for parts in ([[0, 1], [2, 3], [4, 5]], [[0], [1, 2, 3, 4], [5]]):
        for got, want in zip(gradients(network, task, parts), whole, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_sound_is_judged_as_if_it_were_alone(design: str) -> None:
    network, task = network_of(design), TranscribeSpec().build(TARGET)
    together = task.judge(network, task.collate(samples(list(range(6)))))
    for number in range(6):
        alone = task.judge(network, task.collate(samples([number])))
        assert together["loss"][number] == pytest.approx(alone["loss"][0], rel=1e-10)
        assert together["said"][number] == alone["said"][0]


def test_what_does_not_fit_has_no_loss_and_no_count() -> None:
    """Number 3 has one frame for one letter; with four letters it could not be said."""
    network, task = network_of("cnn"), TranscribeSpec().build(TARGET)
    whole = samples([0, 3])
    long = replace(whole, tokens=[whole.tokens[0], TOKENIZER.encode(["abab"])[0].tokens])
    alone = task.loss(network, task.collate(samples([0])))
    loss = task.loss(network, task.collate(long))
    assert loss.sum.item() == pytest.approx(alone.sum.item(), rel=1e-12)
    assert loss.count.item() == alone.count.item() == 2
    columns = task.judge(network, task.collate(long))
    assert columns["targets"].tolist() == [2, 0]
    assert np.isfinite(columns["loss"]).all()


def test_frames_behind_a_network() -> None:
    network = network_of("crnn")
    assert lengths_behind(network, LENGTHS) == tuple(-(-length // 2) for length in LENGTHS)
    assert left_out(network) == 2


def test_a_long_sound_in_windows_is_the_sound_whole() -> None:
    """Of a network that looks a few frames to each side, in every place; and the twin: a network
    that hears all of a sound says other things in windows."""
    long = torch.randn(200, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for design, same in (("cnn", True), ("crnn", False)):
        network = network_of(design)
        network.reads = Signal("sequence", (40, 6))
        windows = log_p_of(network, long)
        network.reads = Signal("sequence", (200, 6))
        whole = log_p_of(network, long)
        assert len(windows) == len(whole) == 100
        assert np.allclose(windows, whole, rtol=1e-9, atol=1e-9) == same
    assert LONGER * 40 < 200


def test_it_learns_by_heart_and_writes() -> None:
    network, task = network_of("crnn"), TranscribeSpec().build(TARGET)
    some = [0, 1, 3, 4]
    batch = task.collate(samples(some))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.04)
    for _ in range(80):
        optimizer.zero_grad()
        loss = task.loss(network, batch)
        (loss.sum / loss.count).backward()
        optimizer.step()
    columns = task.judge(network, batch)
    assert list(task.metrics(columns)) == ["word_error", "character_error", "exact"]
    assert task.metrics(columns)["word_error"].value == 0
    said = [one["text"] for one in task.predict(network, batch, top=3)]
    assert said == [TEXTS[number] for number in some]


def test_a_language_model_changes_what_is_written() -> None:
    spec = parse(
        TranscribeSpec, {"decoder": {"kind": "beam", "language": {"kind": "ngram"}, "weight": 20.0}}
    )
    assert spec.purpose().language is not None
    task, network = spec.build(TARGET), network_of("cnn")
    batch = task.collate(samples([2]))
    pieces = [piece.tokens.tolist() for piece in TOKENIZER.encode(["bb"])]
    counted = Writer(
        tokenizer=TOKENIZER, language=Ngram.of(pieces, 2, TOKENIZER.size), hop_seconds=0.01
    )
    said = task.predict(network, replace(batch, writer=counted), top=1)[0]["text"]
    assert set(said) <= {"b"}
