"""A run that was stopped and went on is the run that was not: bit for bit, on the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from run_support import equal, small, weights

import luthier
from luthier.errors import InputError, Interrupted, RunError, SpecError
from luthier.recipe import Recipe
from luthier.run.directory import RunDirectory
from luthier.training.events import Event, Logged, Saved


class Killed(BaseException):
    """What nothing catches."""


def killed_after(step: int):  # type: ignore[no-untyped-def]
    """A hook that ends the process, as far as the run can tell, behind a checkpoint."""

    def hook(event: Event) -> None:
        if isinstance(event, Saved | Logged) and event.step >= step:
            raise Killed

    return hook


def stopped_and_resumed(recipe: Recipe, out: Path, steps: tuple[int, ...]) -> Path:
    """The run, killed at each of `steps` and gone on with."""
    for step in steps:
        with pytest.raises(Killed):
            luthier.train(recipe, out=out, resume=True, hooks=(killed_after(step),))
    luthier.train(recipe, out=out, resume=True)
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of the run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    luthier.train(small(), out=out)
    return weights(out)


@pytest.mark.parametrize("steps", [(2,), (3,), (7,), (8, 12), (2, 4, 6, 8, 10)])
@pytest.mark.parametrize("workers", [0, 2])
def test_resume_is_bit_exact(
    tmp_path: Path, whole: dict[str, torch.Tensor], steps: tuple[int, ...], workers: int
) -> None:
    recipe = small(f"training.workers={workers}")
    assert equal(weights(stopped_and_resumed(recipe, tmp_path / "run", steps)), whole)


def test_the_number_of_workers_changes_nothing(
    tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    luthier.train(small("training.workers=3"), out=tmp_path / "run")
    assert equal(weights(tmp_path / "run"), whole)


def test_another_seed_is_seen(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    luthier.train(small("training.seed=6"), out=tmp_path / "run")
    assert not equal(weights(tmp_path / "run"), whole)


def test_noise_with_a_state_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: dropout drawn from torch's running generator, as most loops do it."""
    monkeypatch.setattr("luthier.training.loop.seed_part", lambda *_: None)
    torch.manual_seed(1)
    luthier.train(small(), out=tmp_path / "whole")
    torch.manual_seed(1)
    stopped_and_resumed(small(), tmp_path / "parts", (7,))
    assert not equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_metrics_have_each_step_once(tmp_path: Path) -> None:
    out = stopped_and_resumed(small(), tmp_path / "run", (3, 7))
    rows = RunDirectory(out).read_metrics()
    logged = [row["step"] for row in rows if row["event"] == "logged"]
    assert logged == sorted(set(logged))


SCRIPT = """
import os, signal, sys
import luthier
from luthier.training.events import Saved
def hook(event):
    if isinstance(event, Saved) and event.step >= 6:
        os.kill(os.getpid(), signal.SIGKILL)
luthier.train(sys.argv[1], out=sys.argv[2], hooks=(hook,))
"""


def test_kill_9(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small().to_yaml())
    out = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(recipe), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "model").exists()
    luthier.train(recipe, out=out, resume=True)
    assert equal(weights(out), whole)


def test_sigterm_saves_says_how_to_go_on_and_exits_with_75(tmp_path: Path) -> None:
    recipe = small("training.epochs=400", "training.checkpoint_every_steps=1000000")
    file, out = tmp_path / "recipe.yaml", tmp_path / "run"
    file.write_text(recipe.to_yaml())
    command = [sys.executable, "-m", "luthier", "train", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not RunDirectory(out).read_metrics() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 75
    assert "stopped by SIGTERM after step" in told
    assert f"luthier train {out}/recipe.yaml --out {out} --resume" in told
    state = json.loads(next((out / "checkpoints").glob("step-*/state.json")).read_text())
    assert state["step"] > 0


def test_a_stop_in_the_middle_of_an_epoch_goes_on_there(
    tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    def stop_at_5(event: Event) -> None:
        if isinstance(event, Logged) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "run"
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM after step 3 of \d+; all is saved"):
        luthier.train(small(), out=out, hooks=(stop_at_5,))
    luthier.train(small(), out=out, resume=True)
    assert equal(weights(out), whole)


def test_a_flipped_bit_takes_the_checkpoint_before(
    tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    out = tmp_path / "run"
    with pytest.raises(Killed):
        luthier.train(small(), out=out, hooks=(killed_after(8),))
    newest = max((out / "checkpoints").glob("step-*"))
    file = newest / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    file.write_bytes(content)
    luthier.train(small(), out=out, resume=True)
    assert (out / "checkpoints" / f"{newest.name}.corrupt").exists()
    assert equal(weights(out), whole)


def test_a_finished_run_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small(), out=out)
    before = (out / "model" / "model.safetensors").stat().st_mtime_ns
    luthier.train(small(), out=out, resume=True)
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="holds a run already; go on with it with --resume"):
        luthier.train(small(), out=out)


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small(), out=out)
    with pytest.raises(SpecError, match=r"training.batch_size: got 25, but the run began with 24"):
        luthier.train(small("training.batch_size=25"), out=out, resume=True)
    longer = luthier.train(small("training.epochs=3"), out=out, resume=True)
    assert longer.summary()["steps"] == 3 * len(range(0, 160, 24))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def hook(event: Event) -> None:
        if isinstance(event, Logged):
            with pytest.raises(RunError, match="is in use by pid"):
                luthier.train(small(), out=out, resume=True)
            raise Killed

    with pytest.raises(Killed):
        luthier.train(small(), out=out, hooks=(hook,))
