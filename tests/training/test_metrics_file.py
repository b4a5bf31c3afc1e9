"""metrics.jsonl: every row whole, and none twice."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from luthier.errors import StorageError
from luthier.metrics.interval import Metric
from luthier.training.events import Evaluated, Event, Logged, Saved, Started, Ticked
from luthier.training.metrics_file import metrics_file


def logged(step: int, loss: float | None = 0.5, norm: float = 1.0) -> Logged:
    return Logged(
        step=step, epoch=step / 4, loss=loss, loss_parts={}, learning_rate=1e-3, gradient_norm=norm,
        rows_per_second=100.0, waiting_share=0.0, skipped=0, seconds=1.5,
    )  # fmt: skip


def write(path: Path, start_step: int, *events: Event) -> list[dict[str, object]]:
    with metrics_file(path, start_step) as hook:
        for event in events:
            hook(event)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows(tmp_path: Path) -> None:
    accuracy, loss = (Metric(value=v, low=0.0, high=1.0, n=7) for v in (0.5, 0.25))
    rows = write(
        tmp_path / "metrics.jsonl",
        0,
        Started(step=0, total_steps=8, steps_per_epoch=4),
        Ticked(step=1, epoch=0.25, loss=1.0, rows_per_second=1, waiting_share=0, seconds_left=3),
        logged(4, norm=math.inf),
        Evaluated(
            step=4, epoch=1.0, headline="accuracy", metrics={"accuracy": accuracy}, loss=loss,
            best=True,
        ),
    )  # fmt: skip
    assert rows == [
        {"event": "started", "step": 0, "total_steps": 8, "steps_per_epoch": 4},
        {
            "event": "logged", "step": 4, "epoch": 1.0, "loss": 0.5, "loss_parts": {},
            "learning_rate": 1e-3,
            "gradient_norm": None, "rows_per_second": 100.0, "waiting_share": 0.0, "skipped": 0,
            "seconds": 1.5,
        },
        {
            "event": "evaluated", "step": 4, "epoch": 1.0, "headline": "accuracy",
            "metrics": {"accuracy": {"value": 0.5, "low": 0.0, "high": 1.0, "n": 7}},
            "loss": {"value": 0.25, "low": 0.0, "high": 1.0, "n": 7}, "best": True,
            "samples": {},
        },
    ]  # fmt: skip


def test_steps_that_come_again_are_not_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, logged(2), Saved(step=2, best=False), logged(4))
    with path.open("a") as file:
        file.write('{"event": "logged", "st')  # killed while it wrote
    rows = write(path, 2, logged(4, loss=None), logged(6))
    assert [(row["event"], row["step"]) for row in rows] == [
        ("logged", 2), ("saved", 2), ("logged", 4), ("logged", 6),
    ]  # fmt: skip
    assert rows[2]["loss"] is None


def test_a_run_that_begins_again_begins_with_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, logged(2))
    assert write(path, 0, logged(1)) == write(tmp_path / "other.jsonl", 0, logged(1))


def test_each_row_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with metrics_file(path, 0) as hook:
        hook(logged(2))
        assert path.read_text().endswith("\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: str(path) != "/dev/full")
    with (
        pytest.raises(StorageError, match=r"cannot write .* the disk is full"),
        metrics_file(Path("/dev/full"), 0) as hook,
    ):
        hook(logged(2))


def test_errors_of_others_are_not_taken_for_its_own(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="theirs"), metrics_file(tmp_path / "metrics.jsonl", 0):
        raise OSError("theirs")


def test_no_folder(tmp_path: Path) -> None:
    missing = tmp_path / "gone" / "metrics.jsonl"
    with pytest.raises(StorageError, match=r"cannot write .*gone"), metrics_file(missing, 0):
        pass
