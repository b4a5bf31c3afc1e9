"""A folder that is written counts only once it was read again; what is no member is told why."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from luthier.checkpoint.files import Files, Operation
from luthier.checkpoint.weights import read_weights
from luthier.data.target import Documents
from luthier.data.text.tokens.subwords import BpeSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import InputError, RunError, StorageError
from luthier.interop.huggingface import write as writing
from luthier.interop.huggingface.correspondence import (
    FUSED,
    ONE_ADDED,
    SAME,
    TRANSPOSED,
    RowsBehind,
    Way,
)
from luthier.interop.huggingface.frame import Frame, with_frame
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.write import write_pretrained
from luthier.model.blueprint import LayersSpec, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.tasks.language import LanguageSpec

TOKENIZER = train_tokenizer(BpeSpec(vocab=290, least=1), ["the fox met a dog"], specials=("end",))
END = TOKENIZER.special("end")
CONTEXT = 32
ROTARY = {"heads": 4, "kv_heads": 2, "position": "rotary"}


def layers(*, attention: Mapping[str, Any] = {}, mlp: Mapping[str, Any] = {}) -> dict[str, Any]:
    """A tiny Llama as a recipe writes it, with some settings changed."""
    return {
        "layers": [
            {"kind": "tokens", "width": 16},
            {"kind": "dropout", "rate": 0.1},
            {
                "kind": "repeat",
                "times": 2,
                "layers": [
                    {"kind": "attention", **ROTARY, **attention},
                    {"kind": "mlp", "gated": True, **mlp},
                ],
            },
            {"kind": "rms_norm"},
        ],
        "head": "tied",
    }


def pretrained(page: Mapping[str, Any]) -> Pretrained:
    """A language network of ours."""
    model = LayersSpec.model_validate(page)
    target = Documents(vocab=TOKENIZER.size, specials={"end": END} if END is not None else {})
    reads = Signal.tokens(CONTEXT, TOKENIZER.size)
    network = build(model, reads, lambda gives: LanguageSpec().head(gives, target))
    materialize(network, seed=1, spec=InitializeSpec())
    assert END is not None
    return Pretrained(
        source="a test",
        family="",
        reads=reads,
        model=model,
        head=tuple(step.spec for step in network.head.steps),
        network=network.eval(),
        aim="next_token",
        tokenizer=TOKENIZER,
        specials={"end": END, "first": END},
        frame=Frame((END,)),
        task=LanguageSpec(),
        target=target,
        template=None,
    )


def test_from_ours_to_ours(tmp_path: Path) -> None:
    ours = pretrained(layers())
    written = write_pretrained(ours, tmp_path / "out")
    assert (written.family, written.architecture) == ("Llama", "LlamaForCausalLM")
    again = read_pretrained(tmp_path / "out")
    tokens = torch.randint(0, TOKENIZER.size, (2, 9))
    assert torch.equal(again.network(tokens), ours.network(tokens))
    assert again.frame == ours.frame
    assert again.specials["end"] == again.specials["first"] == END
    assert "pipeline_tag: text-generation" in (tmp_path / "out" / "README.md").read_text()
    assert [place.name for place in tmp_path.iterdir()] == ["out"]


def test_in_several_files(tmp_path: Path) -> None:
    ours = pretrained(layers())
    write_pretrained(ours, tmp_path / "out", shard_bytes=5000)
    shards = sorted((tmp_path / "out").glob("model-*.safetensors"))
    assert len(shards) > 3
    # The table of tokens is larger than a file may be: it has one of its own.
    sizes = [sum(t.numel() * 4 for t in read_weights(shard).values()) for shard in shards]
    assert sorted(sizes)[-2] <= 5000 < sorted(sizes)[-1]
    tokens = torch.randint(0, TOKENIZER.size, (2, 9))
    assert torch.equal(read_pretrained(tmp_path / "out").network(tokens), ours.network(tokens))


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is there already"):
        write_pretrained(pretrained(layers()), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("part", ["query", "down", "norm_before"])
def test_weights_that_are_mixed_up_do_not_count(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers have each other's tensors in the file: nothing is kept."""
    ours = pretrained(layers())
    with torch.no_grad():
        for tensor in ours.network.parameters():
            tensor.add_(torch.randn(tensor.shape) * 0.2)
    right = writing.foreign
    name = {"query": "self_attn.q_proj", "down": "mlp.down_proj", "norm_before": "input_layernorm"}

    def wrong(*given: Any) -> dict[str, Tensor]:
        found = right(*given)
        a, b = (f"model.layers.{number}.{name[part]}.weight" for number in (0, 1))
        found[a], found[b] = found[b], found[a]
        return found

    monkeypatch.setattr(writing, "foreign", wrong)
    with pytest.raises(RunError, match=r"out: gives other outputs when it is read again.*nothing"):
        write_pretrained(ours, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_that_is_another_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = train_tokenizer(BpeSpec(vocab=290, least=1), ["so it goes on"], specials=("end",))
    monkeypatch.setattr(writing, "with_frame", lambda *_: other.to_json())
    with pytest.raises(RunError, match="its tokenizer gives other tokens"):
        write_pretrained(pretrained(layers()), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nth", [0, 2, 7, 20])
def test_a_full_disk_leaves_nothing(nth: int, tmp_path: Path) -> None:
    seen: list[Operation] = []

    def full(operation: Operation) -> None:
        if operation.verb in ("make_folder", "create", "write", "sync", "rename"):
            seen.append(operation)
            if len(seen) == nth + 1:
                raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(StorageError, match="the disk is full"):
        write_pretrained(pretrained(layers()), tmp_path / "out", files=Files(full))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (layers(attention={"qk_norm": "layer"}), 'qk_norm: got "layer", wanted'),
        (layers(attention={"residual_scale": 0.5}), "residual_scale: got 0.5, wanted 1.0"),
        (layers(mlp={"activation": "mish"}), "mish"),
        (layers(attention={"norm_place": "post"}), 'norm_place: got "post", wanted "pre"'),
        (
            {**layers(), "layers": [*layers()["layers"], {"kind": "dense", "width": 16}]},
            "From the nearest",
        ),
    ],
)
def test_what_is_no_member_is_told_why(
    page: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is a member of no family") as told:
        write_pretrained(pretrained(page), tmp_path / "out")
    assert message in str(told.value)
    assert not list(tmp_path.iterdir())


@given(data=st.data())
def test_ways_can_be_gone_back(data: st.DataObject) -> None:
    width, rows = data.draw(st.integers(1, 5)), data.draw(st.lists(st.integers(1, 4), min_size=1))
    way: Way = data.draw(st.sampled_from([SAME, FUSED, TRANSPOSED, ONE_ADDED, RowsBehind(2)]))
    if way not in (FUSED, TRANSPOSED):
        rows = rows[:1]
    flat = data.draw(st.booleans())
    shapes = [torch.Size([n] if flat else [n, width]) for n in rows]
    ours = [torch.randint(-8, 8, shape).double() for shape in shapes]
    theirs = way.to_theirs(ours)
    back = way.to_ours(theirs, shapes)
    assert all(torch.equal(a, b) for a, b in zip(ours, back, strict=True))
    on_meta = way.to_theirs([tensor.to("meta") for tensor in ours])
    assert on_meta.shape == theirs.shape


@pytest.mark.parametrize("frame", [Frame(), Frame((0,)), Frame((0,), (3,)), Frame((), (2,))])
def test_a_frame_is_written_and_found(frame: Frame) -> None:
    assert Frame.of(with_frame(TOKENIZER, frame)) == frame
