"""Files that cannot be used: gathered, then told at once or left out."""

from __future__ import annotations

from typing import Literal

from luthier.errors import DataError

OnError = Literal["stop", "skip"]
SHOWN = 5
"""Files that a message names; of the others it tells the number."""


class Faults:
    """What is wrong with single files, in the order in which it was found.

    Args:
        on_error: Whether `settle` raises or the files are left out and listed.
        place: Where the files are, for messages; empty where their names say it.
        one: What one of them is called.
    """

    def __init__(self, on_error: OnError = "stop", place: str = "", one: str = "file") -> None:
        self.on_error = on_error
        self.one = one
        self.place = place
        self.found: list[tuple[str, str]] = []

    def add(self, file: str, reason: str) -> None:
        """Note that `file` cannot be used. Safe to call from several threads."""
        self.found.append((file, reason))

    def settle(self) -> None:
        """Stop here if anything was found and nothing may be left out.

        Raises:
            DataError: With the first files and the number of the others.
        """
        if not self.found or self.on_error == "skip":
            return
        count = len(self.found)
        one = self.one
        many = f"{one}es" if one.endswith("s") else f"{one}s"
        what = f"1 {one} cannot be used" if count == 1 else f"{count:,} {many} cannot be used"
        where = f"{self.place}: " if self.place else ""
        raise DataError(
            f"{where}{what}:\n{listed(self.found)}\n"
            "mend or remove them, or go on without them: data.on_error=skip"
        )


def listed(found: list[tuple[str, str]]) -> str:
    """The first of the files with their reasons, and how many more there are.

    Example:
        >>> print(listed([("a.png", "is empty")] * 7))
          a.png: is empty
          a.png: is empty
          a.png: is empty
          a.png: is empty
          a.png: is empty
          … and 2 more
    """
    lines = [f"  {file}: {reason}" for file, reason in found[:SHOWN]]
    more = len(found) - SHOWN
    return "\n".join([*lines, f"  … and {more} more"] if more > 0 else lines)
