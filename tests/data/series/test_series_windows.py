"""Windows never see the future; scales are those of the training rows alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from series_files import hours, prepared, waves, wide, write

from luthier.data.series.columns_read import filled
from luthier.data.series.prepare_series import PreparedSeries
from luthier.data.series.scaling import Scaling, naive_error
from luthier.data.series.series import TimeSplitSpec
from luthier.data.series.series_table import OneSeries
from luthier.data.series.series_windows import SeriesExamples
from luthier.data.series.time_division import divided, window_starts, windows_without


def everything(examples: SeriesExamples | None) -> Any:
    assert examples is not None
    return examples.read(np.arange(len(examples)), epoch=0)


def splits(data: PreparedSeries) -> list[SeriesExamples]:
    return [part for part in (data.train, data.validation, data.test) if part is not None]


def test_windows_by_hand(tmp_path: Path) -> None:
    data = prepared(wide(tmp_path), horizon=4, split={"validation": 20, "test": 30})
    assert [len(part) for part in splits(data)] == [70 - 12 - 4 + 1, 20 - 4 + 1, 30 - 4 + 1]
    values = waves(120)
    mean, std = values[:70].mean(0), values[:70].std(0)
    scaled = ((values - mean) / std).astype(np.float32)
    for examples, first in zip(splits(data), (12, 70, 90), strict=True):
        found = everything(examples)
        for row in range(len(examples)):
            at = first + row
            np.testing.assert_allclose(found.inputs[row], scaled[at - 12 : at], atol=1e-5)
            np.testing.assert_allclose(found.targets[row], scaled[at : at + 4], atol=1e-5)
        assert examples.name(0) == hours(120)[first]
    np.testing.assert_allclose(found.mean[0], mean)
    np.testing.assert_allclose(found.std[0], std)
    naive = np.abs(values[24:70] - values[:46]).mean(0)
    np.testing.assert_allclose(found.naive[0], naive)


LATER: dict[str, Any] = {"split": {"validation": 20, "test": 30}, "season": 24}


def changed_later(tmp_path: Path, **more: Any) -> tuple[PreparedSeries, PreparedSeries]:
    """A table, and the same with other values from the step 100 on, which is in the test rows."""

    def change(rows: list[list[Any]]) -> None:
        for row in rows[100:]:
            row[1:] = [-1000.0, 1e6]

    (tmp_path / "other").mkdir()
    before = prepared(wide(tmp_path), **LATER, **more)
    return before, prepared(wide(tmp_path / "other", change=change), **LATER, **more)


@pytest.mark.parametrize("more", [{}, {"calendar": True}, {"past": ["b"], "targets": ["a"]}])
def test_a_later_value_changes_no_earlier_window(tmp_path: Path, more: dict[str, Any]) -> None:
    before, after = changed_later(tmp_path, **more)
    for one, other in zip(splits(before), splits(after), strict=True):
        ours, theirs = everything(one), everything(other)
        ends = one.starts + 12
        reads_none, knows_none = ends <= 100, ends + 4 <= 100
        assert torch.equal(ours.inputs[reads_none], theirs.inputs[reads_none])
        assert torch.equal(ours.targets[knows_none], theirs.targets[knows_none])
        assert torch.equal(ours.mean, theirs.mean)
        assert torch.equal(ours.naive, theirs.naive)
    assert not torch.equal(ours.targets[~knows_none], theirs.targets[~knows_none])


def test_a_scale_of_all_rows_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: it measures the scale on rows that come later, too."""
    whole = [waves(120)]
    of = Scaling.of
    monkeypatch.setattr(
        Scaling, "of", lambda train, *rest, **more: of([_longer(train, whole)], *rest, **more)
    )
    before, after = changed_later(tmp_path)
    assert torch.equal(everything(before.train).mean, everything(after.train).mean)
    whole[0] = whole[0] + np.where(np.arange(120) < 100, 0, 1e6)[:, None]
    leaked = prepared(tmp_path / "wide.csv", **LATER)
    assert not torch.equal(everything(before.train).inputs, everything(leaked.train).inputs)


def _longer(train: list[np.ndarray], whole: list[np.ndarray]) -> np.ndarray:
    assert len(train[0]) == 70, "the training rows alone"
    return whole[0]


