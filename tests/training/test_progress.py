"""What a person sees: a bar at a terminal, lines elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from test_metrics_file import logged
from toy_training import World

from luthier.metrics.interval import Metric
from luthier.training import loop, progress
from luthier.training.callbacks import Callbacks
from luthier.training.events import Evaluated, Event, Started, Stopped, Ticked
from luthier.training.progress import duration, shown_progress
from luthier.training.settings import TrainingSpec

TICK = Ticked(
    step=300, epoch=0.64, loss=0.21, rows_per_second=19300.4, waiting_share=0.012,
    seconds_left=83.0,
)  # fmt: skip
EVALUATED = Evaluated(
    step=469, epoch=1.0, headline="macro_f1", best=True,
    metrics={"macro_f1": Metric(value=0.981, low=0.978, high=0.984, n=10000)},
    loss=Metric(value=0.061, low=0.05, high=0.07, n=10000),
)  # fmt: skip
EVENTS: list[Event] = [
    Started(step=0, total_steps=4690, steps_per_epoch=469),
    TICK,
    replace(logged(400), skipped=1),
    replace(logged(450), skipped=1),
    EVALUATED,
    replace(TICK, loss=None),
    Stopped(step=4690, reason="finished", seconds=3720.0),
]


def shown(terminal: bool, *events: Event) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    with shown_progress(console, unit="images") as hook:
        for event in events:
            hook(event)
    return out.getvalue()


def test_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert shown(False, *EVENTS).splitlines() == [
        "step 0 of 4,690: training begins",
        "step 300 of 4,690, epoch 0.6: loss 0.2100 · 19,300 images/s · 1 min 23 s left · 1 % "
        "waiting for data",
        "step 400: 1 step was skipped so far, of a loss or gradient that is not finite",
        "epoch 1: validation macro f1 0.9810 (0.9780 to 0.9840), loss 0.0610, the best so far",
        "step 300 of 4,690, epoch 0.6: loss none · 19,300 images/s · 1 min 23 s left · 1 % "
        "waiting for data",
        "step 4,690 of 4,690: done after 1 h 2 min",
    ]


def test_lines_are_few() -> None:
    assert len(shown(False, EVENTS[0], *[TICK] * 1000).splitlines()) == 1


def test_a_bar() -> None:
    text = shown(True, *EVENTS)
    for part in (
        "epoch 1/10", "epoch 10/10", "loss 0.2100 · 19,300 images/s · 1 min 23 s left", "100 %",
        "1 % waiting for data", "macro f1 0.9810", "1 step was skipped", "done after 1 h 2 min",
    ):  # fmt: skip
        assert part in text
    assert text.count("was skipped") == 1


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("max_minutes", "the time is up after 5 s"),
        ("patience", "no better for too long after 5 s"),
        ("signal", "asked to stop after 5 s"),
    ],
)
def test_why_it_stopped(reason: str, text: str) -> None:
    stopped = Stopped(step=3, reason=reason, seconds=5.0)  # type: ignore[arg-type]
    assert text in shown(False, EVENTS[0], stopped)


def test_two_steps_were() -> None:
    assert "2 steps were skipped" in shown(False, replace(logged(9), skipped=2))


def test_a_whole_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TICK_SECONDS", 0.0)
    out = io.StringIO()
    world = World(TrainingSpec(epochs=2, batch_size=8))
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with shown_progress(console) as hook:
        world.go(world.make(), callbacks=Callbacks(hooks=(hook,)))
    assert "epoch 2/2" in out.getvalue()
    assert "rows/s" in out.getvalue()


def test_durations() -> None:
    assert duration(59.7) == "1 min 0 s"
    assert duration(0) == "0 s"
