"""Series from the recipe to the forecast: each verb, resume, and what is wrong in words."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_support import equal, weights

import luthier
from luthier.cli.app import run as command
from luthier.errors import InputError
from luthier.evaluation.storage import read_evaluation
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.training.events import Event, Saved

ROWS, LOOKBACK, HORIZON = 260, 30, 6
BEGIN = datetime.datetime(2024, 1, 1)


def table(path: Path, rows: int = ROWS, *, measured: int | None = None) -> Path:
    """`date,load,price`, a row an hour; the load hangs on the hour and on the price, and is not
    there behind the first `measured` rows."""
    steps = np.arange(ROWS)
    noise = np.random.default_rng(1).normal(size=ROWS)
    price = np.sin(steps / 5) + 2
    load = 50 + 10 * np.sin(2 * np.pi * steps / 24) - 4 * price + 0.5 * noise
    lines = ["date,load,price"]
    for row in range(rows):
        said = "" if measured is not None and row >= measured else f"{load[row]:.6f}"
        lines.append(f"{BEGIN + datetime.timedelta(hours=row)},{said},{price[row]:.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def recipe(path: Path, *overrides: str) -> Recipe:
    return Recipe.of(
        {
            "name": "load",
            "task": {"kind": "forecast", "horizon": HORIZON, "loss": "quantile"},
            "data": {
                "kind": "series",
                "path": str(path),
                "targets": ["load"],
                "known": ["price"],
                "calendar": True,
                "lookback": LOOKBACK,
            },
            "model": {
                "layers": [
                    {"kind": "recurrent", "cell": "gru", "width": 12, "gives": "last"},
                    {"kind": "dropout", "rate": 0.1},
                ]
            },
            "optimizer": {"kind": "adam", "learning_rate": 0.01},
            "training": {
                "epochs": 3,
                "batch_size": 20,
                "accumulate": 2,
                "seed": 4,
                "checkpoint_every_steps": 2,
            },
            "placement": {"threads": 1, "precision": "fp32"},
        },
        overrides,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("series")


@pytest.fixture(scope="module")
def finished(folder: Path) -> luthier.Run:
    return luthier.train(recipe(table(folder / "load.csv")), out=folder / "run")


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("step", [4, 8])
def test_resume_is_bit_exact(
    folder: Path, finished: luthier.Run, tmp_path: Path, step: int
) -> None:
    def hook(event: Event) -> None:
        if isinstance(event, Saved) and event.step >= step:
            raise Killed

    again = recipe(folder / "load.csv")
    with pytest.raises(Killed):
        luthier.train(again, out=tmp_path / "run", hooks=(hook,))
    luthier.train(again, out=tmp_path / "run", resume=True)
    assert equal(weights(folder / "run"), weights(tmp_path / "run"))


def test_it_beats_what_needs_no_network(folder: Path, finished: luthier.Run) -> None:
    longer = recipe(
        folder / "load.csv", "training.epochs=25", "training.checkpoint_every_steps=500"
    )
    metrics = luthier.train(longer, out=folder / "longer").summary()["metrics"]
    assert next(iter(metrics)) == "crps"
    best = min(metrics["repeat_last_mae"]["value"], metrics["seasonal_naive_mae"]["value"])
    assert metrics["mae"]["value"] < 0.8 * best
    assert 0.3 < metrics["coverage"]["value"] <= 1


def test_a_file_is_forecast_as_the_window_that_ends_with_it(
    folder: Path, finished: luthier.Run
) -> None:
    """The last window of the test rows, and a file that ends where it does: what is measured goes
    up to there, and the price goes on."""
    evaluation = read_evaluation(folder / "run" / "evaluation", "test")
    wanted = evaluation.columns["forecast"][-1].reshape(HORIZON, 9)
    recent = table(folder / "recent.csv", measured=ROWS - HORIZON)
    (said,) = finished.predict([recent])
    got = np.array(list(said["quantiles"]["load"].values())).T
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    begin = BEGIN + datetime.timedelta(hours=ROWS - HORIZON)
    assert said["time"] == [str(begin + datetime.timedelta(hours=n)) for n in range(HORIZON)]
    assert said["time"][0] == evaluation.columns["name"][-1]
    # Another price in the hours to come is another forecast; earlier ones are not read any more.
    text = recent.read_text().splitlines()
    other = folder / "other.csv"
    other.write_text("\n".join([*text[:-1], text[-1].rsplit(",", 1)[0] + ",9.0"]))
    (else_,) = finished.predict([other])
    assert else_["forecast"] != said["forecast"]
    short = folder / "short.csv"
    short.write_text("\n".join([text[0], *text[-LOOKBACK - HORIZON :]]))
    again = finished.predict([short])[0]["forecast"]
    assert again["load"] == pytest.approx(said["forecast"]["load"])


def test_the_verbs(folder: Path, finished: luthier.Run, capsys: pytest.CaptureFixture[str]) -> None:
    run, recent = str(folder / "run"), str(table(folder / "r.csv", measured=ROWS - HORIZON))
    assert command(["evaluate", run]) == 0
    told = capsys.readouterr().out
    for name in ("crps", "mae_in_units", "mase", "repeat_last_mae", "seasonal_naive_mase"):
        assert name in told, name
    assert command(["predict", run, recent, "--csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0][:3] == ["time", "load", "load 0.1"]
    assert len(rows) == HORIZON + 1
    assert command(["predict", run, recent]) == 0
    assert rows[1][0] in capsys.readouterr().out
    assert command(["predict", run, recent, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["forecast"]["load"][0] == pytest.approx(float(rows[1][1]), rel=1e-6)
    assert command(["report", run]) == 0
    page = (folder / "run" / "report.html").read_text()
    assert "What it forecasts" in page
    assert page.count("steps from the last one that was read") == 6
    assert "polygon" in page
    assert "CRPS" in page
    card = (folder / "run" / "model" / "README.md").read_text()
    assert "pipeline_tag: time-series-forecasting" in card
    assert "recent.csv" in card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:20], "has 14 steps; the network reads the last 30"),
        (lambda rows: rows[:-3], "has 3 rows behind the last one with a target; wanted 6 with"),
        (lambda rows: [row.replace("load", "lod") for row in rows], 'has no column "load"'),
        (lambda rows: [*rows[:-9], rows[-9].replace(":00,", ":00,x"), *rows[-8:]], "wanted a fini"),
        (lambda rows: [*rows[:-10], *rows[-9:]], "2 of the values that the network reads are"),
    ],
)
def test_a_file_that_cannot_be_forecast(
    folder: Path, finished: luthier.Run, tmp_path: Path, change: Any, message: str
) -> None:
    rows = table(tmp_path / "recent.csv", 80, measured=74).read_text().splitlines()
    path = tmp_path / "changed.csv"
    path.write_text("\n".join(change(rows)))
    if "14 steps" in message:
        table(path, 20, measured=14)
    with pytest.raises(InputError, match=message):
        finished.predict([path])


def test_check_says_what_is_to_be_known(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "load.csv").read_text().splitlines()
    lines[10], lines[11] = lines[11], lines[10]
    lines[50] = lines[50].split(",")[0] + ",,1.0"
    for row in range(210, 261):  # the test rows lie elsewhere
        time, load, price = lines[row].split(",")
        lines[row] = f"{time},{float(load) + 500},{price}"
    (tmp_path / "load.csv").write_text("\n".join(lines))
    path = tmp_path / "load.yaml"
    given = recipe(tmp_path / "load.csv", "data.missing=fill", "data.season=7")
    path.write_text(given.to_yaml())
    assert command(["check", str(path)]) == 0
    told = capsys.readouterr().out
    for part in (
        "260 rows in steps of 1h, 1 target: 147 train, 21 validation, 47 test",
        "warning: 1 value is missing: each is read as the last one before it",
        "warning: test lies more than 3 standard deviations from the training rows: load",
        "note: rows do not stand in the order of time",
        "repeat themselves most clearly every 24 steps",
        "note: on test, repeating the last value has an MSE of",
    ):
        assert part in told, part


def test_what_changes_slowly_repeats_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = [f"{50 + 10 * math.sin(row / 9):.4f}" for row in range(300)]
    (tmp_path / "slow.csv").write_text("\n".join(["load", *slow]))
    given = ["data.time=null", "data.known=[]", "data.calendar=false", "data.season=5", "--json"]
    path = tmp_path / "slow.yaml"
    path.write_text(recipe(tmp_path / "slow.csv").to_yaml())
    assert command(["check", str(path), *given]) == 0
    assert "most clearly" not in capsys.readouterr().out


def test_a_table_that_is_too_short_says_what_is_wanted(folder: Path, tmp_path: Path) -> None:
    table(tmp_path / "load.csv", 40)
    with pytest.raises(InputError, match=r"has \d+ training rows; wanted 36 or more: a window"):
        luthier.train(recipe(tmp_path / "load.csv"), out=tmp_path / "none")
    found = check_recipe(recipe(tmp_path / "load.csv")).findings
    assert "long enough: the series has" in found[0].message
    assert "wanted 36 or more: a window reads 30" in found[0].message


def test_series_are_measured_on_their_own_and_start_from_nothing(
    folder: Path, finished: luthier.Run
) -> None:
    given = recipe(table(folder / "load.csv"))
    with pytest.raises(InputError, match="is measured on those that it was trained on; forecast"):
        finished.evaluate(on=given)
    started = given.with_values({"start": str(folder / "run"), "model": None})
    with pytest.raises(InputError, match="forecasts start from nothing: leave it out"):
        luthier.train(started, out=folder / "none")


def test_a_file_with_other_steps(tmp_path: Path) -> None:
    path = table(tmp_path / "load.csv")
    given = recipe(path, "data.missing=fill", "data.known=[]", "training.epochs=1")
    run = luthier.train(given, out=tmp_path / "filled")
    rows = path.read_text().splitlines()
    (tmp_path / "daily.csv").write_text("\n".join([rows[0], *rows[1::24]]))
    with pytest.raises(InputError, match=r"28 of the 30 steps .* have no values; wanted rows in"):
        run.predict([tmp_path / "daily.csv"])


def test_new_writes_a_recipe_that_is_checked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.yaml"
    assert command(["new", "forecast", str(folder / "load.csv"), "--out", str(out)]) == 0
    assert command(["check", str(out)]) == 0
    assert Recipe.read(out).model is not None
    told = capsys.readouterr().out
    assert "kind: nlinear" in told
    assert "lookback: 65" in told


def test_a_family_reaches_as_far_as_the_task(folder: Path) -> None:
    given = recipe(folder / "load.csv", "model={kind: patchtst, width: 8, depth: 1, heads: 2}")
    run = luthier.train(
        given.with_values({"training.epochs": 1, "training.batch_size": 40}), out=folder / "patches"
    )
    assert run.network.gives.shape == (HORIZON, 9)
    resolved = (folder / "patches" / "resolved.yaml").read_text()
    assert "horizon: 6  # as much as the task forecasts" in resolved
    assert "outputs: 9  # as much as the task forecasts" in resolved


def test_several_series(folder: Path, tmp_path: Path) -> None:
    plain = (folder / "load.csv").read_text().splitlines()
    lines = [f"shop,{plain[0]}"]
    for row in plain[1:]:
        time, load, price = row.split(",")
        lines += [f"north,{row}", f"south,{time},{float(load) * 100},{price}"]
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(lines))
    given = recipe(path, "data.series=shop", "training.epochs=1", "data.known=[]")
    run = luthier.train(given, out=tmp_path / "run")
    one, other = run.predict([path])
    assert (one["input"], other["input"]) == (f"{path}: north", f"{path}: south")
    torch.testing.assert_close(
        torch.tensor(other["forecast"]["load"]),
        torch.tensor(one["forecast"]["load"]) * 100,
        rtol=1e-4,
        atol=1e-4,
    )
    path.write_text("\n".join([lines[0], *(line.replace("south", "west") for line in lines[1:])]))
    with pytest.raises(InputError, match='no series "west" was trained on'):
        run.predict([path])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["task={kind: classify}"],
            "data.kind: series has series to forecast, but the task learns",
        ),
        (["data={kind: digits}"], "pictures with a label each, but the task learns what comes"),
        (["data={kind: text, path: x}"], "but the task learns what comes next in a series"),
        (["model={kind: bert, size: tiny}"], "tokens reads tokens, but gets a sequence (30, 8)"),
        (["model={kind: dlinear, horizon: 7}"], "model.horizon: got 7, but the task wants 6"),
        (["training.samples=[a]"], "forecast does not write texts"),
        (["training.batch_size=auto", "training.batch_tokens=90"], "from whole windows"),
    ],
)
def test_what_does_not_go_together(folder: Path, overrides: list[str], message: str) -> None:
    table(folder / "load.csv")
    with pytest.raises(InputError) as caught:
        luthier.train(recipe(folder / "load.csv", *overrides), out=folder / "none")
    assert message in str(caught.value)
    assert not (folder / "none").exists()


def test_a_forecast_of_pictures_is_no_csv(
    capsys: pytest.CaptureFixture[str], finished: luthier.Run, folder: Path
) -> None:
    path = str(folder / "load.csv")
    assert command(["predict", str(folder / "run"), path, "--csv", "--json"]) == 2
    assert "got both --json and --csv" in capsys.readouterr().err
    assert command(["predict", str(folder / "run"), path, "--top", "2"]) == 2
    assert "--top: is for what has several answers" in capsys.readouterr().err
    assert command(["design", "patchtst"]) == 0
    assert "a sequence (336, 7)" in capsys.readouterr().out
    assert command(["design", "dlinear", "--vocab", "96"]) == 2
    assert "reads no tokens; leave out --vocab" in capsys.readouterr().err
