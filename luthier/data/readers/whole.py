"""A whole file as one text."""

from __future__ import annotations

from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import problem_with

MOST_BYTES = 64 * 2**20


def read_whole(file: Stored) -> tuple[str, str | None]:
    """The text of a UTF-8 file, lines ending with `\\n`, and why it cannot be used.

    Raises:
        DataError: If the file cannot be read at all.
    """
    with file.open() as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        return "", f"is larger than {MOST_BYTES // 2**20} MiB"
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").strip()
    except UnicodeDecodeError:
        text = data.decode(errors="surrogateescape")
        at = next(i for i, character in enumerate(text) if "\udc80" <= character <= "\udcff")
        start = len(text[:at].encode())
        return "", f"is not UTF-8 text: byte 0x{data[start]:02x} at byte {start:,}"
    return text, problem_with(text)
