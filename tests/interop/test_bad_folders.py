"""Folders that cannot be used: each is one clear error that says what to do."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from foreign_folders import folder

from luthier.errors import InputError
from luthier.interop.gguf import read_gguf
from luthier.interop.huggingface.folder import WEIGHTS
from luthier.interop.huggingface.read import read_pretrained
from luthier.interop.huggingface.write import write_pretrained
from luthier.run.source import find_model

SETTINGS = {"num_key_value_heads": 2, "tie_word_embeddings": True}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole")
    folder(place, **SETTINGS)
    return place


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def configured(place: Path, **changed: Any) -> None:
    """Changes settings in config.json; `...` takes one out."""
    path = place / "config.json"
    values = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: v for key, v in values.items() if v is not ...}))


def changed(place: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Changes the tensors."""
    tensors = load_file(place / WEIGHTS)
    change(tensors)
    save_file(tensors, place / WEIGHTS)


def shortened(place: Path) -> None:
    data = (place / WEIGHTS).read_bytes()
    (place / WEIGHTS).write_bytes(data[:-5])


def flipped(place: Path) -> None:
    """A bit of an offset in the header."""
    data = bytearray((place / WEIGHTS).read_bytes())
    data[data.index(b"data_offsets") + 16] ^= 1
    (place / WEIGHTS).write_bytes(data)


def pickled(place: Path) -> None:
    (place / WEIGHTS).rename(place / "pytorch_model.bin")


def sharded(place: Path, file: str = "model-00001-of-00001.safetensors", **extra: str) -> None:
    (place / WEIGHTS).rename(place / "model-00001-of-00001.safetensors")
    names = load_file(place / "model-00001-of-00001.safetensors")
    where = dict.fromkeys(names, file) | extra
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def another_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + 1


def no_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.norm.weight"][:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])


def few_tokens(place: Path) -> None:
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<s>": 0, "</s>": 1, "a": 2}, "a"))
    inner.save(str(place / "tokenizer.json"))


