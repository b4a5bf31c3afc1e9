"""`luthier` in this process, and the small recipe that most tests give it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from luthier.cli.app import run

DIGITS = """\
name: digits
task: {kind: classify}
data: {kind: digits, limit: 300}
model:
  layers:
    - {kind: conv, channels: 4, kernel: 3, activation: relu}
    - {kind: max_pool, size: 2}
    - {kind: flatten}
    - {kind: dense, width: 16, activation: relu}
optimizer: {kind: adam, learning_rate: 1.0e-2}
training: {epochs: 2, batch_size: 30, seed: 7, checkpoint_every_steps: 5}
placement: {threads: 1, precision: fp32}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


class Command:
    """`luthier` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Outcome:
        """Runs `luthier ARGUMENTS`."""
        self._capsys.readouterr()
        code = run(list(arguments))
        told = self._capsys.readouterr()
        return Outcome(code, told.out, told.err)
