"""Adapters in PEFT's format, beside PEFT itself on the equal networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.adapters.attach import attach, merge
from luthier.adapters.lora import LoraSpec
from luthier.adapters.new_rows import Span
from luthier.checkpoint.weights import read_weights
from luthier.errors import InputError
from luthier.interop.huggingface.families import family_of
from luthier.interop.huggingface.folder import open_folder
from luthier.interop.huggingface.read import Pretrained, config_of, read_pretrained
from luthier.interop.huggingface.row import Row
from luthier.interop.peft.places import Names
from luthier.interop.peft.read import put_on
from luthier.interop.peft.write import CONFIG, WEIGHTS, peft_adapter
from luthier.model.blueprint import LayersSpec, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")
VOCAB = 31
SMALL = {"vocab_size": VOCAB, "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2}

MODELS: dict[str, tuple[Callable[[], nn.Module], list[str], tuple[str, ...]]] = {
    "llama": (
        lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                **SMALL,
                intermediate_size=24,
                num_key_value_heads=2,
                max_position_embeddings=32,
                tie_word_embeddings=False,
            )
        ),
        ["q_proj", "v_proj", "down_proj"],
        ("query", "value", "down"),
    ),
    "gpt2": (
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=4, n_positions=32
            )
        ),
        ["c_attn", "c_fc"],
        ("query", "value", "up"),
    ),
    "bert": (
        lambda: transformers.BertForSequenceClassification(
            transformers.BertConfig(**SMALL, intermediate_size=24, max_position_embeddings=32)
        ),
        ["query", "dense"],
        ("query", "up"),
    ),
}


def their_model(kind: str) -> nn.Module:
    torch.manual_seed(3)
    return MODELS[kind][0]().double().eval()


def ours_of(kind: str, folder: Path) -> tuple[Pretrained, Names]:
    their_model(kind).save_pretrained(folder)
    found = read_pretrained(folder, dtype=None)
    family = family_of(config_of(open_folder(folder)))
    return found, Names(family.matches(Row.of(found.network), found.aim), family.tied)


def moved(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.requires_grad:
                weight += 0.2 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


def alike(one: torch.Tensor, other: torch.Tensor, kind: str = "") -> None:
    """The turns of rotary positions are float32 in transformers."""
    close = {"rtol": 1e-5, "atol": 1e-6} if kind == "llama" else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(one, other, **close)


def tokens() -> torch.Tensor:
    return torch.randint(5, VOCAB, (3, 8), generator=torch.Generator().manual_seed(1))


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(tokens()).logits
        return found


def files(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    return json.loads((folder / CONFIG).read_text()), read_weights(folder / WEIGHTS)


def write(folder: Path, adapter: Any) -> Path:
    folder.mkdir()
    for name, content in adapter.contents().items():
        with open(folder / name, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file.write)
    return folder


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("how", [{}, {"use_rslora": True}, {"use_dora": True}], ids=str)
def test_theirs_on_ours(kind: str, how: dict[str, Any], tmp_path: Path) -> None:
    pretrained, names = ours_of(kind, tmp_path / "base")
    task = "SEQ_CLS" if kind == "bert" else "CAUSAL_LM"
    config = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=MODELS[kind][1], task_type=task, **how
    )
    theirs = peft.get_peft_model(their_model(kind), config).double()
    moved(theirs)
    theirs.eval().save_pretrained(tmp_path / "adapter")
    ours = put_on(pretrained.network, *files(tmp_path / "adapter"), names)
    wanted = logits(theirs)
    alike(ours(tokens()), wanted, kind)
    assert not torch.allclose(logits(their_model(kind)), wanted, atol=1e-3)
    alike(merge(ours)(tokens()), wanted, kind)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("low", ["lora", "rslora", "dora"])
def test_ours_on_theirs(kind: str, low: str, tmp_path: Path) -> None:
    pretrained, names = ours_of(kind, tmp_path / "base")
    net = pretrained.network
    spec = LoraSpec(kind=low, rank=3, alpha=5.0, targets=MODELS[kind][2])  # type: ignore[arg-type]
    attach(net, spec, new=("head.",) if kind == "bert" else ())
    moved(net)
    whole = [n for n, w in net.named_parameters() if w.requires_grad and ".adapters." not in n]
    task = "SEQ_CLS" if kind == "bert" else "CAUSAL_LM"
    made = peft_adapter(
        net, "default", names, whole=whole, stabilised=low == "rslora", about={"task_type": task}
    )
    write(tmp_path / "adapter", made)
    theirs = peft.PeftModel.from_pretrained(their_model(kind), tmp_path / "adapter").eval()
    alike(logits(theirs), net(tokens()), kind)
    again, names = ours_of(kind, tmp_path / "base")
    put_on(again.network, *files(tmp_path / "adapter"), names)
    alike(again.network(tokens()), net(tokens()))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("low", ["lora", "dora"])
def test_a_table(tied: bool, low: str, tmp_path: Path) -> None:
    base = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **SMALL,
            intermediate_size=24,
            max_position_embeddings=32,
            tie_word_embeddings=tied,
        )
    )
    base.double().eval().save_pretrained(tmp_path / "base")
    pretrained = read_pretrained(tmp_path / "base", dtype=None)
    family = family_of(config_of(open_folder(tmp_path / "base")))
    names = Names(family.matches(Row.of(pretrained.network), pretrained.aim), family.tied)
    net = pretrained.network
    attach(net, LoraSpec(kind=low, rank=2, targets=("table", "query")))  # type: ignore[arg-type]
    moved(net)
    if tied and low == "dora":
        with pytest.raises(InputError, match="has no place in PEFT's format"):
            peft_adapter(net, "default", names)
        return
    write(tmp_path / "adapter", peft_adapter(net, "default", names))
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    alike(logits(theirs), net(tokens()), "llama")
    again = read_pretrained(tmp_path / "base", dtype=None).network
    put_on(again, *files(tmp_path / "adapter"), names)
    alike(again(tokens()), net(tokens()))


def test_an_adapter_of_the_table_alone_is_refused_where_the_head_has_its_weights(
    tmp_path: Path,
) -> None:
    config = transformers.LlamaConfig(
        **SMALL, intermediate_size=24, max_position_embeddings=32, tie_word_embeddings=True
    )
    base = transformers.LlamaForCausalLM(config)
    base.save_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(r=2, target_modules=["embed_tokens"], task_type="CAUSAL_LM")
    peft.get_peft_model(base, lora).save_pretrained(tmp_path / "adapter")
    pretrained = read_pretrained(tmp_path / "base")
    family = family_of(config_of(open_folder(tmp_path / "base")))
    names = Names(family.matches(Row.of(pretrained.network), pretrained.aim), family.tied)
    with pytest.raises(InputError, match="but not lm_head, which has the same weights"):
        put_on(pretrained.network, *files(tmp_path / "adapter"), names)


def convnet() -> nn.Module:
    layers = [
        {"kind": "conv", "channels": 6, "kernel": 3, "norm": "batch", "activation": "relu"},
        {"kind": "conv", "channels": 5, "kernel": 3},
        {"kind": "flatten"},
        {"kind": "dense", "width": 7},
    ]
    net = build(parse(LayersSpec, {"layers": layers}), Signal.of((2, 7, 7)))
    materialize(net, seed=1, spec=InitializeSpec(), dtype=torch.float64)
    return net.eval()


@pytest.mark.parametrize("how", [{}, {"use_dora": True}], ids=str)
def test_peft_itself_on_a_network_of_ours(how: dict[str, Any], tmp_path: Path) -> None:
    x = torch.randn(4, 2, 7, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    config = peft.LoraConfig(
        r=2, target_modules=["conv", "linear"], modules_to_save=["layers.0.norm"], **how
    )
    theirs = peft.get_peft_model(convnet(), config)
    moved(theirs)
    theirs.eval().save_pretrained(tmp_path / "adapter")
    ours = put_on(convnet(), *files(tmp_path / "adapter"))
    alike(ours(x), theirs(x))
    whole = ["layers.0.norm.weight", "layers.0.norm.bias"]
    write(tmp_path / "again", peft_adapter(ours, "default", whole=whole))
    again = peft.PeftModel.from_pretrained(convnet(), tmp_path / "again").eval()
    alike(again(x), theirs(x))


def test_both_begin_alike() -> None:
    """The spread of A is that of PEFT, B is zero; of DoRA the lengths are the weight's."""
    net, theirs = convnet(), convnet()
    config = peft.LoraConfig(r=64, target_modules=["linear", "conv"], use_dora=True)
    peft.get_peft_model(theirs, config)
    attach(net, LoraSpec(kind="dora", rank=64, targets=("linear", "conv")))
    for name in ("layers.0.conv", "layers.1.conv", "layers.3.linear"):
        own = net.get_submodule(f"{name}.adapters.default.weight")
        their = dict(theirs.named_parameters())
        a, b = (their[f"{name}.lora_{part}.default.weight"] for part in "AB")
        bound = 1 / own.down.shape[1] ** 0.5
        for down in (own.down, a.flatten(1)):
            assert 0.98 * bound < down.abs().max() <= bound
            assert abs(float(down.std()) - bound / 3**0.5) < 0.1 * bound
        assert not own.up.any()
        assert not b.any()
        magnitude = their[f"{name}.lora_magnitude_vector.default.weight"].flatten()
        torch.testing.assert_close(own.magnitude, magnitude)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is IA3; luthier reads LORA"),
        ({"bias": "all"}, "biases of the network moved too"),
        ({"lora_bias": True}, "lora_bias is True, which luthier does not compute"),
    ],
)
def test_other_kinds_are_refused(change: dict[str, Any], message: str) -> None:
    made = peft_adapter(attach(convnet(), LoraSpec(rank=2)), "default")
    with pytest.raises(InputError, match=message):
        put_on(convnet(), {**made.config, **change}, made.tensors)