def refusal(place: Path) -> str:
    """What is said against a folder; nothing where it is read."""
    try:
        read_pretrained(place)
    except InputError as error:
        return str(error)
    return ""


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (shortened, r"model.safetensors: is no whole safetensors file.*bring it again"),
    "a flipped bit": (flipped, r"is no whole safetensors file.*bring it again"),
    "pickled": (pickled, r"pytorch_model.bin.*can run code.*Convert it.*save_pretrained"),
    "nothing": (
        lambda place: (place / WEIGHTS).unlink(),
        r"has no model.safetensors, and no model.safetensors.index.json; bring them",
    ),
    "code": (
        lambda place: configured(place, auto_map={"AutoModel": "modeling_x.X"}),
        r"config.json: auto_map names code.*take auto_map out of the file",
    ),
    "few bits": (
        lambda place: configured(place, quantization_config={"bits": 4}),
        r"quantization_config says.*take the folder with the whole ones",
    ),
    "another family": (
        lambda place: configured(place, model_type="lama"),
        r'model_type "lama"; did you mean "llama"\?.*transformers',
    ),
    "another class": (
        lambda place: configured(place, architectures=["LlamaForQuestions"]),
        r'architectures: got "LlamaForQuestions"; did you mean "LlamaFor',
    ),
    "another shape": (
        lambda place: configured(place, intermediate_size=55),
        r"_proj\.weight is \(.*56.*\), but config.json describes \(.*55.*\); these files do not",
    ),
    "a layer more": (
        lambda place: configured(place, num_hidden_layers=3),
        r"missing model.layers.2.*and 6 more, not known nothing",
    ),
    "a layer less": (
        lambda place: configured(place, num_hidden_layers=1),
        r"missing nothing, not known model.layers.1.*and 6 more",
    ),
    "a name": (
        lambda place: changed(
            place, lambda t: t.update({"model.nrom.weight": t.pop("model.norm.weight")})
        ),
        r'missing model.norm.weight, not known model.nrom.weight; did you mean "model.nrom.weight"',
    ),
    "a head of its own": (
        lambda place: changed(place, another_head),
        r"lm_head.weight is model.embed_tokens.weight.*set tie_word_embeddings to false",
    ),
    "too few vectors": (
        lambda place: configured(place, vocab_size=77),
        r"tokenizer.json: numbers tokens up to \d+, but the network has vectors for 77",
    ),
    "angles": (
        lambda place: configured(
            place, rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}
        ),
        r'rope_type: got "dynamic"; valid: default, linear, llama3, longrope',
    ),
    "angles without factors": (
        lambda place: configured(
            place, rope_parameters={"rope_type": "longrope", "long_factor": [2.0, "3"]}
        ),
        r"rope_parameters: short_factor: got nothing, wanted a list of numbers above 0",
    ),
    "too few factors": (
        lambda place: configured(
            place,
            rope_parameters={"rope_type": "su", "long_factor": [2.0], "short_factor": [1.0]},
        ),
        r"rotary_scaling has 1 (short|long) factors; wanted 4, one for each pair",
    ),
    "a curve": (
        lambda place: configured(place, hidden_act="quick_gelu"),
        r'hidden_act: got "quick_gelu"',
    ),
    "a word for a number": (
        lambda place: configured(place, hidden_size="wide"),
        r'config.json: hidden_size: got "wide", wanted a whole number above 0',
    ),
    "no width": (
        lambda place: configured(place, hidden_size=...),
        r"hidden_size: got nothing, wanted a whole number above 0",
    ),
    "heads that do not divide": (
        lambda place: configured(place, num_key_value_heads=3),
        r"kv_heads: got 3, wanted a divisor of the 4 heads",
    ),
    "no JSON": (
        lambda place: (place / "config.json").write_text('{"model_type":'),
        r"config.json: is no JSON.*bring it again",
    ),
    "another JSON": (
        lambda place: (place / "config.json").write_text("[1]"),
        r"config.json: holds no JSON object",
    ),
    "no tokenizer": (
        lambda place: (place / "tokenizer.json").write_text("{}"),
        r"tokenizer.json: no tokenizer.json that the tokenizers library",
    ),
    "another network's tokenizer": (
        few_tokens,
        r"tokenizer.json: has 3 tokens, but the network vectors for 300; bring the one that",
    ),
    "values that are none": (
        lambda place: changed(place, no_numbers),
        r"3 of the 32 values of model.norm.weight are no finite numbers.*bring it again",
    ),
    "a token that is not there": (
        lambda place: (place / "tokenizer_config.json").write_text('{"eos_token": "<gone>"}'),
        r'names "<gone>" as its eos_token, which tokenizer.json has not',
    ),
    "a shard away": (
        lambda place: sharded(place, "model-00002-of-00002.safetensors"),
        r"model-00002-of-00002.safetensors is missing, which model.safetensors.index.json names",
    ),
    "a shard elsewhere": (
        lambda place: sharded(place, "../model.safetensors"),
        r'names the file "../model.safetensors"; wanted one of this folder',
    ),
    "a shard without a tensor": (
        lambda place: sharded(place, **{"model.more": "model-00001-of-00001.safetensors"}),
        r'lacks the tensor "model.more"',
    ),
    "an end that is no token": (
        lambda place: (place / "generation_config.json").write_text('{"eos_token_id": "two"}'),
        r"eos_token_id: got 'two', wanted numbers of tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_clear_error(name: str, place: Path) -> None:
    spoil, message = BAD[name]
    read_pretrained(place)
    spoil(place)
    with pytest.raises(InputError) as told:
        read_pretrained(place)
    assert re.search(message, str(told.value), re.DOTALL), str(told.value)


def test_a_shard_that_is_whole_is_read(place: Path) -> None:
    wanted = read_pretrained(place).network.state_dict()
    sharded(place)
    found = read_pretrained(place).network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_a_folder_without_a_tokenizer_is_not_used(place: Path) -> None:
    (place / "tokenizer.json").unlink()
    assert read_pretrained(place).tokenizer is None
    with pytest.raises(InputError, match=r"has no tokenizer.json; bring it.*save_pretrained"):
        find_model(place)


def spoilt(file: Path) -> None:
    """One bit of a weight."""
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


def test_a_flipped_bit_of_what_luthier_wrote(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_pretrained(read_pretrained(place), out)
    read_pretrained(out)
    spoilt(out / WEIGHTS)
    with pytest.raises(InputError, match=r"safetensors: has the SHA-256 .*bring it again, or"):
        read_pretrained(out)
    (out / "manifest.json").unlink()
    read_pretrained(out)
    (out / "manifest.json").write_text('{"files": "of somebody else"}')
    read_pretrained(out)


def test_a_flipped_bit_in_the_cache_of_the_hub(place: Path, tmp_path: Path) -> None:
    """Large files lie there under their SHA-256, and a snapshot links to them."""
    file = place / WEIGHTS
    blob = tmp_path / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
    blob.parent.mkdir()
    file.rename(blob)
    file.symlink_to(blob)
    read_pretrained(place)
    spoilt(blob)
    with pytest.raises(InputError, match=r"was fetched as .*; remove .*blobs/.*fetched again"):
        read_pretrained(place)


def test_files_that_are_no_folder(place: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pt")
    (tmp_path / "checkpoint").write_bytes((tmp_path / "model.pt").read_bytes())
    (tmp_path / "notes.txt").write_text("a")
    for name, message in {
        "model.pt": r"model.pt: is a checkpoint of torch.save .*Convert its weights: python -c",
        "checkpoint": r"which can run code when it is read, so luthier does not",
        "notes.txt": r"is a file; wanted a run directory .* a Hugging Face folder, or a .gguf",
        f"model/{WEIGHTS}": r"holds weights alone; give the folder in which its config.json",
    }.items():
        with pytest.raises(InputError, match=message):
            find_model(tmp_path / name)


def test_names_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError) as told:
        find_model("some/model")
    assert 'pip install "luthier[hub]"' in str(told.value)
    assert "or bring config.json, model.safetensors" in str(told.value)
    assert "from https://huggingface.co/some/model in a folder" in str(told.value)
    # What lies here, or would, is no name of the hub.
    (tmp_path / "some").mkdir()
    for place in ("some/model", "runs/model", "model"):
        with pytest.raises(InputError, match="no run is there"):
            find_model(place)


def test_the_hub_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def away(*_: Any, **__: Any) -> str:
        raise hub.errors.LocalEntryNotFoundError("no network\nmore")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "snapshot_download", away)
    with pytest.raises(InputError, match=r"some/model: cannot be fetched: no network; or bring"):
        find_model("some/model")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.integers(0, 10**6), what=st.integers(1, 255))
