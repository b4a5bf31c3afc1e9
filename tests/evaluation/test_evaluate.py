"""Evaluation: every example once, whatever the batches; the network left as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.checkpoint.files import Files
from luthier.data.examples import Samples
from luthier.errors import DataError, DivergedError, InputError, RunError, StorageError
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.evaluation.storage import read_evaluation, write_evaluation
from luthier.metrics.classification import classification_details, classification_metrics
from luthier.metrics.interval import Metric
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.tasks.task import Columns, Loss

CLASSES = ("cat", "dog", "<eel>")


@dataclass(frozen=True)
class Rows:
    """Examples in memory."""

    x: Tensor
    y: Tensor

    @property
    def signal(self) -> Signal:
        return Signal("vector", (4,))

    @property
    def at_once(self) -> int:
        return 256

    def plain(self) -> Self:
        return self

    def __len__(self) -> int:
        return len(self.x)

    def read(self, ids: np.ndarray, epoch: int) -> Samples:
        assert epoch == 0
        rows = torch.from_numpy(ids)
        return Samples(inputs=self.x[rows], targets=self.y[rows], ids=rows)

    def name(self, row: int) -> str:
        return f"test[{row}]"


@dataclass(frozen=True)
class RowBatch:
    samples: Samples

    @property
    def size(self) -> int:
        return len(self.samples.ids)

    def to(self, device: torch.device) -> Self:
        return self


class Sort:
    """A small classification task."""

    headline = "accuracy"
    higher_is_better = True

    def collate(self, samples: Samples) -> RowBatch:
        return RowBatch(samples)

    def loss(self, network: nn.Module, batch: RowBatch) -> Loss:
        raise AssertionError("evaluation needs no training loss")

    def judge(self, network: nn.Module, batch: RowBatch) -> dict[str, np.ndarray]:
        output = network(batch.samples.inputs)
        chance = output.double().softmax(1)
        label = batch.samples.targets
        of_label = chance.gather(1, label[:, None])[:, 0]
        return {
            "id": batch.samples.ids.numpy(),
            "loss": (-of_label.log()).numpy(),
            "label": label.numpy(),
            "predicted": chance.argmax(1).numpy(),
            "probability": chance.amax(1).numpy(),
            "probability_of_label": of_label.numpy(),
            "top": chance.topk(2).indices.numpy(),
        }

    def metrics(self, columns: Columns) -> dict[str, Metric]:
        return classification_metrics(columns, len(CLASSES), 2)

    def details(self, columns: Columns) -> dict[str, Any]:
        return classification_details(columns, CLASSES).to_json()

    def predict(self, output: Tensor) -> list[dict[str, Any]]:
        return []


def rows(n: int = 103) -> Rows:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=generator)
    return Rows(x, x[:, :3].argmax(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


def placed(net: nn.Module | None = None) -> Placed:
    return Placed(network=network() if net is None else net, device=torch.device("cpu"))


def measure(batch_rows: int = 10, net: nn.Module | None = None) -> Evaluation:
    return evaluate(placed(net), Sort(), rows(), batch_rows=batch_rows)


def test_every_example_once_in_order() -> None:
    seen: list[tuple[int, int]] = []
    found = evaluate(
        placed(), Sort(), rows(), batch_rows=40, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(40, 103), (80, 103), (103, 103)]
    np.testing.assert_array_equal(found.columns["id"], np.arange(103))
    assert found.columns["name"][102] == "test[102]"
    assert found.metrics["accuracy"].n == found.loss.n == 103
    assert found.loss.value == pytest.approx(found.columns["loss"].mean())
    assert next(iter(found.metrics)) == found.headline == "accuracy"
    assert found.details["classes"] == list(CLASSES)


def test_the_batches_do_not_matter() -> None:
    whole, ones = measure(103), measure(1)
    for name in whole.columns:
        if whole.columns[name].dtype.kind == "f":
            np.testing.assert_allclose(whole.columns[name], ones.columns[name], atol=1e-6)
        else:
            np.testing.assert_array_equal(whole.columns[name], ones.columns[name])
    assert whole.metrics["accuracy"] == ones.metrics["accuracy"]


class AlwaysTraining(nn.Module):
    """The broken twin: a network that stays in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner.train()(x)  # type: ignore[no-any-return]


def test_in_evaluation_mode_and_the_twin_is_not() -> None:
    assert measure(50).loss == measure(50).loss
    twin = AlwaysTraining()
    assert measure(50, twin).loss != measure(50, twin).loss


def test_the_network_is_left_as_it_was() -> None:
    net = network().train()
    net[1].eval()  # type: ignore[index]  # a frozen normalisation
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    measure(net=net)
    assert [module.training for module in net] == [True, False, True, True]  # type: ignore[attr-defined]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_network_is_left_as_it_was_when_it_fails() -> None:
    net = nn.Sequential(nn.Linear(5, 3))  # reads another width
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        measure(net=net)
    assert net.training


def test_nothing_to_measure_on() -> None:
    with pytest.raises(DataError, match="no examples; wanted at least one"):
        evaluate(placed(), Sort(), rows(0), batch_rows=4)


def test_a_diverged_network_is_said_to_be_one() -> None:
    net = network()
    with torch.no_grad():
        net[3].bias.fill_(float("nan"))  # type: ignore[index,union-attr,operator]
    with pytest.raises(DivergedError, match="not finite on 103 of 103 examples"):
        measure(net=net)


def test_there_and_back(tmp_path: Path) -> None:
    found = measure()
    write_evaluation(found, tmp_path / "evaluation", "test")
    again = read_evaluation(tmp_path / "evaluation", "test")
    assert list(again.metrics.items()) == list(found.metrics.items())  # in their order
    assert again.loss == found.loss
    assert again.details == found.details
    assert again.columns.keys() == found.columns.keys()
    for name, values in found.columns.items():
        assert again.columns[name].dtype.kind == values.dtype.kind, name
        np.testing.assert_array_equal(again.columns[name], values)


def test_written_again_it_is_replaced(tmp_path: Path) -> None:
    write_evaluation(measure(), tmp_path, "test")
    other = replace(measure(), seconds=9.0)
    write_evaluation(other, tmp_path, "test")
    assert read_evaluation(tmp_path, "test").seconds == 9.0


def test_one_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "evaluation"
    with pytest.raises(InputError, match=r"on its test split; .*evaluate .*run --split test"):
        read_evaluation(folder, "test")


def test_damage_is_found(tmp_path: Path) -> None:
    write_evaluation(measure(), tmp_path, "test")
    table = tmp_path / "test.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    with pytest.raises(RunError, match=r"test.parquet does not belong to test.json or is"):
        read_evaluation(tmp_path, "test")
    (tmp_path / "test.json").write_text("{")
    with pytest.raises(RunError, match=r"test.json is damaged; measure again"):
        read_evaluation(tmp_path, "test")


def test_interrupted_at_every_operation_it_is_whole_or_said_to_be_damaged(tmp_path: Path) -> None:
    old, new = measure(), replace(measure(), seconds=9.0)
    outcomes = set()
    for fatal in range(100):
        folder = tmp_path / str(fatal)
        write_evaluation(old, folder, "test")
        left = fatal

        def watch(_operation: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(5, "input/output error")

        try:
            write_evaluation(new, folder, "test", Files(watch))
        except StorageError:
            outcomes.add(read_evaluation(folder, "test").seconds == old.seconds)
        else:
            break
    else:
        raise AssertionError("the sweep has no end")
    assert outcomes == {True, False}  # the last rename decides
    assert read_evaluation(folder, "test").seconds == 9.0
