"""What language peers measure, and what they read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import language_data
import language_protocol
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_data import Stream, Texts
from language_protocol import Order, Training
from language_sizes import Gpt

ORDER = Order(
    chunks=3,
    chunk_steps=2,
    seed=1,
    precision="bf16-mixed",
    compile=False,
    every_chunk=True,
    cache=Path(),
    kind="5m",
)
SIZE = Gpt(vocab=100, width=8, depth=1, heads=1, context=4, rows=3)


def test_the_rate_leaves_out_the_first_chunk() -> None:
    found = language_protocol.summary([100.0, 2.0, 3.0, 4.0], [5.0], units=600, flops=1e9)
    assert found["rate"] == 200.0
    assert found["gflops_per_second"] == 200.0
    assert found["validation_loss"] == 5.0
    assert "losses" not in found


def test_the_seconds_to_a_loss_count_every_chunk() -> None:
    losses = [6.5, 5.5, 5.45]
    found = language_protocol.summary([10.0, 2.0, 2.0], losses, units=1, flops=1)
    assert found["seconds"] == [10.0, 12.0, 14.0]
    assert found["seconds_to_6.0"] == 11.0, "half way between two evaluations"
    assert found["seconds_to_5.5"] == 12.0
    assert found["seconds_to_5.4"] is None


def test_a_loss_that_the_first_chunk_reached_was_reached_at_its_end() -> None:
    assert language_protocol.seconds_to(6.0, [10.0, 20.0], [5.9, 5.0]) == 10.0


@given(st.lists(st.floats(1, 10), min_size=1, max_size=20), st.floats(1, 10))
def test_seconds_to_a_loss_lie_in_the_interval_that_reached_it(
    losses: list[float], target: float
) -> None:
    ends = [float(end) for end in range(1, len(losses) + 1)]
    found = language_protocol.seconds_to(target, ends, losses)
    below = [end for end, loss in zip(ends, losses, strict=True) if loss <= target]
    if not below:
        assert found is None
    else:
        assert found is not None
        assert max(1.0, below[0] - 1) <= found <= below[0]


def test_an_order_says_its_steps() -> None:
    assert (ORDER.steps, ORDER.warmup_steps, ORDER.bf16) == (6, 1, True)
    long = dataclasses.replace(ORDER, chunks=12, chunk_steps=50, precision="fp32")
    assert (long.warmup_steps, long.bf16) == (30, False)


@pytest.mark.parametrize(("every_chunk", "evaluations"), [(True, 3), (False, 1)])
def test_evaluation_is_outside_the_clock(
    every_chunk: bool, evaluations: int, capsys: pytest.CaptureFixture[str]
) -> None:
    clocks: list[int] = []

    def evaluate() -> float:
        clocks.append(len(training.chunk_seconds))
        return 5.0

    order = dataclasses.replace(ORDER, every_chunk=every_chunk)
    training = Training(order, evaluate)
    training.begin()
    for _ in range(order.steps):
        training.step()
    assert clocks == [1, 2, 3][-evaluations:], "a chunk's time is taken before it is evaluated"
    training.report(units=10, flops=1, parameters=7)
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == 7
    assert len(told["chunk_seconds"]) == 3


def test_the_command_line_is_an_order() -> None:
    parser = language_protocol.parser("", ("5m",))
    words = "--chunks 3 --chunk-steps 2 --seed 1 --precision bf16-mixed --every-chunk --cache ."
    found = language_protocol.order_of(parser.parse_args([*words.split(), "--kind", "5m"]))
    assert found == ORDER


def stream(seed: int = 1) -> Stream:
    """Where a token is its own place."""
    return Stream(SIZE, seed, np.arange(90, dtype=np.uint16), np.arange(90, dtype=np.uint16))


def test_batches_are_a_function_of_seed_and_step() -> None:
    first = stream().batch(7)
    assert first.shape == (3, 5)
    assert first.dtype == np.int64
    assert (first == stream().batch(7)).all()
    assert not (first == stream().batch(8)).all()
    assert not (first == stream(2).batch(7)).all()
    assert (np.diff(first, axis=1) == 1).all(), "rows are whole pieces of the stream"


def test_validation_rows_are_spread_from_the_first_token_to_the_last() -> None:
    rows = stream().validation()
    assert rows.shape == (language_data.VALIDATION_ROWS, 5)
    assert (rows[0, 0], rows[-1, -1]) == (0, 89)


@given(st.lists(st.lists(st.integers(1, 60_000), min_size=1, max_size=9), min_size=1, max_size=9))
def test_texts_come_back_as_they_were(rows: list[list[int]]) -> None:
    texts = texts_of(rows)
    assert [texts[at].tolist() for at in range(len(texts))] == rows
    width = max(map(len, rows))
    tokens, inside = texts.padded(width)
    assert [row[here].tolist() for row, here in zip(tokens, inside, strict=True)] == rows
    assert (tokens[~inside] == 0).all()
    again = texts.repeated(2 * len(rows) + 1)
    assert [again[at].tolist() for at in range(len(again))] == [*rows, *rows, rows[0]]


def test_texts_are_written_and_read(tmp_path: Path) -> None:
    rows = [np.array([1, 2], np.uint16), np.array([3], np.uint16)]
    language_data.write_texts(rows, [0, 1], tmp_path / "texts.npz")
    found = language_data.read_texts(tmp_path / "texts.npz")
    assert found[1].tolist() == [3]
    assert found.labels.tolist() == [0, 1]


def test_more_texts_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 2 texts, wanted 3; take fewer steps"):
        texts_of([[1], [2]]).first(3)


def texts_of(rows: list[list[int]]) -> Texts:
    flat = np.array([token for row in rows for token in row], np.uint16)
    lengths = np.array([len(row) for row in rows])
    return Texts(flat, lengths, np.zeros(len(rows), np.int64))