def test_what_is_known_beforehand_reaches_to_the_last_step(tmp_path: Path) -> None:
    rows = [
        [t, v, 100 + n] for n, (t, v) in enumerate(zip(hours(60), waves(60)[:, 0], strict=True))
    ]
    path = write(tmp_path / "known.csv", ("date", "y", "price"), rows)
    data = prepared(path, known=["price"], targets=["y"], scale="none")
    found = everything(data.train)
    assert data.signal.shape == (12, 2)
    starts = torch.from_numpy(data.train.starts)
    wanted = 100 + starts[:, None] + torch.arange(12) + 4
    torch.testing.assert_close(found.inputs[..., 1], wanted.float())


def test_missing_values_are_filled_from_before_and_are_no_targets(tmp_path: Path) -> None:
    def change(rows: list[list[Any]]) -> None:
        rows[30][1] = ""

    data = prepared(wide(tmp_path, change=change), missing="fill", scale="none")
    found, values = everything(data.train), waves(120)
    row = int(np.flatnonzero(data.train.starts == 28)[0])
    assert float(found.inputs[row, 2, 0]) == pytest.approx(values[29, 0], rel=1e-6)
    row = int(np.flatnonzero(data.train.starts == 30 - 12)[0])
    assert found.present is not None
    assert found.present[row].tolist() == [[False, True], [True, True], [True, True], [True, True]]
    assert data.missing == 1
    left = prepared(tmp_path / "wide.csv", missing="skip")
    assert left.touched == 12 + 4
    assert len(left.train) == len(data.train) - 16
    assert everything(left.train).present is None or bool(everything(left.train).present.all())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=30), st.data())
def test_filling_looks_at_nothing_later(cells: list[float | None], data: st.DataObject) -> None:
    values = np.array([[np.nan if cell is None else cell] for cell in cells])
    cut = data.draw(st.integers(1, len(cells)))
    np.testing.assert_array_equal(filled(values)[:cut], filled(values[:cut]))
    assert not np.isnan(filled(values)).any()


@settings(max_examples=80, deadline=None)
@given(st.integers(5, 60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 20))
def test_windows_forecast_their_part_alone(
    rows: int, lookback: int, horizon: int, held: int
) -> None:
    one = OneSeries(name="", times=np.arange(rows), values=np.zeros((rows, 1)))
    held = min(held, rows - 1)
    parts = divided(TimeSplitSpec(validation=held, test=0), one)
    for start, stop in parts.values():
        starts = window_starts((start, stop), lookback=lookback, horizon=horizon)
        ends = starts + lookback
        assert (starts >= 0).all()
        assert (ends >= start).all()
        assert (ends + horizon <= stop).all()
        assert len(starts) == max(0, stop - horizon - max(start, lookback) + 1)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 8))
def test_windows_without_what_is_bad(bad: list[bool], size: int) -> None:
    got = windows_without(np.array(bad), size)
    wanted = [n + size <= len(bad) and not any(bad[n : n + size]) for n in range(len(bad))]
    assert got.tolist() == wanted


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        ({"validation": 0.1, "test": 0.2}, (84, 12, 24)),
        ({"train": 60, "validation": 20, "test": 20}, (60, 20, 20)),
        ({"validation": 0, "test": 0.25}, (90, 30)),
        ({"validation": "2024-01-03", "test": "2024-01-04 12:00"}, (48, 36, 36)),
        ({"validation": 0, "test": "2024-01-05"}, (96, 24)),
    ],
)
def test_parts(tmp_path: Path, split: dict[str, Any], sizes: tuple[int, ...]) -> None:
    data = prepared(wide(tmp_path), split=split)
    found = [stop - start for start, stop in data.parts[0].values()]
    assert tuple(found) == sizes


def test_a_limit_takes_windows_evenly(tmp_path: Path) -> None:
    data = prepared(wide(tmp_path), limit=5)
    assert [len(part) for part in splits(data)] == [5, 5, 5]
    every = prepared(wide(tmp_path))
    assert data.train.starts[0] == every.train.starts[0]
    assert data.train.starts[-1] == every.train.starts[-1]


def test_a_column_that_never_changes_stays_finite() -> None:
    values = np.full((50, 1), 0.1)
    scaling = Scaling.of([values], 1, 1, standard=True)
    assert scaling.std_SC.tolist() == [[1.0]]
    assert naive_error(values, 7).tolist() == [0.0]
    assert naive_error(values[:3], 7).tolist() == [0.0]
