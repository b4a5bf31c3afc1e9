"""Preference tuning: each loss by its formula, in parts and whole, and that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from luthier.data.chat.answers import AnswerExamples
from luthier.data.chat.tokens import ChatTokens
from luthier.data.target import Documents
from luthier.errors import SpecError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.model.linear_nats import nats_with_gradient
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import parse
from luthier.tasks.answers import AnswerBatch
from luthier.tasks.preference import Preference, PreferenceSpec
from luthier.tasks.preference_losses import REFERRING, Kind, Strength, Weighing, pair_losses
from luthier.tasks.reward import Reward, RewardSpec

VOCAB, CONTEXT, ROWS = 11, 16, 6
TARGET = Documents(vocab=VOCAB)
SIGNAL = Signal.tokens(CONTEXT, VOCAB)
PAIRS: tuple[Kind, ...] = ("dpo", "ipo", "orpo", "simpo")
ALL: tuple[Kind, ...] = (*PAIRS, "kto")
LAYERS: list[dict[str, Any]] = [
    {"kind": "tokens", "width": 8},
    {"kind": "attention", "heads": 2, "position": "rotary"},
    {"kind": "mlp", "ratio": 2.0},
]


def network(task: PreferenceSpec | RewardSpec, seed: int = 0, *, twice: bool = True) -> Network:
    spec = parse(LayersSpec, {"layers": LAYERS})
    made = build(spec, SIGNAL, lambda gives: task.head(gives, TARGET))
    materialize(made, seed=seed, spec=spec.initialize, dtype=torch.float64)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3 if twice else 1)
    return made


def answer(seed: int, good: bool, prompt: int) -> ChatTokens:
    """A question of some tokens, and an answer of even tokens, or of odd ones."""
    dice = np.random.default_rng(seed)
    asked = dice.integers(0, VOCAB, prompt)
    said = 2 * dice.integers(0, 5, 2 + seed % 5) + (0 if good else 1)
    tokens = np.concatenate([asked, said]).astype(np.int32)
    learned = np.arange(len(tokens)) >= prompt
    if seed % 3 == 0:
        learned[prompt] = False  # a mark between, which the template writes
    return ChatTokens(
        name=f"row {seed}",
        tokens=tokens,
        bytes=np.ones(len(tokens), dtype=np.uint16),
        learned=learned,
        stops=(None,),
    )


def examples(kind: Kind | None, rows: int = ROWS) -> AnswerExamples:
    """Rows of unequal lengths, with a reference that differs from the network."""
    dice = np.random.default_rng(9)
    if kind == "kto":
        good = np.arange(rows) % 3 != 1
        sides = [
            [answer(n + shift, bool(good[n - shift]), 3 + n % 4) for n in range(rows)]
            for shift in (0, 1)
        ]
        made = AnswerExamples("train", sides, good, SIGNAL)
    else:
        sides = [[answer(n, good, 3 + n % 4) for n in range(rows)] for good in (True, False)]
        made = AnswerExamples("train", sides, None, SIGNAL)
    made.reference = -dice.uniform(8, 20, (2, rows))
    return made


def task_of(kind: Kind, **settings: Any) -> Preference:
    return parse(PreferenceSpec, {"kind": "preference", "loss": kind, **settings}).build(TARGET)


def batch_of(task: Preference, rows: AnswerExamples, ids: list[int]) -> AnswerBatch:
    batch = task.collate(rows.read(np.array(ids), 0))
    assert isinstance(batch, AnswerBatch)
    return batch


def by_hand(made: Network, row: ChatTokens) -> tuple[float, int]:
    """The sum of the logarithms of an answer's tokens, read alone, and their number."""
    x = torch.from_numpy(row.tokens.astype(np.int64))[None]
    logs = made(x[:, :-1], Stream()).log_softmax(-1)[0].detach().numpy()
    asked = np.flatnonzero(row.learned[1:])
    return float(sum(logs[t, row.tokens[t + 1]] for t in asked)), len(asked)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def odds(mean: float) -> float:
    return math.log(math.exp(mean) / (1 - math.exp(mean)))


Formula = Callable[[float, float, float, float], float]
"""Of how much likelier both answers are than by the reference, and of their mean logarithms."""
FORMULAS: dict[str, tuple[dict[str, Any], Formula]] = {
    "dpo": ({"loss": "dpo"}, lambda a, b, _c, _d: -math.log(sigmoid(0.1 * (a - b)))),
    "dpo, smoothed": (
        {"loss": "dpo", "beta": 0.3, "label_smoothing": 0.2},
        lambda a, b, _c, _d: (
            -0.8 * math.log(sigmoid(0.3 * (a - b))) - 0.2 * math.log(sigmoid(0.3 * (b - a)))
        ),
    ),
    "ipo": ({"loss": "ipo", "beta": 0.2}, lambda a, b, _c, _d: (a - b - 2.5) ** 2),
    "orpo": (
        {"loss": "orpo", "beta": 0.4},
        lambda _a, _b, c, d: -c - 0.4 * math.log(sigmoid(odds(c) - odds(d))),
    ),
    "simpo": (
        {"loss": "simpo", "margin": 0.5},
        lambda _a, _b, c, d: -math.log(sigmoid(2 * (c - d) - 0.5)),
    ),
}


