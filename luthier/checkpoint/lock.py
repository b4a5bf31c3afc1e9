"""The lock of a run directory: one process at a time writes there."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from luthier.checkpoint.files import make_folders, told
from luthier.errors import RunError

NAME = ".lock"
_PATIENCE_SECONDS = 0.5


class RunLock:
    """Held by the process that writes to a run directory; let go when it ends, however it ends.

    It is the kernel's lock (flock) on the file `.lock`, so nothing is left to clear away after a
    kill. A process that was forked from the holder holds it too.

    Args:
        directory: The run directory; made where it is missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run, RunLock(Path(run)) as lock:
        ...     lock.held
        True
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            RunError: Another process holds it; says which.
            StorageError: The directory cannot be made or written to.
        """
        assert self._descriptor is None, "this lock is held already"
        path = self.directory / NAME
        with told("lock", path):
            is_new = not self.directory.exists()
        if is_new:
            make_folders(self.directory)
        with told("lock", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, _about_us(), 0)
            except BlockingIOError:
                holder = _holder(descriptor)
                os.close(descriptor)
                raise RunError(
                    f"{self.directory} is in use by {holder}; wait for it, stop it, or choose"
                    " another run directory"
                ) from None
            except OSError:
                os.close(descriptor)
                raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go. The file stays: removing it could take another holder's away."""
        assert self._descriptor is not None, "this lock is not held"
        descriptor, self._descriptor = self._descriptor, None
        with told("unlock", self.directory / NAME):
            try:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _about_us() -> bytes:
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _holder(descriptor: int) -> str:
    """Who says in the lock's file to hold it.

    One who just took it may not have written that down yet: then the file is empty, or tells of
    a holder that was killed, so wait a moment.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        text = os.pread(descriptor, 4096, 0)
        try:
            about = json.loads(text)
            if about["host"] != socket.gethostname() or _is_alive(about["pid"]):
                return f"pid {about['pid']} on {about['host']} since {about['since']}"
        except (ValueError, KeyError, TypeError):
            pass
        if time.monotonic() > deadline:
            return "another process"
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but alive
    return True