def test_any_byte_of_a_header_may_be_wrong(
    whole: Path, tmp_path: Path, where: int, what: int
) -> None:
    """It is one error, or means the same."""
    place = tmp_path / "model"
    if not place.exists():
        shutil.copytree(whole, place)
    data = bytearray((whole / WEIGHTS).read_bytes())
    size = 8 + int.from_bytes(data[:8], "little")
    data[where % size] ^= what
    (place / WEIGHTS).write_bytes(data)
    told = refusal(place)
    assert not told or str(place) in told


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 99), st.floats(), st.text(max_size=5),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(st.text(max_size=3), st.none()),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_may_stand_in_a_config(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    place = tmp_path / "model"
    if not place.exists():
        shutil.copytree(whole, place)
    values = json.loads((whole / "config.json").read_text())
    name = data.draw(st.sampled_from(sorted(values)))
    values[name] = data.draw(ANYTHING)
    (place / "config.json").write_text(json.dumps(values))
    assert len(refusal(place)) < 1000


def test_a_gguf_that_is_not_whole(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    place = tmp_path / "model.gguf"
    for data in (b"", b"GGUF", b"GGUF" + bytes(60), b"PK\x03\x04" + bytes(60)):
        place.write_bytes(data)
        with pytest.raises(InputError, match=r"model.gguf: .*bring it again"):
            read_gguf(place)
