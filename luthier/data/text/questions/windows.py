"""A long text in windows that overlap, and which of them a token is scored in.

A token that stands in several windows is scored in the one that shows most of what is around it:
so each token has one score, and what is chosen among all of them may begin in one window and end
in the next.

Source:
    Devlin et al. 2019 (BERT), 1810.04805, whose code calls this the window of maximum context.
    There a span must lie in one window; here only its two scores do.
"""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """A part of a text."""

    start: int
    """Its first token."""
    stop: int
    """Behind its last token."""
    own: int
    """Its first token that is scored in it; the next window's `own` is behind its last one."""


def windows_of(tokens: int, room: int, overlap: int) -> tuple[Window, ...]:
    """The windows of a text.

    The last one ends with the text, and is as long as the others: so it may overlap more.

    Args:
        tokens: Of the text, at least one.
        room: The most tokens of a window.
        overlap: Tokens that a window and the next have in common, at least; fewer than `room`.

    Example:
        >>> windows_of(10, room=6, overlap=2)
        (Window(start=0, stop=6, own=0), Window(start=4, stop=10, own=5))
    """
    assert 0 <= overlap < room, f"overlap ({overlap}) of windows of {room}"
    last = max(tokens - room, 0)
    starts = [*range(0, last, room - overlap), last]
    found: list[Window] = []
    for start in starts:
        before = found[-1] if found else None
        # The middle of what two of them share: there both show equally much.
        own = 0 if before is None else (start + before.stop) // 2
        found.append(Window(start, min(start + room, tokens), own))
    return tuple(found)
