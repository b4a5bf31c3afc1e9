"""Stopping when asked: Ctrl-C, and the SIGTERM of a scheduler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from luthier.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopFlag:
    """Whether somebody asked the run to stop. Calling it tells, as the loop wants it."""

    def __init__(self) -> None:
        self.requested: str | None = None
        """The name of the first signal that came."""

    def __call__(self) -> bool:
        return self.requested is not None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raises the flag: the loop saves after the step that it is in.

        Raises:
            Interrupted: At the second signal, at once, wherever the run is.
        """
        name = signal.Signals(number).name
        if self.requested is not None:
            raise Interrupted(
                f"stopped at once by a second signal ({name}); the steps since the last "
                "checkpoint are lost, go on from it with --resume"
            )
        self.requested = name


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """A flag that SIGINT and SIGTERM raise, while inside.

    Python gives signals to the main thread alone: in another one the flag is never raised.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag.handle) for number in SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
