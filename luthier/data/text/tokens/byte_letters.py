"""Byte-level tokens: each byte has a letter, so that any bytes can stand in a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping


def _letters() -> tuple[str, ...]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(0x100))


BYTE_LETTERS = _letters()
"""The letter of each byte: itself where it is printable Latin-1, else one from U+0100 on.

Source:
    Radford et al. 2019 (GPT-2), section 2.2; the letters are those of its vocabulary file.
"""
BYTE_OF_LETTER: Mapping[str, int] = {letter: byte for byte, letter in enumerate(BYTE_LETTERS)}


def token_bytes(token: str) -> bytes:
    """The bytes that a token of a byte-level vocabulary stands for.

    A token with a character that is no byte's letter was added as plain text.

    Example:
        >>> token_bytes("Ġcaf" + "Ã©").decode()
        ' café'
    """
    found = [BYTE_OF_LETTER.get(letter) for letter in token]
    known = [byte for byte in found if byte is not None]
    return bytes(known) if len(known) == len(found) else token.encode()
