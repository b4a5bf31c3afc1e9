"""The metrics of a language model, from their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.metrics.language import language_metrics


def columns(n: int = 30, scale: float = 1.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(4)
    targets = generator.integers(1, 50, n)
    return {
        "targets": targets,
        "nats": scale * targets * (1.5 + generator.random(n)),
        "correct": (targets * generator.random(n)).astype(np.int64),
        "bytes": targets * 4 + generator.integers(0, 9, n),
    }


def test_the_values() -> None:
    found, given = language_metrics(columns()), columns()
    loss = given["nats"].sum() / given["targets"].sum()
    assert list(found) == ["loss", "perplexity", "bits_per_byte", "accuracy"]
    assert found["loss"].value == pytest.approx(loss)
    assert found["perplexity"].value == pytest.approx(math.exp(loss))
    assert found["perplexity"].low == pytest.approx(math.exp(found["loss"].low))
    bits = given["nats"].sum() / math.log(2) / given["bytes"].sum()
    assert found["bits_per_byte"].value == pytest.approx(bits)
    share = given["correct"].sum() / given["targets"].sum()
    assert found["accuracy"].value == pytest.approx(share)
    for metric in found.values():
        assert metric.low < metric.value < metric.high
        assert metric.n == 30


def test_bits_per_byte_do_not_hang_on_the_tokenizer() -> None:
    """The same text in half as many tokens, each of twice the loss."""
    given = columns()
    halved = given | {"targets": given["targets"] / 2}
    before, after = language_metrics(given), language_metrics(halved)
    assert after["bits_per_byte"] == before["bits_per_byte"]
    assert after["loss"].value == pytest.approx(2 * before["loss"].value)


def test_without_bytes_there_are_none_of_them() -> None:
    given = columns()
    del given["bytes"]
    assert list(language_metrics(given)) == ["loss", "perplexity", "accuracy"]


def test_a_lone_row_has_no_intervals() -> None:
    found = language_metrics(columns(n=1))
    assert all(metric.interval is None for metric in found.values())
    assert found["perplexity"].value == pytest.approx(math.exp(found["loss"].value))


def test_a_loss_beyond_all_bounds_has_a_perplexity() -> None:
    assert math.isfinite(language_metrics(columns(scale=1e5))["perplexity"].high)
