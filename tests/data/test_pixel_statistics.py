from __future__ import annotations

import numpy as np
import pytest

import luthier.data.statistics as statistics
from luthier.data.statistics import mean_std

IMAGES = np.random.default_rng(0).integers(0, 200, (70, 5, 6, 3), dtype=np.uint8)


def test_figures_are_numpys() -> None:
    rows = np.arange(10, 60)
    figures, count = mean_std(IMAGES, rows)
    wanted = IMAGES[rows] / 255
    assert count == 50
    np.testing.assert_allclose(figures.mean, wanted.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(figures.std, wanted.std(axis=(0, 1, 2)), atol=1e-4)


def test_a_channel_without_change_keeps_its_scale() -> None:
    images = IMAGES.copy()
    images[..., 1] = 51
    figures, _ = mean_std(images, np.arange(70))
    assert figures.mean[1] == 0.2
    assert figures.std[1] == 1


def test_many_rows_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_VALUES", 20 * 90)
    figures, count = mean_std(IMAGES, np.arange(70))
    assert count == 18
    assert figures == mean_std(IMAGES[::4], np.arange(18))[0]