@pytest.mark.parametrize(("settings", "formula"), FORMULAS.values(), ids=FORMULAS.keys())
def test_the_loss_of_pairs(settings: dict[str, Any], formula: Formula) -> None:
    spec = parse(PreferenceSpec, {"kind": "preference", **settings})
    task, made, rows = spec.build(TARGET), network(spec), examples(spec.loss)
    assert rows.reference is not None
    wanted = []
    for number in range(ROWS):
        better, worse = (by_hand(made, side[number]) for side in rows.answers)
        wanted.append(
            formula(
                better[0] - rows.reference[0, number],
                worse[0] - rows.reference[1, number],
                better[0] / better[1],
                worse[0] / worse[1],
            )
        )
    batch = batch_of(task, rows, list(range(ROWS)))
    loss = task.loss(made, batch)
    assert loss.count.item() == ROWS
    assert loss.sum.item() == pytest.approx(sum(wanted), rel=1e-12)
    assert task.judge(made, batch)["loss"] == pytest.approx(np.array(wanted), rel=1e-12)


def test_the_loss_of_single_answers() -> None:
    spec = PreferenceSpec(loss="kto", beta=0.2, good_weight=1.5, bad_weight=0.5)
    task, made, rows = spec.build(TARGET), network(spec), examples("kto")
    assert rows.reference is not None
    assert rows.good is not None
    sums = np.array([[by_hand(made, row)[0] for row in side] for side in rows.answers])
    for moves, is_floor in ((np.arange(ROWS), False), (-np.arange(ROWS), True)):
        reference = sums - np.stack([np.linspace(-2, 2, ROWS), moves])
        moved = max(float((sums[1] - reference[1]).mean()), 0)
        assert (moved == 0) == is_floor
        wanted = 0.0
        for ratio, good in zip(sums[0] - reference[0], rows.good, strict=True):
            reward = 0.2 * (ratio - moved)
            wanted += 1.5 * (1 - sigmoid(reward)) if good else 0.5 * (1 - sigmoid(-reward))
        other = AnswerExamples("train", rows.answers, rows.good, SIGNAL)
        other.reference = reference
        [batch] = task.survey(made, [batch_of(task, other, list(range(ROWS)))])
        assert task.loss(made, batch).sum.item() == pytest.approx(wanted, rel=1e-12)


PARTS = [[[0, 1, 2, 3, 4, 5]], [[0, 1], [2, 3], [4, 5]], [[0], [1, 2, 3, 4], [5]]]


def gradient(task: Preference, parts: list[AnswerBatch], made: Network) -> tuple[Tensor, float]:
    """Of the mean over all rows, from parts, as the loop makes it."""
    made.zero_grad()
    losses = [task.loss(made, part) for part in parts]
    sum(loss.sum for loss in losses).backward()  # type: ignore[union-attr]
    count = sum(loss.count.item() for loss in losses)
    found = torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])
    return found / count, count


@pytest.mark.parametrize("kind", ALL)
def test_parts_of_a_batch_teach_what_the_batch_does(kind: Kind) -> None:
    """In float64, whatever the lengths of the answers in each part."""
    task, made, rows = task_of(kind), network(PreferenceSpec(loss=kind)), examples(kind)
    assert rows.reference is not None
    whole = batch_of(task, rows, list(range(ROWS)))
    rows.reference = task.weigh(made, whole).numpy().reshape(2, -1)
    rows.reference = rows.reference - np.stack([np.linspace(-2, 2, ROWS), np.arange(ROWS)])
    found = []
    for cut in PARTS:
        parts = task.survey(made, [batch_of(task, rows, ids) for ids in cut])
        found.append(gradient(task, parts, made))
    assert {count for _, count in found} == {ROWS}
    for other, _ in found[1:]:
        torch.testing.assert_close(other, found[0][0], rtol=1e-10, atol=1e-14)
    if kind == "kto":  # the twin: each part measures its own divergence
        alone = [task.survey(made, [batch_of(task, rows, ids)])[0] for ids in PARTS[1]]
        assert (gradient(task, alone, made)[0] - found[0][0]).abs().max() > 1e-6


