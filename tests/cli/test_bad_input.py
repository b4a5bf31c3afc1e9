"""Wrong recipes, files, pictures and commands: a clear message each, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bad_input_table import GOOD, ROWS
from command import Command

JARGON = (
    "Traceback",
    "Input should be",
    "tuple",
    "NoneType",
    "ValidationError",
    " at 0x",
    "errno",
    "pydantic",
    "For further information",
)
MOST_LINES = 40


def faults(code: int, told: str, wanted_code: int, phrases: tuple[str, ...]) -> list[str]:
    """What is wrong with how a command refused."""
    found = [f'says "{word}"' for word in JARGON if word in told]
    found += [f'does not say "{phrase}"' for phrase in phrases if phrase not in told]
    if code != wanted_code:
        found.append(f"exit code {code}, wanted {wanted_code}")
    if not any(line.startswith("error: ") for line in told.splitlines()):
        found.append("has no line that begins with error:")
    if told.count("\n") > MOST_LINES:
        found.append("is too long")
    return found


def leak(_recipe: object, _overrides: object) -> None:
    """A handler that forgot to word an error."""
    raise ValueError("not enough values to unpack (expected 2, got 1)")


def shown(arguments: tuple[str, ...]) -> str:
    """The arguments as the name of a test."""
    return " ".join(arguments).removeprefix(f"train {GOOD} name=fresh ")[:60]


@pytest.mark.parametrize(
    ("arguments", "phrases", "code"), [pytest.param(*row, id=shown(row[0])) for row in ROWS]
)
def test_refused(
    luthier: Command, arguments: tuple[str, ...], phrases: tuple[str, ...], code: int
) -> None:
    outcome = luthier(*arguments)
    begun = Path("runs/fresh/resolved.yaml").exists()
    shutil.rmtree("runs/fresh", ignore_errors=True)
    assert faults(outcome.code, outcome.err, code, phrases) == [], outcome.err
    assert not begun or code == 1, "a run was begun"


def test_enough_rows() -> None:
    assert len(ROWS) >= 200
    assert len({arguments for arguments, _, _ in ROWS}) == len(ROWS)
    assert all(phrases for _, phrases, _ in ROWS)


def test_a_leak_is_seen(luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: with a handler that lets a ValueError through, a row of the table fails."""
    monkeypatch.setattr("luthier.recipe.Recipe.read", leak)
    with pytest.raises(ValueError, match="not enough values"):
        luthier("train", GOOD, "name=fresh")


@pytest.mark.parametrize(
    ("code", "told", "fault"),
    [
        (1, "error: epochs: got 0\n", "exit code 1, wanted 2"),
        (2, "error: wrong\n", 'does not say "epochs"'),
        (2, "epochs\n", "has no line that begins with error:"),
        (2, "error: epochs: Input should be 1\n", 'says "Input should be"'),
        (2, "error: epochs" + "\n" * 50, "is too long"),
    ],
)
def test_a_poor_message_is_seen(code: int, told: str, fault: str) -> None:
    assert faults(code, told, 2, ("epochs",)) == [fault]
    assert faults(2, "error: epochs: got 0, wanted at least 1\n", 2, ("epochs",)) == []


def in_a_process(
    *arguments: str, columns: int = 80, encoding: str = "utf-8", module: str = "luthier"
) -> tuple[int, str]:
    """The exit code and standard error of a real `luthier`."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "COLUMNS": str(columns),
            "PYTHONIOENCODING": encoding,
            "OMP_NUM_THREADS": "1",
        },
    )
    return done.returncode, done.stderr


def test_in_a_narrow_terminal(world: Path) -> None:
    code, told = in_a_process("train", "many.yaml", columns=10)
    phrases = (
        'data.limt: unknown setting "limt"; did you mean "limit"? (line 3)\n',
        'model.layers[1].width: got "wide", wanted a whole number (line 7)\n',
    )
    assert faults(code, told, 2, phrases) == []


def test_where_only_ascii_can_be_shown(world: Path) -> None:
    layers = "model.layers=[{kind: max_pool, size: 9}]"
    code, told = in_a_process("design", GOOD, layers, encoding="ascii")
    assert faults(code, told, 2, ("model.layers[0]: max_pool needs 9 ? 9 positions",)) == []


def test_a_damaged_run_in_a_process(world: Path) -> None:
    code, told = in_a_process("predict", "runs/flipped", "good.png")
    assert faults(code, told, 1, ("model.safetensors", "SHA-256")) == []


def test_a_traceback_in_a_process_is_seen(world: Path) -> None:
    """The twin, as a person would see it."""
    Path("leaky.py").write_text(
        "from luthier.recipe import Recipe\n"
        "from luthier.cli.app import main\n"
        "def leak(*_): raise ValueError('not worded')\n"
        "Recipe.read = leak\n"
        "main()\n"
    )
    code, told = in_a_process("train", GOOD, module="leaky")
    assert 'says "Traceback"' in faults(code, told, 2, ())
    assert "exit code 1, wanted 2" in faults(code, told, 2, ())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc to be refused by")
@pytest.mark.parametrize(
    "arguments",
    [
        ("design", GOOD, "--draw", "/proc/net.svg"),
        ("schema", "--out", "/proc/recipe.json"),
        ("new", "classify", "digits", "--out", "/proc/digits.yaml"),
        ("report", "digits", "--out", "/proc/report.html"),
        ("train", GOOD, "--out", "/proc/run"),
    ],
)
def test_a_folder_that_nobody_may_write_to(luthier: Command, arguments: tuple[str, ...]) -> None:
    """Not even root: the disk refuses, which is no fault of the command's words."""
    outcome = luthier(*arguments)
    assert faults(outcome.code, outcome.err, 1, ("cannot make", "/proc")) == [], outcome.err
