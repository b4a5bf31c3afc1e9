"""One virtual environment for each peer, so that none bends another's versions.

The requirements of an environment are pinned in `requirements/NAME.txt`, whose first line names
those that are wanted for themselves; a line `# pip: FLAGS` gives pip flags that pins cannot. An
environment is made once, and anew when its pins change.
Torch comes from whatever index pip is set up with; for a CPU build where the default index has
CUDA builds, set `PIP_EXTRA_INDEX_URL`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
REQUIREMENTS = HERE / "requirements"


def python_of(name: str) -> Path:
    """The interpreter of the environment `name`, which is made first where it is not there.

    Raises:
        subprocess.CalledProcessError: If pip cannot install the requirements.
    """
    directory = ENVIRONMENTS / name
    python = directory / "bin" / "python"
    stamp = directory / "pins.sha256"
    wanted = _fingerprint(name)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making the environment {name} (minutes, once)", file=sys.stderr, flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", *_flags(name), "-r", f"{name}.txt"]
    subprocess.run(install, check=True, cwd=REQUIREMENTS)
    # Last, so that an installation that was cut short is made anew.
    stamp.write_text(wanted)
    return python


def versions(name: str) -> dict[str, str]:
    """The installed versions in the environment `name` of what it is there for."""
    names = _direct(name)
    code = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    )
    found = subprocess.run(
        [str(python_of(name)), "-c", code, *names], check=True, capture_output=True, text=True
    )
    result: dict[str, str] = json.loads(found.stdout)
    return result


def _direct(name: str) -> list[str]:
    """The packages that the file's first line names; the others are what they need."""
    first = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()[0]
    assert first.startswith("# direct: "), f"{name}.txt: {first!r}"
    return first.removeprefix("# direct: ").split()


def _flags(name: str) -> list[str]:
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    given = [line.removeprefix("# pip: ") for line in lines if line.startswith("# pip: ")]
    return [flag for flags in given for flag in flags.split()]


def _pins(name: str) -> list[str]:
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _fingerprint(name: str) -> str:
    return hashlib.sha256("\n".join(_pins(name)).encode()).hexdigest()