@pytest.mark.parametrize("kind", ALL)
def test_each_loss_learns(kind: Kind) -> None:
    """Answers of even tokens against answers of odd ones: told apart on rows never seen, too."""
    spec = PreferenceSpec(loss=kind, beta=1.0 if kind != "ipo" else 0.1)
    task, made = spec.build(TARGET), network(spec, twice=False)
    rows, held = examples(kind, 40), examples(kind, 60)
    held = AnswerExamples("test", [s[40:] for s in held.answers], _tail(held.good), SIGNAL)
    for some in (rows, held):  # what the network says before its first step
        whole = batch_of(task, some, list(range(len(some))))
        some.reference = task.weigh(made, whole).numpy().reshape(2, -1)
    before = measured(task, made, held)
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for step in range(30):
        ids = [(8 * step + n) % 40 for n in range(8)]
        parts = task.survey(made, [batch_of(task, rows, ids)])
        loss = task.loss(made, parts[0])
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    after = measured(task, made, held)
    assert after["loss"] < before["loss"] - 0.02
    assert after["margin"] > before["margin"] + 0.2
    if kind != "kto":
        assert after["accuracy"] >= 0.9
        if kind in REFERRING:
            assert before["accuracy"] == pytest.approx(0.5, abs=0.1)  # nothing has moved
            assert before["margin"] == pytest.approx(0, abs=1e-12)


def _tail(good: np.ndarray | None) -> np.ndarray | None:
    return None if good is None else good[40:]


def measured(task: Preference | Reward, made: Network, rows: AnswerExamples) -> dict[str, float]:
    batch = task.collate(rows.read(np.arange(len(rows)), 0))
    metrics = task.metrics(task.judge(made, batch))  # type: ignore[arg-type]
    return {name: metric.value for name, metric in metrics.items()}


def test_rewards() -> None:
    spec = RewardSpec(margin=0.3, centre=0.1)
    task, made, rows = spec.build(TARGET), network(spec), examples(None)
    worth = [
        [made(torch.from_numpy(row.tokens.astype(np.int64))[None], Stream()).item() for row in side]
        for side in rows.answers
    ]
    wanted = [
        -math.log(sigmoid(better - worse - 0.3)) + 0.1 * (better + worse) ** 2
        for better, worse in zip(*worth, strict=True)
    ]
    batch = task.collate(rows.read(np.arange(ROWS), 0))
    loss = task.loss(made, batch)
    assert loss.sum.item() == pytest.approx(sum(wanted), rel=1e-12)
    found = []
    for cut in PARTS:
        made.zero_grad()
        for ids in cut:
            task.loss(made, task.collate(rows.read(np.array(ids), 0))).sum.backward()
        found.append(torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-10, atol=1e-14)
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    before = measured(task, made, rows)
    for _ in range(20):
        loss = task.loss(made, batch)
        optimizer.zero_grad()
        loss.sum.backward()
        optimizer.step()
    after = measured(task, made, rows)
    assert after["accuracy"] == 1
    assert after["margin"] > before["margin"] + 1


def test_what_targets_cost_has_the_gradient_of_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.model.linear_cross_entropy.SLICE_ELEMENTS", 1)
    monkeypatch.setattr("luthier.model.linear_cross_entropy.LEAST_POSITIONS", 3)
    torch.manual_seed(0)
    weighs = torch.randn(8, dtype=torch.float64)
    targets = torch.randint(0, 7, (8,))
    for softcap in (None, 1.5):
        found = []
        x, w, b = (
            torch.randn(*shape, dtype=torch.float64, requires_grad=True)
            for shape in ((8, 4), (7, 4), (7,))
        )
        scores = x @ w.T + b
        scores = scores if softcap is None else softcap * (scores / softcap).tanh()
        nats = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        for each in (nats, nats_with_gradient(x, w, b, targets, softcap)):
            found.append((each, *torch.autograd.grad((each * weighs).sum(), (x, w, b))))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_odds_of_what_is_nearly_sure() -> None:
    """ORPO's logarithm of 1 - p keeps its digits, and its gradient is a number."""
    mean = torch.tensor([-1e-12, -0.5, -0.8, -300.0], dtype=torch.float64, requires_grad=True)
    weighing = Weighing(mean, None, torch.ones(4))
    losses = pair_losses(
        "orpo", weighing, Weighing(mean - 0.1, None, torch.ones(4)), Strength(beta=1)
    )
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert mean.grad is not None
    assert torch.isfinite(mean.grad).all()


def test_batches_move_whole() -> None:
    task, rows = task_of("dpo"), examples("dpo")
    batch = batch_of(task, rows, [0, 1])
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert {moved.texts.tokens_S.device.type, moved.places_N.device.type} == {"meta"}
    assert moved.reference_A is not None
    assert moved.reference_A.device.type == "meta"
    assert replace(batch, good_B=torch.ones(2).bool()).to(torch.device("meta")).good_B is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "dpo", "margin": 1.0}, "margin: got 1.0, but it belongs to simpo"),
        ({"loss": "kto", "label_smoothing": 0.1}, "belongs to dpo"),
        ({"loss": "ipo", "good_weight": 2.0}, "belongs to kto"),
        ({"loss": "dop"}, 'did you mean "dpo"'),
        ({"beta": 0.0}, "beta"),
    ],
)
def test_settings_that_would_not_be_used(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(PreferenceSpec, {"kind": "preference", **settings})
