"""A run in another format."""

from __future__ import annotations

from pathlib import Path

from luthier.errors import InputError, nearest
from luthier.interop.huggingface.write import Written, write_pretrained
from luthier.run.source import Source, find_model

FORMATS = ("huggingface",)
CARD = "README.md"
FRONT = "---\n"
"""Stands before and behind the front matter of a card."""


def export(run: Path | str, to: str, out: Path | str) -> Written:
    """Writes a run, or a pretrained network, in another format.

    What is written is read again and compared before it counts.

    Args:
        run: What `load` takes.
        to: The format: `huggingface`.
        out: The folder; must not be there yet.

    Raises:
        InputError: If there is no such run or format, or the format has nothing like it.
        RunError: If what is read again is not what was written; nothing is kept then.
        StorageError: If the disk refuses; nothing is kept then.
    """
    if to == "peft":
        raise InputError(
            f"--to: got peft, the format in which a run with an adapter has it already: {run}/"
            "adapter; wanted huggingface, which writes the whole network"
        )
    if to not in FORMATS:
        raise InputError(f'--to: got "{to}"{nearest(to, FORMATS)}')
    source = find_model(run)
    return write_pretrained(source.pretrained(), Path(out), card=_card(source))


def _card(source: Source) -> str:
    """What the model card says, without its front matter; empty where there is none."""
    place = source.path / CARD if source.directory is None else source.directory.model / CARD
    if not place.is_file():
        return ""
    text = place.read_text(encoding="utf-8", errors="replace")
    if text.startswith(FRONT):
        _, _, text = text.removeprefix(FRONT).partition(f"\n{FRONT}")
    return text.strip()
