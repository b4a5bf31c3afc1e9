"""Extract: its loss written out, windows that change nothing, answers across windows, no answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_texts import ANSWERS, CASES, CONTEXT, VOCAB, farthest, gradient, question, questions

from luthier.data.target import Spans
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.questions import windows as windows_module
from luthier.errors import ShapeError
from luthier.model.blueprint import Network
from luthier.signal import Signal
from luthier.tasks.extract import Extract, ExtractSpec
from luthier.tasks.spans import QuestionBatch, best_spans
from luthier.training.gradient import backward, finish, total

EXTRACT = CASES["extract"]
IDS = list(range(8))
ALWAYS = ANSWERS.model_copy(update={"unanswerable": False})


class TokenByToken(nn.Module):
    """Scores that hang on a token alone, not on what stands around it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Embedding(VOCAB, 2, dtype=torch.float64)

    def forward(self, x_NT: Tensor) -> Tensor:
        return self.table(x_NT)


def blind() -> Network:
    return Network.of(TokenByToken(), Signal.tokens(CONTEXT, VOCAB))


def form(context: int, overlap: int) -> TextForm:
    return TextForm(context=context, framed=True, pairs=True, overlap=overlap)


def answerable(task: Extract) -> list[int]:
    return [n for n in IDS if len(question(n).asked[0].row.answers)]


def test_the_loss() -> None:
    """Of each question: two softmaxes over no answer and all tokens of its context."""
    task, network = EXTRACT.build(), EXTRACT.network()
    loss = task.loss(network, task.collate(questions(IDS)))
    total_nats = 0.0
    for number in IDS:
        [one] = question(number).asked
        windows = [
            network(torch.from_numpy(window.tokens.astype(np.int64))[None])[0]
            for window in one.windows
        ]
        flat = torch.cat(windows)
        nothing = torch.stack([window[0] for window in windows]).amin(0)
        scores = torch.cat([nothing[None], flat[torch.from_numpy(one.places)]])
        log_p = scores.log_softmax(0)
        if one.row.answers:
            [(start, stop)] = [(answer.start, answer.stop) for answer in one.row.answers]
            right = log_p[1 + start, 0] + log_p[stop, 1]
        else:
            right = log_p[0].sum()
        total_nats -= right.item() / 2
    assert loss.count.item() == len(IDS)
    assert loss.sum.item() == pytest.approx(total_nats, rel=1e-12)


def test_each_question_counts_alike_however_many_windows() -> None:
    """Where scores do not hang on windows, neither does the loss, nor its gradient."""
    task = ExtractSpec().build(ALWAYS)
    ids = answerable(task)
    found = []
    for context, overlap in ((40, 0), (12, 3), (7, 0), (9, 4)):
        network = blind()
        batch = task.collate(questions(ids, form(context, overlap)))
        loss = task.loss(network, batch)
        found.append((loss.sum.item(), loss.count.item(), gradient(network, loss.sum)))
        assert sum(batch.windows) >= len(ids)
    assert sum(task.collate(questions(ids, form(7, 0))).windows) > 2 * len(ids)
    for nats, count, grad in found[1:]:
        assert nats == pytest.approx(found[0][0], rel=1e-12)
        assert count == len(ids)
        assert farthest(grad, found[0][2]) < 1e-12


@pytest.mark.parametrize("target", [ANSWERS, ALWAYS], ids=["perhaps none", "always"])
def test_the_same_answer_whatever_the_windows(target: Spans) -> None:
    task, network = ExtractSpec().build(target), blind()
    whole = task.predict(network, task.collate(questions(IDS, form(40, 0))), 3)
    several = 0
    for context, overlap in ((12, 3), (7, 0), (8, 3), (6, 1)):
        batch = task.collate(questions(IDS, form(context, overlap)))
        several += max(batch.windows) > 3
        for wanted, got in zip(whole, task.predict(network, batch, 3), strict=True):
            assert (got["text"], got["start"], got["end"]) == (
                wanted["text"],
                wanted["start"],
                wanted["end"],
            )
            assert got["score"] == pytest.approx(wanted["score"], rel=1e-12)
    assert several


def test_an_answer_across_two_windows() -> None:
    """It begins in one window and ends in the next, and no window holds all of it."""
    batch = QuestionBatch.of(questions([6], form(10, 1)))
    [one] = batch.asked
    start, stop = 3, 9
    assert stop - start > 10 - 3 - 2
    y_S2 = torch.zeros(one.tokens, 2, dtype=torch.float64)
    y_S2[one.places[start], 0] = 9.0
    y_S2[one.places[stop - 1], 1] = 9.0
    log_p_T2 = batch.scores(y_S2, unanswerable=False).log_softmax(1)[0, 1:].numpy()
    [span] = best_spans(log_p_T2, one, longest=8, count=1)
    assert (span.start, span.end) == (start, stop)
    assert span.text == one.row.context[start:stop]


