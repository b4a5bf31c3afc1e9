"""Environments are made once, and anew when their pins change; here with no network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import environments
import image_training
import pytest


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run."""
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins" / "peer.txt").write_text("# direct: numpy\nnumpy==2.0\n")
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path / "pins")
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "envs")
    ran: list[list[str]] = []

    def run(command: list[str], **_settings: object) -> None:
        ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_an_environment_is_made_once(commands: list[list[str]], tmp_path: Path) -> None:
    python = environments.python_of("peer")
    assert python == tmp_path / "envs" / "peer" / "bin" / "python"
    assert [command[2] for command in commands] == ["venv", "pip"]
    environments.python_of("peer")
    assert len(commands) == 2


def test_changed_pins_make_it_anew(commands: list[list[str]], tmp_path: Path) -> None:
    environments.python_of("peer")
    (tmp_path / "pins" / "peer.txt").write_text("# direct: numpy\nnumpy==2.1\n")
    environments.python_of("peer")
    assert len(commands) == 4


def test_an_installation_that_was_cut_short_is_made_anew(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run

    def fails(command: list[str], **settings: object) -> None:
        real(command, **settings)
        if "pip" in command:
            raise subprocess.CalledProcessError(1, command)

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", fails)
        with pytest.raises(subprocess.CalledProcessError):
            environments.python_of("peer")
    environments.python_of("peer")
    assert len(commands) == 4


def test_every_contestant_has_its_script_and_its_pins() -> None:
    for one in image_training.contestants(overhead=True):
        assert (image_training.PEERS / one.command[0]).is_file()
        pins = environments.REQUIREMENTS / f"{one.environment}.txt"
        assert pins.read_text().startswith("# direct: ")
