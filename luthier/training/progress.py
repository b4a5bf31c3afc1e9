"""What a person sees of a training that runs: a bar at a terminal, else a line now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from luthier.training.events import Evaluated, Event, Hook, Logged, Started, Stopped, Ticked

LINE_SECONDS = 10.0
"""How often a line is printed, at most, where nobody sits at a terminal."""


@contextmanager
def shown_progress(console: Console, unit: str = "rows", units: float = 1) -> Iterator[Hook]:
    """A hook that shows how far the training is, on `console`.

    Args:
        console: Where to; whether it is a terminal decides for a bar or for lines.
        unit: What the network learns from, many of them: the rate is told in it.
        units: Of them in one row, on average.
    """
    if not console.is_terminal:
        yield _Lines(console, unit, units)
        return
    columns = (
        TextColumn("{task.fields[epoch]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[figures]}"),
    )
    # Refreshed only when told to: a thread that draws would take the interpreter from the loop.
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        yield _Bar(bar, unit, units)


class _Bar:
    def __init__(self, bar: Progress, unit: str, units: float) -> None:
        self._bar = bar
        self._unit, self._units = unit, units
        self._task: TaskID | None = None
        self._epochs = 0.0
        self._steps_per_epoch = 1
        self._skipped = 0

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._steps_per_epoch = event.steps_per_epoch
                self._epochs = event.total_steps / event.steps_per_epoch
                epoch = _epoch(event.step / event.steps_per_epoch, self._epochs)
                self._task = self._bar.add_task(
                    "", total=event.total_steps, completed=event.step, epoch=epoch, figures=""
                )
            case Ticked():
                epoch = _epoch(event.epoch, self._epochs)
                self._move(event.step, epoch, figures(event, self._unit, self._units))
            case Logged() if event.skipped > self._skipped:
                self._say(skipped_text(event))
                self._skipped = event.skipped
            case Evaluated():
                self._say(evaluated_text(event))
            case Stopped():
                epoch = _epoch(event.step / self._steps_per_epoch, self._epochs)
                self._move(event.step, epoch, stopped_text(event))

    def _move(self, step: int, epoch: str, figures: str) -> None:
        assert self._task is not None
        self._bar.update(self._task, completed=step, epoch=epoch, figures=figures, refresh=True)

    def _say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)


class _Lines:
    def __init__(
        self,
        console: Console,
        unit: str,
        units: float = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._unit, self._units = unit, units
        self._clock = clock
        self._last = clock()
        self._total_steps = 0
        self._skipped = 0

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._total_steps = event.total_steps
                self._say(f"step {event.step:,} of {event.total_steps:,}: training begins")
            case Ticked() if self._clock() - self._last >= LINE_SECONDS:
                self._last = self._clock()
                step = f"step {event.step:,} of {self._total_steps:,}, epoch {event.epoch:.1f}"
                self._say(f"{step}: {figures(event, self._unit, self._units)}")
            case Logged() if event.skipped > self._skipped:
                self._say(skipped_text(event))
                self._skipped = event.skipped
            case Evaluated():
                self._say(evaluated_text(event))
            case Stopped():
                self._say(f"step {event.step:,} of {self._total_steps:,}: {stopped_text(event)}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def figures(event: Ticked, unit: str, units: float = 1) -> str:
    """The loss, the rate, the time left, and the share of time spent waiting for data."""
    loss = "none" if event.loss is None else f"{event.loss:.4f}"
    return (
        f"loss {loss} · {event.rows_per_second * units:,.0f} {unit}/s · "
        f"{duration(event.seconds_left)} left · {100 * event.waiting_share:.0f} % waiting for data"
    )


def evaluated_text(event: Evaluated) -> str:
    """The headline with its interval, the loss, and whether it is the best so far."""
    metric = event.metrics[event.headline]
    best = ", the best so far" if event.best else ""
    headline = event.headline.replace("_", " ")
    loss = "" if headline == "loss" else f", loss {event.loss.value:.4f}"
    said = (
        f"epoch {round(event.epoch, 2):g}: validation {headline} {metric.value:.4f} "
        f"({metric.interval_text()}){loss}{best}"
    )
    samples = (f"{prompt}{text}\n" for prompt, text in event.samples.items())
    return "\n".join([said, *samples])


def skipped_text(event: Logged) -> str:
    """How many steps were skipped, and why."""
    steps = "1 step was" if event.skipped == 1 else f"{event.skipped} steps were"
    return f"step {event.step:,}: {steps} skipped so far, of a loss or gradient that is not finite"


def stopped_text(event: Stopped) -> str:
    """Why the training ended, and after how long."""
    why = {
        "finished": "done",
        "max_minutes": "the time is up",
        "patience": "no better for too long",
        "signal": "asked to stop",
    }
    return f"{why[event.reason]} after {duration(event.seconds)}"


def duration(seconds: float) -> str:
    """A time as people read it.

    Example:
        >>> duration(7.4), duration(83), duration(3 * 3600 + 120)
        ('7 s', '1 min 23 s', '3 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _epoch(done: float, total: float) -> str:
    """The epoch that is running, from 1, of how many."""
    return f"epoch {min(int(done) + 1, math.ceil(total)):g}/{math.ceil(total)}"
