"""Schedules against tables made by hand, and against torch's."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from luthier.errors import SpecError
from luthier.spec import parse
from luthier.training.schedule import (
    ConstantSpec,
    CosineSpec,
    LinearSpec,
    OneCycleSpec,
    ScheduleSpec,
    WarmupStableDecaySpec,
    schedule_for,
)

HALF = math.sqrt(0.5)
TABLES: list[tuple[ScheduleSpec, list[float]]] = [
    (ConstantSpec(), [1, 1, 1, 1]),
    (ConstantSpec(warmup_steps=4), [0.25, 0.5, 0.75, 1, 1, 1]),
    (LinearSpec(), [1, 0.75, 0.5, 0.25]),
    (LinearSpec(final=0.5), [1, 0.875, 0.75, 0.625]),
    (LinearSpec(warmup_steps=2, final=0.2), [0.5, 1, 1, 0.8, 0.6, 0.4]),
    (CosineSpec(), [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
    (CosineSpec(warmup_steps=1, final=0.1), [1, 1, 0.55]),
    (WarmupStableDecaySpec(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5]),
    (WarmupStableDecaySpec(warmup_steps=2, decay_fraction=0.5), [0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
    (WarmupStableDecaySpec(decay_fraction=0.5, decay="sqrt"), [1, 1, 1, 1, 1, 0.5, 1 - HALF,
                                                               1 - math.sqrt(0.75)]),
    (WarmupStableDecaySpec(warmup_steps=2, decay_fraction=1.0), [0.5, 1, 1, 0.5]),
    (OneCycleSpec(rise_fraction=0.5, start=0.0, final=0.0), [0, 0.5, 1, 0.75, 0.25, 0]),
    (OneCycleSpec(), [1]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "table"), TABLES, ids=lambda value: str(value)[:40])
def test_tables(spec: ScheduleSpec, table: list[float]) -> None:
    schedule = schedule_for(spec, len(table))
    assert [schedule(step) for step in range(len(table))] == pytest.approx(table, abs=1e-12)


@pytest.mark.parametrize(("total", "rise", "start", "final"), [(50, 0.3, 25, 1e4), (7, 0.6, 10, 5)])
def test_one_cycle_is_that_of_torch(total: int, rise: float, start: float, final: float) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total, pct_start=rise, div_factor=start,
        final_div_factor=final, cycle_momentum=False,
    )  # fmt: skip
    spec = OneCycleSpec(rise_fraction=rise, start=1 / start, final=1 / (start * final))
    for step in range(total):
        rate = optimizer.param_groups[0]["lr"]
        assert spec.multiplier(step, total) == pytest.approx(rate, abs=1e-12), step
        optimizer.step()
        theirs.step()


SPECS = st.one_of(
    st.builds(ConstantSpec, warmup_steps=st.integers(0, 30)),
    st.builds(LinearSpec, warmup_steps=st.integers(0, 30), final=st.floats(0, 1)),
    st.builds(CosineSpec, warmup_steps=st.integers(0, 30), final=st.floats(0, 1)),
    st.builds(
        WarmupStableDecaySpec,
        warmup_steps=st.integers(0, 30),
        decay_fraction=st.floats(0.01, 1),
        decay=st.sampled_from(["linear", "sqrt"]),
    ),
    st.builds(OneCycleSpec, rise_fraction=st.floats(0.01, 0.99), start=st.floats(0, 0.9)),
)


@given(spec=SPECS, total=st.integers(31, 400))
def test_every_multiple_lies_between_none_and_all(spec: ScheduleSpec, total: int) -> None:
    schedule = schedule_for(spec, total)
    multiples = [schedule(step) for step in range(total)]
    assert all(-1e-12 <= multiple <= 1 + 1e-12 for multiple in multiples)
    rises = [b >= a - 1e-12 for a, b in itertools.pairwise(multiples)]
    assert rises == sorted(rises, reverse=True)  # up, then down, and never up again
    assert parse(type(spec), spec.model_dump(mode="json")) == spec


def test_a_warmup_longer_than_the_run() -> None:
    with pytest.raises(SpecError) as caught:
        schedule_for(CosineSpec(warmup_steps=500), 200)
    assert str(caught.value.problems[0]) == (
        "schedule.warmup_steps: got 500, but the run has only 200 steps; wanted fewer, or a "
        "longer run"
    )
    with pytest.raises(SpecError, match="got 200"):
        schedule_for(LinearSpec(warmup_steps=200), 200)
    assert schedule_for(ConstantSpec(warmup_steps=200), 200)(199) == 1.0


def test_a_cycle_that_does_not_move() -> None:
    with pytest.raises(SpecError, match="start and final are both 1"):
        parse(OneCycleSpec, {"start": 1.0, "final": 1.0})
