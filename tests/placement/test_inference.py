"""Networks for inference: the same function, of weights that are rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.adapters.attach import attach
from luthier.adapters.lora import LoraSpec, LowRank
from luthier.adapters.nf4 import Nf4
from luthier.data.target import Documents
from luthier.errors import InputError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.model.stream import State
from luthier.placement import inference
from luthier.placement.compiling import compile_for_training
from luthier.placement.fixed_blocks import FixedAttention, FixedMlp, FixedSublayer
from luthier.placement.inference import Readied, Weights, for_inference
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.tasks.language import LanguageSpec

CPU, VOCAB, CONTEXT = torch.device("cpu"), 30, 16
TOKENS: dict[str, Any] = {"kind": "tokens", "width": 16}
LAYERS: dict[str, Sequence[dict[str, Any]]] = {
    "gpt": (
        {**TOKENS, "position": "learned"},
        {
            "kind": "repeat",
            "times": 2,
            "layers": [
                {"kind": "attention", "heads": 2, "norm": "layer", "bias": True, "dropout": 0.3},
                {"kind": "mlp", "norm": "layer", "bias": True, "activation": "gelu_tanh"},
            ],
        },
        {"kind": "layer_norm"},
    ),
    "llama": (
        TOKENS,
        {"kind": "attention", "heads": 4, "kv_heads": 2, "position": "rotary", "bias": "qkv"},
        {"kind": "mlp", "gated": True},
        {"kind": "rms_norm"},
    ),
    "qk norm": (
        TOKENS,
        {"kind": "attention", "heads": 2, "position": "rotary", "qk_norm": "rms", "head_width": 6},
        {"kind": "attention", "heads": 2, "qk_norm": "layer", "scale": 0.7, "residual_scale": 0.5},
        {"kind": "mlp", "gated": True, "activation": "gelu", "residual": False},
    ),
    "norms behind": (
        TOKENS,
        {"kind": "attention", "heads": 2, "norm_place": "post", "norm": "layer"},
        {"kind": "mlp", "norm_place": "both", "activation": "relu"},
        {"kind": "attention", "heads": 4, "kv_heads": 1, "norm": "none"},
    ),
    "scores of their own": (
        TOKENS,
        {"kind": "attention", "heads": 2, "position": "alibi"},
        {"kind": "attention", "heads": 2, "position": "relative", "relative_buckets": 8},
        {"kind": "attention", "heads": 2, "window": 3, "position": "rotary"},
        {"kind": "attention", "heads": 2, "softcap": 2.0},
    ),
    "experts": (
        TOKENS,
        {"kind": "moe", "experts": 3, "shared": 1, "gated": True},
        {"kind": "moe", "experts": 2, "bias": True},
    ),
    "recurrent": (
        TOKENS,
        {"kind": "linear_recurrence", "width": 12},
        {"kind": "recurrent", "width": 16, "depth": 2},
        {"kind": "recurrent", "width": 16, "cell": "gru"},
    ),
    "others": (
        TOKENS,
        {"kind": "conv", "channels": 16, "kernel": 3, "padding": "causal", "activation": "silu"},
        {"kind": "dense", "width": 16, "activation": "mish"},
        {"kind": "residual", "layers": [{"kind": "dense", "width": 16, "norm": "layer"}]},
    ),
}
TIED = ("gpt", "qk norm")


def placed_of(
    name: str, dtype: torch.dtype = torch.float32, precision: torch.dtype = torch.float32
) -> Placed:
    head = {"tied": True, "softcap": 5.0} if name in TIED else "auto"
    spec = LayersSpec.model_validate({"layers": LAYERS[name], "head": head})
    target = Documents(vocab=VOCAB)
    network = build(
        spec, Signal.tokens(CONTEXT, VOCAB), lambda gives: LanguageSpec().head(gives, target)
    )
    materialize(network, seed=3, spec=spec.initialize, dtype=dtype)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.2)
    return Placed(network=network, device=CPU, precision=precision)


def tokens(rows: int = 2) -> Tensor:
    return torch.randint(VOCAB, (rows, CONTEXT), generator=torch.Generator().manual_seed(7))


@torch.no_grad()
def whole(placed: Placed, x_BT: Tensor) -> Tensor:
    """The scores at all positions, read at once."""
    mode = placed.network.training
    with placed.autocast():
        y: Tensor = placed.network.eval()(x_BT)
    placed.network.train(mode)
    return y


@torch.no_grad()
def stepwise(placed: Placed, x_BT: Tensor, begins: tuple[int, ...] = ()) -> Tensor:
    """The same, first some positions and then one after the other."""
    network, first = placed.network, 5
    assert isinstance(network, Network)
    state = State(capacity=CONTEXT, begins=begins)
    with placed.autocast():
        y, state = network.decode(x_BT[:, :first], state)
        parts = [y]
        for step in range(first, CONTEXT):
            y, state = network.decode(x_BT[:, step : step + 1], state)
            parts.append(y)
    return torch.cat([part.to(parts[0].dtype) for part in parts], 1)


def off(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right.double()).norm() / right.double().norm())


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_function(name: str) -> None:
    placed = placed_of(name, torch.float64)
    ready, x = for_inference(placed), tokens()
    right = whole(placed, x)
    torch.testing.assert_close(whole(ready, x), right, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(stepwise(ready, x), right, rtol=1e-10, atol=1e-10)
    placed.network.eval()
    padded = stepwise(placed, x, begins=(3, 0))
    torch.testing.assert_close(stepwise(ready, x, begins=(3, 0)), padded, rtol=1e-10, atol=1e-10)


def test_what_takes_the_place_of_layers() -> None:
    """Or the test above would prove little."""
    kinds = {type(module) for module in for_inference(placed_of("llama")).network.modules()}
    assert {FixedAttention, FixedMlp, FixedSublayer} <= kinds
    slow = for_inference(placed_of("scores of their own")).network
    assert not any(isinstance(module, FixedAttention) for module in slow.modules())


def test_products_joined_in_another_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    placed, x = placed_of("llama", torch.float64), tokens()
    joined = inference.joined
    monkeypatch.setattr(inference, "joined", lambda layers: joined(layers[::-1]))
    assert off(whole(for_inference(placed), x), whole(placed, x)) > 0.1


@pytest.mark.parametrize("name", LAYERS)
def test_bf16_is_as_exact_as_autocast(name: str) -> None:
    exact, x = placed_of(name, torch.float64), tokens(6)
    placed = placed_of(name, precision=torch.bfloat16)
    right, autocast = whole(exact, x), whole(placed, x)
    ready = for_inference(placed)
    for found in (whole(ready, x), stepwise(ready, x), stepwise(ready, x[:1])):
        assert off(found, right[: len(found)]) < 1.5 * off(autocast, right) < 0.1


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_int8_is_near(name: str, precision: torch.dtype) -> None:
    placed, x = placed_of(name, precision=precision), tokens()
    right = whole(placed_of(name, torch.float64), x)
    ready = for_inference(placed, "int8")
    for found in (whole(ready, x), stepwise(ready, x)):
        assert 1e-4 < off(found, right) < 0.1


@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("training", [True, False])
def test_what_learns_stays_as_it_is(weights: Weights, training: bool) -> None:
    placed, x = placed_of("gpt"), tokens()
    network = placed.network.train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modules = list(network.modules())
    ready = for_inference(placed, weights)
    stepwise(ready, x)
    ready.network.train()
    ready.network.eval()
    assert list(network.modules()) == modules
    assert all(module.training is training for module in network.modules())
    network(x).float().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_what_stays_is_shared() -> None:
    placed = placed_of("gpt")
    ready = for_inference(placed, "bf16").network
    own = {tensor.data_ptr() for tensor in placed.network.parameters()}
    assert {tensor.data_ptr() for tensor in ready.parameters()} < own


def test_an_adapter_is_added_to_the_weights() -> None:
    placed, x = placed_of("gpt", torch.float64), tokens()
    plain = whole(placed, x)
    attach(placed.network, LoraSpec(rank=2, targets=("*.query", "*.up", "*.out")))
    with torch.no_grad():
        for module in placed.network.modules():
            if isinstance(module, LowRank):
                module.up.normal_(generator=torch.Generator().manual_seed(1))
    right = whole(placed, x)
    assert off(right, plain) > 0.01
    torch.testing.assert_close(whole(for_inference(placed), x), right, rtol=1e-10, atol=1e-10)


def test_weights_in_four_bits_stay_so() -> None:
    placed, x = placed_of("llama"), tokens()
    attach(placed.network, LoraSpec(rank=2, bits=4, targets=("*.query", "*.up")))
    own = sum(isinstance(module, Nf4) for module in placed.network.modules())
    ready = for_inference(placed)
    assert sum(isinstance(module, Nf4) for module in ready.network.modules()) == own > 0
    assert not any(isinstance(m, FixedMlp | FixedAttention) for m in ready.network.modules())
    torch.testing.assert_close(whole(ready, x), whole(placed, x), rtol=1e-4, atol=1e-4)


def test_a_compiled_network_too() -> None:
    placed, x = placed_of("gpt", torch.float64), tokens()
    compile_for_training(placed.network, backend="eager")
    ready, right = for_inference(placed), whole(placed, x)
    with torch.no_grad():
        for weight in placed.network.parameters():
            weight.zero_()
    for module in ready.network.modules():
        assert "forward" not in vars(module), "the old network's"
    assert off(whole(ready, x), right) > 0.1  # norms and tables are shared
    assert float(whole(ready, x).abs().max()) == 0


def test_modules_of_others_stay() -> None:
    class Reads(nn.Module):
        """Looks at a layer's weight, and not only at its product."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) / self.linear.weight.norm()

    network = Network.of(Reads(), Signal.of((4,)))
    ready = for_inference(Placed(network=network, device=CPU), "int8")
    x = torch.ones(2, 4)
    torch.testing.assert_close(ready.network(x), network(x))


