"""How large an archive may be, once unpacked."""

from __future__ import annotations

from pathlib import Path

from luthier.errors import DataError

MAX_ENTRIES = 1_000_000
MAX_RATIO = 200
SMALL_BYTES = 256 * 2**20
"""Up to here, any ratio: blank pictures compress to almost nothing."""
MAX_UNPACKED_BYTES = 8 * 2**30


def check_declared(path: Path, unpacked_bytes: int, packed_bytes: int, entries: int = 0) -> None:
    """Refuse an archive that says, or turns out, to be a bomb.

    Args:
        path: The archive, for the message.
        unpacked_bytes: Said by the archive, or counted so far.
        packed_bytes: Of the archive.
        entries: Members, so far.

    Raises:
        DataError: If one of the limits is passed.
    """
    if entries > MAX_ENTRIES:
        raise DataError(f"{path}: holds more than {MAX_ENTRIES:,} files; unpack it yourself")
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{path}: unpacks to more than {MAX_UNPACKED_BYTES // 2**30} GiB; unpack it yourself"
        )
    if unpacked_bytes > SMALL_BYTES and unpacked_bytes > MAX_RATIO * packed_bytes:
        raise DataError(
            f"{path}: {packed_bytes:,} bytes unpack to more than {MAX_RATIO} times as many; this "
            "looks like a bomb, and is not read"
        )
