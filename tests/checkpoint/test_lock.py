"""One process at a time writes to a run directory, and a dead one is none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from luthier.checkpoint.lock import RunLock
from luthier.errors import RunError, StorageError


class Lock(Protocol):
    def acquire(self) -> None: ...


class FileLock:
    """Broken: a file that exists is a lock that is held, even by the dead."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"

    def acquire(self) -> None:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise RunError("in use") from None


def fork(work: Callable[[], bytes]) -> tuple[int, int]:
    """A child that hands over what `work` returns and then sleeps: its pid and its pipe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, work())
        time.sleep(60)
    os.close(writer)
    return child, reader


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def try_to(lock: Lock, start: float = 0.0) -> bytes:
    time.sleep(max(0.0, start - time.monotonic()))
    try:
        lock.acquire()
    except RunError as error:
        return str(error).encode()
    return b"won"


def race(directory: Path, racers: int) -> tuple[list[int], list[str]]:
    """The pids that won, and what the others were told."""
    start = time.monotonic() + 0.1
    children = [fork(lambda: try_to(RunLock(directory), start)) for _ in range(racers)]
    answers = [os.read(reader, 4096).decode() for _, reader in children]
    for child, reader in children:
        end(child)
        os.close(reader)
    winners = [child for (child, _), text in zip(children, answers, strict=True) if text == "won"]
    return winners, [text for text in answers if text != "won"]


def test_of_processes_that_race_one_wins_and_the_others_are_told_which(scratch: Path):
    for _ in range(5):
        winners, told = race(scratch, 8)
        assert len(winners) == 1
        assert len(told) == 7
        for text in told:
            assert re.fullmatch(
                rf"{scratch} is in use by pid {winners[0]} on {re.escape(socket.gethostname())}"
                r" since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+; wait for it, stop it,"
                " or choose another run directory",
                text,
            )


def test_the_race_finds_a_lock_that_does_not_lock(scratch: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert len(race(scratch, 8)[0]) == 8


@pytest.mark.parametrize(("kind", "free"), [(RunLock, True), (FileLock, False)])
def test_a_killed_holder_holds_nothing(scratch: Path, kind: Callable[[Path], Lock], free: bool):
    child, reader = fork(lambda: try_to(kind(scratch)))
    assert os.read(reader, 4096) == b"won"
    os.close(reader)
    assert try_to(kind(scratch)) != b"won"
    end(child)
    assert (try_to(kind(scratch)) == b"won") is free


def test_a_lock_can_be_taken_again_after_it_was_let_go(tmp_path: Path):
    directory = tmp_path / "runs" / "a"
    with RunLock(directory) as lock:
        assert lock.held
        with pytest.raises(RunError, match=f"in use by pid {os.getpid()} on "):
            RunLock(directory).acquire()
    assert not lock.held
    assert (directory / ".lock").read_bytes() == b""
    with RunLock(directory):
        pass


@pytest.mark.parametrize(
    ("about", "holder"),
    [
        ({}, "another process"),
        ({"pid": 2**22 + 1, "host": socket.gethostname(), "since": "noon"}, "another process"),
        ({"pid": 1, "host": socket.gethostname(), "since": "noon"}, "pid 1 on .* since noon"),
        ({"pid": 2**22 + 1, "host": "n3", "since": "noon"}, "pid 4194305 on n3 since noon"),
    ],
)
def test_a_holder_is_named_unless_it_cannot_be_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, about: dict[str, object], holder: str
):
    def others(pid: int, _signal: int) -> None:
        raise PermissionError if pid == 1 else ProcessLookupError

    monkeypatch.setattr(os, "kill", others)
    descriptor = os.open(tmp_path / ".lock", os.O_CREAT | os.O_RDWR)
    os.write(descriptor, json.dumps(about).encode())
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(RunError, match=f"is in use by {holder}; wait for it"):
        RunLock(tmp_path).acquire()
    os.close(descriptor)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_place_that_cannot_be_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot lock .*\.lock: not a directory"):
        RunLock(tmp_path / "file").acquire()

    lock = RunLock(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StorageError, match=r"cannot lock .*: the disk is full"):
            lock.acquire()
    assert not lock.held
    with lock:
        pass

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StorageError, match=r"cannot lock .*: no locks available"):
        RunLock(tmp_path).acquire()