def test_windows_that_both_score_a_token_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: each window scores from its own first token on, so that tokens are left out."""

    def overlapping(tokens: int, room: int, overlap: int) -> tuple[windows_module.Window, ...]:
        found = windows_module.windows_of(tokens, room, overlap)
        return tuple(window._replace(own=min(window.start + 2, window.stop)) for window in found)

    task = ExtractSpec().build(ALWAYS)
    ids = answerable(task)
    right = task.loss(blind(), task.collate(questions(ids, form(40, 0)))).sum.item()
    monkeypatch.setattr("luthier.data.text.questions.asked.windows_of", overlapping)
    broken = questions(ids, form(8, 1))
    for one in broken.asked:
        one.places[:] = np.clip(one.places, 0, one.tokens - 1)
    assert abs(task.loss(blind(), task.collate(broken)).sum.item() - right) > 1e-3


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_with_unequal_windows_equal_the_whole(parts: int) -> None:
    task = EXTRACT.build()

    def learned(split: int) -> Tensor:
        network = EXTRACT.network()
        losses = [
            backward(task.loss(network, task.collate(questions(ids.tolist()))), split)
            for ids in np.split(np.array(IDS), split)
        ]
        parameters = list(network.parameters())
        finish(parameters, total(losses), split, clip_norm=None, measure=False)
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

    batches = [task.collate(questions([number])) for number in IDS]
    assert len({batch.windows for batch in batches}) > 2
    assert farthest(learned(1), learned(parts)) < 1e-13


def test_no_answer_by_the_threshold() -> None:
    network = EXTRACT.network()
    batch = EXTRACT.build().collate(questions(IDS))
    columns = EXTRACT.build().judge(network, batch)
    always = ExtractSpec().build(ANSWERS.model_copy(update={"threshold": 1e9}))
    never = ExtractSpec().build(ANSWERS.model_copy(update={"threshold": -1e9}))
    said, silent = always.judge(network, batch), never.judge(network, batch)
    assert (said["start"] >= 0).all()
    assert (silent["start"] == -1).all()
    assert set(silent["answer"]) == {""}
    assert silent["f1"].tolist() == [float(not question(n).asked[0].row.answers) for n in IDS]
    np.testing.assert_allclose(said["margin"], columns["margin"])
    np.testing.assert_allclose(said["span_f1"], said["f1"])
    predicted = never.predict(network, batch, 2)
    assert all(one["text"] == "" and one["start"] is None for one in predicted)
    for one, row in zip(predicted, range(len(IDS)), strict=True):
        assert one["score"] == pytest.approx(one["no_answer"])
        assert one["top"][0]["start"] == said["start"][row]
        span, nothing = np.log(one["top"][0]["score"]), np.log(one["no_answer"])
        assert nothing - span == pytest.approx(columns["margin"][row])


def test_the_threshold_that_is_settled_is_the_best() -> None:
    task, network = EXTRACT.build(), EXTRACT.network()
    batch = task.collate(questions(IDS))
    columns = task.judge(network, batch)
    assert not task.is_settled
    assert ExtractSpec().build(ALWAYS).is_settled
    target = task.settled(columns)
    best = ExtractSpec().build(target).judge(network, batch)["f1"].mean()
    for threshold in (*(columns["margin"] + 0.01), *(columns["margin"] - 0.01)):
        other = ExtractSpec().build(target.model_copy(update={"threshold": float(threshold)}))
        assert other.judge(network, batch)["f1"].mean() <= best + 1e-12


def test_answers_of_several_people_are_all_right() -> None:
    """The loss is that of the probability of all of them together."""
    task, network = ExtractSpec().build(ALWAYS), blind()
    batch = task.collate(questions([2]))
    [one] = batch.asked
    assert one.spans is not None
    separate = []
    for spans in ([[1, 2]], [[4, 4]], [[1, 2], [4, 4]]):
        object.__setattr__(one, "spans", np.array(spans))
        y = batch.scores(network(batch.inputs.tokens_S[None])[0], unanswerable=False)
        log_p = y.log_softmax(1)[0]
        starts = torch.stack([log_p[1 + a, 0] for a, _ in spans]).logsumexp(0)
        ends = torch.stack([log_p[1 + b, 1] for _, b in spans]).logsumexp(0)
        nats = task.loss(network, batch).sum.item()
        assert nats == pytest.approx(-(starts + ends).item() / 2, rel=1e-12)
        separate.append(nats)
    assert separate[2] < min(separate[:2])


def test_only_spans_that_are_short_enough() -> None:
    network, batch = blind(), QuestionBatch.of(questions(IDS))
    for longest in (1, 2, 5):
        task = ExtractSpec(longest_answer=longest).build(ALWAYS)
        for one in task.predict(network, batch, 50):
            lengths = [span["end"] - span["start"] for span in one["top"]]
            assert max(lengths) <= longest
            assert min(lengths) >= 1
            scores = [span["score"] for span in one["top"]]
            assert scores == sorted(scores, reverse=True)
            assert len({(span["start"], span["end"]) for span in one["top"]}) == len(scores)


def test_what_has_no_vector_for_each_token_is_refused() -> None:
    with pytest.raises(ShapeError, match="extract reads a sequence"):
        ExtractSpec().head(Signal("vector", (8,)), ANSWERS)
