"""What `import luthier` gives, and what it must not do."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

import luthier

PUBLIC = ["LuthierError", "Network", "Recipe", "Run", "Signal", "export", "load", "train"]


def test_the_public_names() -> None:
    assert sorted(luthier.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(luthier, name).__doc__


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = luthier.trian


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_does_nothing() -> None:
    loaded = modules_after("import luthier")
    assert not loaded & {"torch", "numpy", "pydantic", "logging", "typer", "rich"}


def cpu_seconds_of_children() -> float:
    """Of the machine's own time: what else runs on it does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_fast_and_waits_for_no_torch() -> None:
    assert not modules_after("import luthier.cli.app") & {"torch", "numpy", "pydantic"}
    seconds = []
    for _ in range(3):
        begin = cpu_seconds_of_children()
        subprocess.run([sys.executable, "-m", "luthier", "--help"], capture_output=True, check=True)
        seconds.append(cpu_seconds_of_children() - begin)
    assert min(seconds) < 0.5