def test_somebody_who_listens_is_told() -> None:
    placed = placed_of("gpt")
    heard: list[str] = []
    for name, module in placed.network.named_modules():
        if name.endswith(("inner", "norm_before")):
            module.register_forward_hook(lambda *_, name=name: heard.append(name))
    stepwise(for_inference(placed), tokens())
    norms = [name for name in heard if name.endswith("norm_before")]
    assert len(norms) == 4 * (1 + CONTEXT - 5)


def test_made_once_and_anew_where_weights_changed() -> None:
    placed = placed_of("gpt")
    readied = Readied(placed)
    first = readied.with_weights("int8")
    assert readied.with_weights("int8") is first
    assert readied.with_weights("bf16") is not first
    assert readied.with_weights("int8") is first
    with torch.no_grad():
        next(placed.network.parameters()).add_(1)
    assert readied.with_weights("int8") is not first


def test_refused() -> None:
    placed = placed_of("gpt")
    with pytest.raises(InputError, match='weights: got "int4"; wanted auto, fp32, bf16, int8'):
        for_inference(placed, "int4")  # type: ignore[arg-type]
    for device, weights, words in (
        ("cuda", "int8", "for the CPU alone, but this runs on cuda; wanted bf16 or fp32"),
        ("mps", "int8", "this runs on mps; wanted fp32"),
        ("mps", "bf16", "does not use on mps; wanted fp32"),
    ):
        elsewhere = Placed(network=placed.network, device=torch.device(device))
        with pytest.raises(InputError, match=words):
            for_inference(elsewhere, weights)  # type: ignore[arg-type]
