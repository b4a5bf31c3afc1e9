"""A folder with recipes, right and wrong, and finished runs: made once, changed by no test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import DIGITS, Command
from text_files import RECIPES, write_texts, write_wrong_texts
from wrong_files import write_wrong_files

from luthier.cli.app import run


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    before, cache = Path.cwd(), os.environ.get("LUTHIER_CACHE")
    os.chdir(home)
    os.environ["LUTHIER_CACHE"] = str(home / "cache")
    try:
        Path("digits.yaml").write_text(DIGITS)
        assert run(["train", "digits.yaml"]) == 0
        assert run(["train", "digits.yaml", "name=other", "training.seed=8"]) == 0
        assert run(["train", "digits.yaml", "name=fewer", "data.limit=200"]) == 0
        write_texts()
        for name in RECIPES:
            assert run(["train", f"{name}.yaml"]) == 0
        write_wrong_files()
        write_wrong_texts()
        yield home
    finally:
        os.chdir(before)
        os.environ.pop("LUTHIER_CACHE")
        if cache is not None:
            os.environ["LUTHIER_CACHE"] = cache


@pytest.fixture
def world(_world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, which is also where commands run."""
    monkeypatch.chdir(_world)
    monkeypatch.setenv("LUTHIER_CACHE", str(_world / "cache"))
    return _world


@pytest.fixture
def luthier(world: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in the world."""
    return Command(capsys)
