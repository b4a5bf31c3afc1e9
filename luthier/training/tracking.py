"""Metrics sent to TensorBoard, Weights & Biases or MLflow, beside metrics.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from luthier.errors import missing_extra
from luthier.training.events import Evaluated, Event, Hook, Logged
from luthier.training.settings import Tracker


class Sink(Protocol):
    """Takes named numbers."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes what was measured with `step` steps done."""

    def close(self) -> None:
        """Sends what is left."""


@contextmanager
def tracked(
    trackers: Sequence[Tracker], run: str, directory: Path, start_step: int
) -> Iterator[tuple[Hook, ...]]:
    """A hook for each tracker.

    Args:
        trackers: Where to send metrics.
        run: The name of the run there.
        directory: Of the run; for what a tracker keeps on this machine.
        start_step: Steps done already, where the run goes on.

    Raises:
        InputError: If the package is not installed; says how to get it.
    """
    sinks: dict[Tracker, Callable[[str, Path, int], Sink]] = {
        "tensorboard": TensorBoard,
        "wandb": WeightsAndBiases,
        "mlflow": MLflow,
    }
    with ExitStack() as stack:
        hooks = []
        for name in trackers:
            sink = sinks[name](run, directory, start_step)
            stack.callback(sink.close)
            hooks.append(_hook(sink))
        yield tuple(hooks)


def values(event: Event) -> dict[str, float]:
    """The numbers of an event by the names that trackers show: `train/loss`."""
    match event:
        case Logged():
            named = {
                "train/loss": event.loss,
                "train/learning_rate": event.learning_rate,
                "train/gradient_norm": event.gradient_norm,
                "train/rows_per_second": event.rows_per_second,
                "train/waiting_share": event.waiting_share,
                "train/skipped": float(event.skipped),
            }
            return {name: value for name, value in named.items() if value is not None}
        case Evaluated():
            metrics = {f"validation/{name}": m.value for name, m in event.metrics.items()}
            return {"validation/loss": event.loss.value, **metrics}
    return {}


class TensorBoard:
    """Event files in the run's directory; `tensorboard --logdir runs` shows them."""

    def __init__(self, run: str, directory: Path, start_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise missing_extra("tensorboard", "track") from None
        del run  # TensorBoard takes the directory's name
        # What a run that was killed wrote after its last checkpoint comes again.
        self._writer = SummaryWriter(str(directory / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes what was measured with `step` steps done."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


class WeightsAndBiases:
    """The project `luthier`; the parts of a run that was stopped are a group of its name."""

    def __init__(self, run: str, directory: Path, start_step: int) -> None:
        try:
            import wandb
        except ModuleNotFoundError:
            raise missing_extra("wandb", "track") from None
        name = f"{run} from step {start_step}" if start_step else run
        self._run = wandb.init(project="luthier", group=run, name=name, dir=str(directory))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes what was measured with `step` steps done."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Sends what is left."""
        self._run.finish()


class MLflow:
    """The experiment `luthier`, on the server that `MLFLOW_TRACKING_URI` names."""

    def __init__(self, run: str, directory: Path, start_step: int) -> None:
        try:
            import mlflow
        except ModuleNotFoundError:
            raise missing_extra("mlflow", "track") from None
        del directory
        self._mlflow = mlflow
        mlflow.set_experiment("luthier")
        mlflow.start_run(run_name=f"{run} from step {start_step}" if start_step else run)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes what was measured with `step` steps done."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()


def _hook(sink: Sink) -> Hook:
    def tell(event: Event) -> None:
        found = values(event)
        if found:
            assert isinstance(event, Logged | Evaluated)
            sink.write(event.step, found)

    return tell
