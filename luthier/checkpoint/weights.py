"""Tensors as safetensors: 8 bytes of header length, a JSON header, the tensors' bytes.

Written in pieces, so that no second copy of the weights is made and the bytes are hashed as they
go. Read strictly, since the file may be a stranger's: nothing in it is run, no length in it is
believed before it is compared with the file, and the tensors must fill it without gap or overlap.

Source:
    The format: https://github.com/huggingface/safetensors. Stricter than its library: a key that
    is given twice is an error.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from luthier.checkpoint.document import from_json
from luthier.checkpoint.files import Write, told
from luthier.checkpoint.manifest import DamagedError

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The types that a file may hold, by the format's names."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_ABOUT = "__metadata__"
_MOST_HEADER_BYTES = 64 * 2**20
_LONGEST_NAME = 512

assert sys.byteorder == "little", "safetensors files are little-endian, this machine is not"


def write_tensors(tensors: Mapping[str, Tensor], write: Write) -> None:
    """Hand `tensors` to `write`, piece by piece, as one safetensors file.

    Each is written contiguous, in its own dtype, whatever its device and strides; tensors that
    share memory are each written whole.
    """
    # The widest elements come first, so that each tensor begins at a multiple of its element.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {_ABOUT: {"format": "pt"}}
    end = 0
    for name in order:
        tensor = tensors[name]
        assert tensor.dtype in _NAMES, f"{name} is {tensor.dtype}: safetensors has no such type"
        assert name != _ABOUT, f"{_ABOUT} cannot name a tensor"
        assert 0 < len(name) <= _LONGEST_NAME, f"a tensor's name has {len(name)} characters"
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(len(text).to_bytes(8, "little") + text)
    for name in order:
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        if flat.numel():
            write(flat.view(torch.uint8).numpy().data)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file, in memory, on the CPU.

    Raises:
        DamagedError: It is not a whole safetensors file; says why.
        StorageError: It cannot be read.
    """
    with told("read", path), open(path, "rb") as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        file.readinto(data)
    return tensors_of(data, str(path))


def map_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file, on the CPU, without reading them yet.

    Bytes come from the disk when they are looked at, and the file must stay as it is until then.
    What is written into a tensor does not reach the file.

    Raises:
        DamagedError: It is not a whole safetensors file; says why.
        StorageError: It cannot be read.
    """
    with told("read", path), open(path, "rb") as file:
        # A file of no bytes cannot be mapped; the reader says what is wrong with it.
        empty = os.fstat(file.fileno()).st_size == 0
        data = bytearray() if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return tensors_of(data, str(path))


def tensors_of(data: bytearray | mmap.mmap, file: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file that was read into memory, or mapped; they share it.

    Args:
        data: The whole file.
        file: What the file is called in an error.

    Raises:
        DamagedError: It is not a whole safetensors file; says why.
    """
    try:
        return _tensors(data)
    except _HeaderError as error:
        raise DamagedError(file, f"is no whole safetensors file: {error}") from None


class _HeaderError(Exception):
    """Why a file is no safetensors file."""


def _tensors(data: bytearray | mmap.mmap) -> dict[str, Tensor]:
    header, start = _header(data)
    layout: list[tuple[int, int, str, torch.dtype, list[int]]] = []
    for name, item in header.items():
        if not 0 < len(name) <= _LONGEST_NAME:
            raise _HeaderError(f"a tensor's name has {len(name)} characters")
        dtype, shape, begin, end = _item(name, item)
        layout.append((begin, end, name, dtype, shape))
    layout.sort(key=lambda row: row[:2])
    reached = 0
    for begin, end, name, _, _ in layout:
        if begin != reached:
            raise _HeaderError(f'"{name}" begins at byte {begin}, the one before ends at {reached}')
        reached = end
    if start + reached != len(data):
        raise _HeaderError(f"its tensors have {reached} bytes, it holds {len(data) - start}")
    found = {
        name: _view(data, start + begin, end - begin, dtype, shape)
        for begin, end, name, dtype, shape in layout
    }
    return {name: found[name] for name in sorted(found)}


def _header(data: bytearray | mmap.mmap) -> tuple[dict[str, Any], int]:
    """The header without what it says about the file, and where the tensors start."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _MOST_HEADER_BYTES):
        if data[:4] == b"PK\x03\x04" or data[:1] == b"\x80":
            raise _HeaderError(
                "it looks like a pickle (torch.save), which can run code, so luthier does not load"
                " it; save it as safetensors"
            )
        raise _HeaderError(f"it claims a header of {length} bytes, the file has {len(data)}")
    try:
        header = from_json(data[8 : 8 + length])
    except ValueError as error:
        raise _HeaderError(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise _HeaderError("its header is no JSON object")
    about = header.pop(_ABOUT, {})
    if not isinstance(about, dict) or not all(isinstance(text, str) for text in about.values()):
        raise _HeaderError(f"its {_ABOUT} holds more than texts")
    return header, 8 + length


def _item(name: str, item: Any) -> tuple[torch.dtype, list[int], int, int]:
    match item:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [begin, end], **rest} if (
            not rest and all(_is_count(number) for number in (*shape, begin, end))
        ):
            pass
        case _:
            raise _HeaderError(f'"{name}" wants a dtype, a shape and two offsets, got {item!r:.80}')
    if kind not in DTYPES:
        raise _HeaderError(f'"{name}" has the unknown type {kind!r}')
    wanted = math.prod(shape) * DTYPES[kind].itemsize
    if end - begin != wanted:
        raise _HeaderError(f'"{name}" has {end - begin} bytes, {kind} {shape} wants {wanted}')
    return DTYPES[kind], shape, begin, end


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**63


def _view(
    data: bytearray | mmap.mmap, begin: int, size: int, dtype: torch.dtype, shape: list[int]
) -> Tensor:
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    raw = torch.frombuffer(data, dtype=torch.uint8, count=size, offset=begin)
    if begin % dtype.itemsize:
        raw = raw.clone()  # another writer's file may put a tensor anywhere
    return raw.view(dtype).reshape(shape)
