"""What peers measure, and what they read."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import mnist
import numpy as np
import protocol
import pytest


def test_the_rate_leaves_out_the_first_epoch() -> None:
    found = protocol.summary(600, [100.0, 2.0, 3.0, 4.0], [0.9, 0.95, 0.97, 0.98])
    assert found["images_per_second"] == 200.0
    assert found["seconds_to_target"] is None
    assert found["accuracy"] == 0.98


def test_a_single_epoch_is_its_own_rate() -> None:
    assert protocol.summary(600, [3.0], [0.9])["images_per_second"] == 200.0


def test_seconds_to_the_target_count_every_epoch_up_to_it() -> None:
    found = protocol.summary(600, [10.0, 2.0, 2.0, 2.0], [0.9, 0.984, 0.985, 0.99])
    assert found["seconds_to_target"] == 14.0


def test_evaluation_is_outside_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    training = protocol.Training()
    training.begin_epoch()
    clocks: list[int] = []

    def accuracy() -> float:
        clocks.append(len(training.epoch_seconds))
        return 0.5

    training.end_epoch(accuracy)
    assert clocks == [1], "the epoch's time is taken before the evaluation starts"
    training.report(10)
    assert json.loads(capsys.readouterr().out)["accuracies"] == [0.5]


def test_mnist_is_read_from_idx_files(tmp_path: Path) -> None:
    for stem, rows in (("train", 3), ("t10k", 2)):
        pictures = np.arange(rows * 784, dtype=np.uint32).astype(np.uint8)
        head = struct.pack(">IIII", 2051, rows, 28, 28)
        file = tmp_path / f"{stem}-images-idx3-ubyte.gz"
        file.write_bytes(gzip.compress(head + pictures.tobytes(), mtime=0))
        labels = bytes(range(rows))
        file = tmp_path / f"{stem}-labels-idx1-ubyte.gz"
        file.write_bytes(gzip.compress(struct.pack(">II", 2049, rows) + labels, mtime=0))
    data = mnist.load(tmp_path)
    assert data.train_pictures.shape == (3, 28, 28)
    assert data.test_labels.tolist() == [0, 1]
    assert data.test_labels.dtype == np.int64
    assert data.train_pictures[0, 0, 27] == 27
    assert mnist.unit_floats(data.train_pictures).max() == 1.0
