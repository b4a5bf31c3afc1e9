"""The report of several runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from luthier.errors import InputError
from luthier.evaluation.compare import compare
from luthier.reports.comparison_report import comparison_report, flattened, unique_names

Make = Callable[..., Any]


def plain(page: str) -> str:
    return page.replace("\u202f", " ").replace("\u00a0", " ").replace("&lt;", "<")


def test_a_clear_difference(make_run: Make, make_columns: Make) -> None:
    good = make_run(make_columns(wrong=7), name="good")
    poor = make_run(make_columns(wrong=40, seed=1), name="poor")
    page = plain(comparison_report([poor, good]))
    assert (
        "good is better than poor: 98.1 % against 88.9 % on the same 360 images, more than luck "
        "explains (p < 0.001)."
    ) in page
    assert "good against poor" in page
    assert "+9.17" in page


def test_no_difference(make_run: Make, make_columns: Make) -> None:
    runs = [make_run(make_columns(wrong=wrong), name=f"run{wrong}") for wrong in (7, 9)]
    page = plain(comparison_report(runs))
    assert "run7 and run9 cannot be told apart: 98.1 % against 97.5 %" in page
    assert "a difference that luck explains (p = 0." in page


def test_three_runs_are_adjusted_for(make_run: Make, make_columns: Make) -> None:
    runs = [
        make_run(make_columns(wrong=wrong, seed=wrong), name=f"run{wrong}") for wrong in (7, 18, 24)
    ]
    columns = [run.evaluation.columns for run in runs]
    test = compare(columns[0], columns[1]).accuracy
    assert test
    assert 0.025 < test.p_value < 0.05
    page = plain(comparison_report(runs))
    assert "adjusted for their number (Holm)" in page
    assert "run7 and run18 cannot be told apart" in page  # alone it would pass for a difference
    assert "run7" in plain(comparison_report(runs[:2])).split("is better than")[0]


def test_what_differs(make_run: Make) -> None:
    resolved = {"name": "other", "training": {"seed": 8, "epochs": 3}, "model": {"layers": [{}]}}
    first, second = make_run(), make_run(name="other", resolved=resolved)
    page = comparison_report([first, second])
    assert "<code>training.seed</code></td><td><code>7</code></td><td><code>8</code>" in page
    assert "<code>training.epochs</code></td><td><code>–</code></td><td><code>3</code>" in page
    assert "<code>name</code>" not in page
    assert "Nothing: the recipes are the same." in comparison_report([first, first])


def test_runs_of_one_name(make_run: Make) -> None:
    runs = [make_run(), make_run(), make_run(name="other")]
    assert unique_names(runs) == ["digits (1)", "digits (2)", "other"]
    assert "digits (2) against digits (1)" in comparison_report(runs)


def test_the_curves_are_those_of_the_validation(make_run: Make) -> None:
    page = comparison_report([make_run(), make_run(name="other")])
    assert "Loss (validation)" in page
    assert "Loss (train)" not in page
    assert "Learning rate (train)" in page
    assert page.count('<polyline class="line run1"') == 3
    assert "Learning rate" not in comparison_report([make_run(curves=()), make_run(curves=())])


def test_how_many(make_run: Make) -> None:
    with pytest.raises(InputError, match="got 1 run to compare; wanted 2 to 6"):
        comparison_report([make_run()])
    with pytest.raises(InputError, match="got 7 runs to compare"):
        comparison_report([make_run()] * 7)


def test_other_examples(make_run: Make, make_columns: Make) -> None:
    other = make_run(make_columns(examples=300))
    with pytest.raises(InputError, match="measured on 360 and on 300 examples"):
        comparison_report([make_run(), other])


def test_a_task_without_right_and_wrong(make_run: Make) -> None:
    def bare(name: str) -> Any:
        run = make_run(name=name, classes=(), counts=None)
        columns = {key: run.evaluation.columns[key] for key in ("id", "loss")}
        metrics = {"log_loss": run.evaluation.metrics["log_loss"]}
        evaluation = replace(run.evaluation, columns=columns, metrics=metrics, headline="log_loss")
        return replace(run, evaluation=evaluation)

    page = plain(comparison_report([bare("a"), bare("b")]))
    assert "Log loss: a 0." in page
    assert "McNemar" not in page


def test_hostile_names(make_run: Make) -> None:
    hostile = "<script>alert(1)</script>"
    run = make_run(name=hostile, resolved={hostile: hostile})
    page = comparison_report([run, make_run()])
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_flattened() -> None:
    assert flattened({"a": {"b": [1, 2], "c": [{"d": 1}, {"e": None}]}}) == {
        "a.b": [1, 2],
        "a.c[0].d": 1,
        "a.c[1].e": None,
    }
    assert flattened({"a": {}}) == {}