def test_adapters_of_other_networks_are_refused() -> None:
    made = peft_adapter(attach(convnet(), LoraSpec(rank=2)), "default")
    other = {key.replace("layers.3", "layers.9"): t for key, t in made.tensors.items()}
    with pytest.raises(InputError, match=r"has no place for layers\.9"):
        put_on(convnet(), made.config, other)
    wrong = {
        key: t[:, :1] if key.endswith("3.linear.lora_A.weight") else t
        for key, t in made.tensors.items()
    }
    with pytest.raises(InputError, match="is for a weight of 7 x 1, but this one is 7 x 45"):
        put_on(convnet(), made.config, wrong)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 99), st.floats(), st.text(max_size=5),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["linear", "(", "(a+)+"]), st.integers(1, 3) | st.none()),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_its_files_is_read_or_refused(data: st.DataObject) -> None:
    made = peft_adapter(attach(convnet(), LoraSpec(kind="dora", rank=2)), "default")
    config, tensors = dict(made.config), dict(made.tensors)
    if data.draw(st.booleans()):
        config[data.draw(st.sampled_from(sorted(config)))] = data.draw(ANYTHING)
    key = data.draw(st.sampled_from(sorted(tensors)))
    shape = data.draw(st.lists(st.integers(1, 3), max_size=4))
    spoilt = data.draw(st.sampled_from(["gone", "another shape", "no number", "whole"]))
    match spoilt:
        case "gone":
            del tensors[key]
        case "another shape":
            tensors[key] = torch.zeros(shape)
        case "no number":
            tensors[key] = tensors[key] * torch.nan
    told = ""
    try:
        put_on(convnet(), config, tensors, source="adapter.json")
    except InputError as error:
        told = str(error)
    assert "adapter.json" in told or (not told and spoilt != "no number")


@pytest.mark.parametrize("tied", [False, True])
def test_the_vectors_of_new_tokens(tied: bool, tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        **SMALL, intermediate_size=24, max_position_embeddings=32, tie_word_embeddings=tied
    )
    base = transformers.LlamaForCausalLM(config).double().eval()
    base.save_pretrained(tmp_path / "base")
    span = Span(VOCAB - 4, 3)

    def ours() -> tuple[nn.Module, Names]:
        found = read_pretrained(tmp_path / "base", dtype=None)
        family = family_of(config_of(open_folder(tmp_path / "base")))
        return found.network, Names(family.matches(Row.of(found.network), found.aim), family.tied)

    net, names = ours()
    attach(net, LoraSpec(rank=2, targets=("query",)), tokens=span)
    moved(net)
    write(tmp_path / "adapter", peft_adapter(net, "default", names))
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    alike(logits(theirs), net(tokens()), "llama")
    again, names = ours()
    put_on(again, *files(tmp_path / "adapter"), names)
    alike(again(tokens()), net(tokens()))
    theirs.save_pretrained(tmp_path / "back")
    once_more, names = ours()
    put_on(once_more, *files(tmp_path / "back"), names)
    alike(once_more(tokens()), net(tokens()))
