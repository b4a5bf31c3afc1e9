"""Every command and every Python example in README and guide runs.

Commands stand in ```console fences behind `$ `, and run in order in one scratch directory that
looks like a fresh clone. Python stands in ```python fences, and runs after them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.zh.md", "docs/guide.md")
FENCE = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
SET_UP = ("make ", "pip ", "git ", "cd ", "python -m venv")  # the Makefile's own test runs these
ON_DATA = ("mnist", "fsdd", "yesno", "multi30k", "translation")
"""Examples on data that lies beside the project."""
REAL_DATA = ROOT.parent / "shared" / "data"


def examples(page: str) -> list[tuple[str, str]]:
    """(`console` or `python`, text) of each example in a page."""
    found: list[tuple[str, str]] = []
    for kind, body in FENCE.findall((ROOT / page).read_text(encoding="utf-8")):
        if kind == "python":
            found.append((kind, body))
        else:
            commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
            found += [(kind, command) for command in commands]
    return found


def clone(scratch: Path) -> Path:
    """A directory that holds what a clone holds, as far as the examples read it."""
    root = scratch / "luthier"
    root.mkdir()
    for name in ("recipes", "docs", "README.md"):
        (root / name).symlink_to(ROOT / name)
    if REAL_DATA.exists():
        (scratch / "shared").symlink_to(REAL_DATA.parent)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_examples_run(page: str, tmp_path: Path) -> None:
    root = clone(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = 0
    for kind, text in examples(page):
        if kind == "console" and text.startswith(SET_UP):
            continue
        if any(name in text for name in ON_DATA) and not REAL_DATA.exists():
            continue
        command = shlex.split(text) if kind == "console" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{page}: {text}\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran, f"{page} shows nothing that runs"


def test_both_readmes_show_the_same_commands() -> None:
    assert examples("README.md") == examples("README.zh.md")


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "docs/decisions/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
