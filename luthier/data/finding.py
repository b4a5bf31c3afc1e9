"""What a person should know about a data set before training on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

FILES = 20
"""Files that a finding names."""
SHOWN = 8
"""Names in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about the data that a person should know."""

    severity: Severity
    """error: it cannot be trained on as it is; warning: it would mislead; note: good to know."""
    message: str
    files: tuple[str, ...] = ()
    """The first files or rows that it is about."""
    skippable: bool = False
    """Whether `on_error: skip` trains without them."""

    def leniently(self) -> Finding:
        """What it is where the recipe says so: a warning."""
        mended = self.skippable and self.severity == "error"
        return replace(self, severity="warning") if mended else self


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes; those of one kind as they come."""
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def unusable(skipped: Sequence[tuple[str, str]], one: str) -> Iterator[Finding]:
    """What cannot be used, that with the same fault together.

    Args:
        skipped: Names and reasons.
        one: What one of them is called: `file`.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped:
        # "is damaged or cut off: 3 bytes are missing" and "… 5 bytes …" are one kind, and so are
        # "does not exist (metadata.csv line 2)" and "… (metadata.csv line 7)".
        kind = re.sub(r" \([^)]*\)", "", reason).split(":")[0]
        by_reason.setdefault(kind, []).append(name)
    for reason, names in by_reason.items():
        yield Finding(
            severity="error",
            message=f"{counted(len(names), one)} cannot be used: {reason}",
            files=tuple(names[:FILES]),
            skippable=True,
        )


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "class", "classes"), counted(1200, "pair")
        ('1 class', '1,200 pairs')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def some_of(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
