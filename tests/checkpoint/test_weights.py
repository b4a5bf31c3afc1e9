"""Our safetensors are everybody's, and a stranger's are read strictly."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import DTYPES, read_weights, tensors_of, write_tensors
from luthier.errors import StorageError


def written(tensors: dict[str, Tensor]) -> bytearray:
    data = bytearray()
    write_tensors(tensors, data.extend)
    return data


def bits(tensor: Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    flat = tensor.detach().contiguous().reshape(-1)
    raw = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return tensor.dtype, tensor.shape, raw


def all_kinds() -> dict[str, Tensor]:
    raw = torch.arange(48, dtype=torch.uint8)
    tensors = {f"type.{name}": raw.view(dtype) for name, dtype in DTYPES.items() if name != "BOOL"}
    image_BCHW = torch.randn(2, 3, 4, 5)
    return {
        **tensors,
        "type.BOOL": raw % 2 == 0,
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 7),
        "transposed": torch.randn(5, 6).T,
        "channels_last": image_BCHW.to(memory_format=torch.channels_last),
        "parameter": nn.Parameter(torch.randn(3)),
        'not ascii: ä/"': torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def test_every_type_and_layout_comes_back_bit_for_bit():
    tensors = all_kinds()
    found = tensors_of(written(tensors), "w")
    assert list(found) == sorted(tensors)
    assert {name: bits(t) for name, t in found.items()} == {n: bits(t) for n, t in tensors.items()}
    found["scalar"].add_(1)  # what is read may be written to


def test_the_library_reads_what_we_write_and_we_read_what_it_writes():
    tensors = {name: t.detach().clone().contiguous() for name, t in all_kinds().items()}
    theirs = safetensors.torch.load(bytes(written(tensors)))
    ours = tensors_of(bytearray(safetensors.torch.save(tensors)), "w")
    for found in (theirs, ours):
        assert {name: bits(t) for name, t in found.items()} == {
            name: bits(t) for name, t in tensors.items()
        }


def test_tensors_that_share_memory_are_each_written():
    whole = torch.randn(4, 4)
    found = tensors_of(written({"a": whole, "b": whole, "row": whole[1]}), "w")
    assert torch.equal(found["a"], whole)
    assert torch.equal(found["row"], whole[1])


def test_a_type_that_the_format_lacks_is_refused_before_anything_is_written():
    data = bytearray()
    with pytest.raises(AssertionError, match=r"z is torch.complex128: safetensors has no such"):
        write_tensors(
            {"a": torch.zeros(1), "z": torch.zeros(1, dtype=torch.complex128)}, data.extend
        )
    assert not data


def made(header: Any, size: int = 8) -> bytearray:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return bytearray(len(text).to_bytes(8, "little") + text + bytes(size))


def item(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32", **rest: Any) -> Any:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **rest}


HOSTILE: dict[str, tuple[bytearray, str]] = {
    "empty": (bytearray(), "claims a header of 0 bytes, the file has 0"),
    "header beyond the file": (bytearray(b"\xff" * 20), "claims a header of 18446744073709551615"),
    "header of nothing": (made(b""), "its header is no JSON"),
    "no JSON": (made(b"{"), "its header is no JSON"),
    "no UTF-8": (made(b"\xff\xfe{}"), "its header is no JSON"),
    "a list": (made([]), "its header is no JSON object"),
    "nested": (made(b"[" * 100_000), "nested too deeply"),
    "NaN": (made(b'{"a": NaN}'), "NaN is not a JSON number"),
    "key twice": (made(b'{"a": 1, "a": 2}'), 'the key "a" is given twice'),
    "inner key twice": (made(b'{"a": {"dtype": "F32", "dtype": "F64"}}'), "given twice"),
    "about a number": (made({"__metadata__": {"n": 1}}, 0), "__metadata__ holds more than texts"),
    "no item": (made({"a": 3}), "wants a dtype, a shape and two offsets, got 3"),
    "more in the item": (made({"a": item(evil=1)}), "wants a dtype"),
    "unknown type": (made({"a": item(dtype="O")}), "has the unknown type 'O'"),
    "negative size": (made({"a": item(shape=[-2])}), "wants a dtype"),
    "size true": (made({"a": item(shape=[True, 2])}), "wants a dtype"),
    "fractional size": (made({"a": item(shape=[2.0])}), "wants a dtype"),
    "overflow": (made({"a": item(shape=[2**62, 4])}), "has 8 bytes, F32"),
    "more than 64 bits": (made({"a": item(shape=[2**64])}), "wants a dtype"),
    "too small": (made({"a": item(shape=[3])}), "has 8 bytes, F32 .* wants 12"),
    "backwards": (made({"a": item(offsets=[8, 0])}), "has -8 bytes"),
    "one offset": (made({"a": item(offsets=[8])}), "wants a dtype"),
    "beyond the file": (made({"a": item()}, 4), "its tensors have 8 bytes, it holds 4"),
    "more behind": (made({"a": item()}, 12), "its tensors have 8 bytes, it holds 12"),
    "gap": (made({"a": item(offsets=[4, 12])}, 12), '"a" begins at byte 4, the one before ends'),
    "overlap": (made({"a": item(), "b": item(offsets=[4, 12])}, 12), "begins at byte 4"),
    "the same bytes twice": (made({"a": item(), "b": item()}), "begins at byte 0"),
    "empty in the midst": (made({"a": item(), "b": item([0], [4, 4])}), "begins at byte 4"),
    "no name": (made({"": item()}), "name has 0 characters"),
    "long name": (made({"a" * 513: item()}), "name has 513 characters"),
    "pickle": (bytearray(pickle.dumps([1])), "looks like a pickle .* does not load it; save it as"),
    "zip": (bytearray(b"PK\x03\x04" + b"\xff" * 30), "looks like a pickle"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(tmp_path: Path, name: str):
    data, reason = HOSTILE[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=rf"model.safetensors is no whole .*{reason}") as caught:
        read_weights(path)
    assert len(str(caught.value)) < 400


def test_the_table_of_hostile_files_has_a_good_twin():
    assert tensors_of(made({"a": item()}), "w")["a"].tolist() == [0.0, 0.0]


def test_a_tensor_that_is_not_aligned_is_read():
    data = made({"a": item([1], [0, 1], "U8"), "b": item([1], [1, 5])}, 0)
    data += b"\x07" + torch.tensor([2.5]).numpy().tobytes()
    assert tensors_of(data, "w")["b"].tolist() == [2.5]


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(StorageError, match=r"cannot read .*/no.safetensors: no such file"):
        read_weights(tmp_path / "no.safetensors")


GOOD = bytes(written({"a": torch.arange(6.0), "b": torch.zeros(2, 3, dtype=torch.int64)}))


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda place, byte: GOOD[:place] + bytes([byte]) + GOOD[place + 1 :],
            st.integers(0, len(GOOD) - 1),
            st.integers(0, 255),
        ),
        st.integers(0, len(GOOD)).map(lambda length: GOOD[:length]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.dictionaries(st.sampled_from(["a", "dtype", "shape"]), inner)
                | st.lists(inner, max_size=3)
            ),
            max_leaves=8,
        ).map(lambda header: bytes(made(header))),
    )
)
def test_any_bytes_are_tensors_or_a_refusal(data: bytes):
    try:
        found = tensors_of(bytearray(data), "w")
    except DamagedError:
        return
    assert sum(t.numel() * t.element_size() for t in found.values()) <= len(data)


Shapes = st.lists(st.integers(0, 4), max_size=4)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8), st.tuples(Shapes, st.sampled_from(sorted(DTYPES)))
    )
)
def test_any_tensors_come_back(described: dict[str, tuple[list[int], str]]):
    described.pop("__metadata__", None)
    tensors = {
        name: torch.ones(shape).to(DTYPES[kind]) for name, (shape, kind) in described.items()
    }
    found = tensors_of(written(tensors), "w")
    assert {name: bits(t) for name, t in found.items()} == {n: bits(t) for n, t in tensors.items()}
