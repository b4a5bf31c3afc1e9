"""What is said, written by a decoder that attends to the sound: its loss, and what it writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from toy_pairs import ATTENTION, CROSS, MLP, tokens

from luthier.data.sound.sound_examples import Said, SoundSamples, Writer
from luthier.data.target import Transcripts, Written
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import SpecError
from luthier.model.blueprint import Network
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.model.initialize import materialize
from luthier.signal import Signal
from luthier.spec import parse
from luthier.tasks.dictation import Dictation, heard, too_long
from luthier.tasks.transcribe import TranscribeSpec

TEXTS = ("ab", "b", "abba", "ba", "aab", "bb")
TOKENIZER = train_tokenizer(CharactersSpec(), [f" {text}" for text in TEXTS], specials=["end"])
WRITER = Writer(tokenizer=TOKENIZER, language=None, hop_seconds=0.01, spaced=True)
END = TOKENIZER.special("end")
FORCED, VOCAB = 3, TOKENIZER.size
TARGET = Written(vocab=VOCAB, context=12, end=END, opening=END, forced=(FORCED,))
UNEQUAL, EQUAL = (7, 3, 12, 5, 9, 4), (6,) * 6


def network(target: Written = TARGET) -> Network:
    model = {
        "encoder": [
            {"kind": "dense", "width": 16},
            {"kind": "places"},
            {**ATTENTION, "causal": False, "bias": "not_key"},
            MLP,
        ],
        "decoder": [
            tokens(16, "learned"),
            {**ATTENTION, "bias": "not_key"},
            {**CROSS, "bias": "not_key"},
            MLP,
        ],
        "head": "tied",
        "share_tokens": False,
    }
    writes = Signal.tokens(target.context, target.vocab)
    spec = parse(EncoderDecoderSpec, model)
    head = TranscribeSpec(by="attention").head(Signal.of((12, 16)), target)
    built = build_pair(spec, Signal("sequence", (12, 4)), writes, head)
    materialize(built, seed=1, spec=spec.initialize, dtype=torch.float64)
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(torch.randn(weight.shape, generator=random, dtype=torch.float64) * 0.2)
    return built.eval()


def samples(rows: list[int], lengths: tuple[int, ...], known: bool = True) -> SoundSamples:
    random = torch.Generator().manual_seed(2)
    frames = [torch.randn(n, 4, generator=random, dtype=torch.float64) for n in lengths]
    said = Said.of(TEXTS, WRITER)
    return SoundSamples(
        frames=[frames[row] for row in rows],
        labels=torch.full((len(rows),), -1),
        ids=torch.tensor(rows),
        tokens=[said.tokens[row] for row in rows] if known else None,
        texts=[TEXTS[row] for row in rows],
        writer=WRITER,
        seconds=[lengths[row] / 100 for row in rows],
    )


@pytest.mark.parametrize("lengths", [UNEQUAL, EQUAL], ids=["unequal", "equal"])
def test_the_parts_of_a_batch_add_up_to_it(lengths: tuple[int, ...]) -> None:
    task, net = Dictation(1, TARGET), network()
    found = []
    for parts in ([[0, 1, 2, 3, 4, 5]], [[0, 1], [2, 3, 4], [5]]):
        losses = [task.loss(net, task.collate(samples(part, lengths))) for part in parts]
        count = sum(loss.count for loss in losses)
        net.zero_grad()
        for loss in losses:
            (loss.sum / count).backward()
        found.append((float(count), [p.grad.clone() for p in net.parameters()]))
    (whole, wanted), (count, got) = found
    # A space before each text, and its end.
    assert whole == count == sum(len(text) + 2 for text in TEXTS)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_loss_by_hand() -> None:
    """Nothing is learned of the opening and of what is forced."""
    task, net = Dictation(1, TARGET), network()
    loss = task.loss(net, task.collate(samples([2], UNEQUAL)))
    text = Said.of(TEXTS, WRITER).tokens[2].tolist()
    given = samples([2], UNEQUAL).frames[0][None]
    scores = net(torch.tensor([[END, FORCED, *text]]), None, given)[0]
    log_p = scores.log_softmax(-1)
    by_hand = sum(log_p[place, token] for place, token in enumerate([*text, END], 1))
    assert loss.sum.item() == pytest.approx(-by_hand.item(), rel=1e-12)
    assert loss.count.item() == len(text) + 1


@pytest.mark.parametrize("changed", [{}, {"suppressed": (3,)}, {"suppressed_first": (4, END)}])
def test_what_is_written_is_the_likeliest_that_may_be(changed: dict[str, Any]) -> None:
    target = TARGET.model_copy(update=changed)
    task, net = Dictation(1, target), network()
    batch = task.collate(samples([0, 1, 2, 3, 4, 5], UNEQUAL, known=False))
    source, _ = heard(net, batch.inputs)
    for row, got in enumerate(task.write(net, source)):
        frames = samples([row], UNEQUAL).frames[0][None]
        text = [END, FORCED]
        while len(text) < target.context:
            scores = net(torch.tensor([text]), None, frames)[0, -1]
            scores[list(target.suppressed)] = -torch.inf
            if len(text) == 2:
                scores[list(target.suppressed_first)] = -torch.inf
            if int(scores.argmax()) == END:
                break
            text.append(int(scores.argmax()))
        assert got == text[2:]
    seconds = [one["seconds"] for one in task.predict(net, batch, 1)]
    assert seconds == [length / 100 for length in UNEQUAL]


def test_a_sound_is_judged_as_if_it_were_alone() -> None:
    task, net = Dictation(2, TARGET), network()
    together = task.judge(net, task.collate(samples(list(range(6)), UNEQUAL)))
    for row in range(6):
        alone = task.judge(net, task.collate(samples([row], UNEQUAL)))
        assert together["loss"][row] == pytest.approx(alone["loss"][0], rel=1e-10)
        assert together["said"][row] == alone["said"][0]
    assert {"word_error", "character_error", "loss", "accuracy"} <= task.metrics(together).keys()
    quick = task.while_training()
    assert "word_error" not in quick.metrics(quick.judge(net, task.collate(samples([1], EQUAL))))
    assert (quick.headline, task.headline) == ("loss", "word_error")


def test_longer_than_the_decoder() -> None:
    lengths = [np.zeros(n, dtype=np.int32) for n in (0, 10, 11)]
    assert too_long(lengths, TARGET) == [False, False, True]


def test_settings_that_would_not_be_used() -> None:
    for wrong in (
        {"by": "attention", "decoder": {"kind": "beam"}},
        {"beams": 3},
        {"by": "ctc", "beams": 2},
    ):
        with pytest.raises(SpecError, match="belongs to by"):
            parse(TranscribeSpec, {"kind": "transcribe", **wrong})
    assert parse(TranscribeSpec, {"by": "attention", "beams": 3}).build(TARGET).beams == 3
    assert TranscribeSpec().build(Transcripts(vocab=4)).headline == "word_error"
