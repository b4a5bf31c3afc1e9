"""Optimizers against torch's, or against the published formulas; and what decay spares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_training import CPU, copied, differences

from luthier.errors import SpecError
from luthier.model.blueprint import LayersSpec, build
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.spec import parse
from luthier.training import muon
from luthier.training.groups import parameter_groups
from luthier.training.learner import Learner
from luthier.training.lion import LionSpec
from luthier.training.muon import MuonSpec, orthogonal
from luthier.training.optimizer import AdamSpec, AdamWSpec, OptimizerSpec, SgdSpec, state_tensors

Step = Callable[[], object]


def network() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.Tanh(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5)
        ).double()


def run(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 6) -> dict[str, Tensor]:
    inputs = torch.Generator().manual_seed(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (1 + step)
        optimizer.zero_grad()
        x = torch.randn(7, 2, 4, 4, dtype=torch.float64, generator=inputs)
        net(x).square().mean().backward()
        optimizer.step()
    return {name: p.detach() for name, p in net.named_parameters()}


def same(left: dict[str, Tensor], right: dict[str, Tensor], within: float = 1e-14) -> None:
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=0, atol=within, msg=name)


def with_decay(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """torch's groups, written by hand: conv and dense weights decay, nothing else does."""
    named = dict(net.named_parameters())
    decayed = ["0.weight", "4.weight"]
    return [
        {"params": [named[name] for name in decayed], "weight_decay": decay},
        {"params": [p for name, p in named.items() if name not in decayed], "weight_decay": 0.0},
    ]


THEIRS: list[tuple[OptimizerSpec, Callable[[nn.Module], torch.optim.Optimizer]]] = [
    (SgdSpec(momentum=0.0), lambda net: torch.optim.SGD(net.parameters(), 1)),
    (SgdSpec(), lambda net: torch.optim.SGD(net.parameters(), 1, momentum=0.9)),
    (
        SgdSpec(nesterov=True, momentum=0.8),
        lambda net: torch.optim.SGD(net.parameters(), 1, momentum=0.8, nesterov=True),
    ),
    (
        SgdSpec(weight_decay=0.3, coupled_decay=True),
        lambda net: torch.optim.SGD(with_decay(net, 0.3), 1, momentum=0.9),
    ),
    (
        SgdSpec(momentum=0.0, weight_decay=0.3),
        lambda net: torch.optim.SGD(with_decay(net, 0.3), 1),
    ),  # without momentum both decays are the same
    (
        AdamSpec(beta1=0.8, beta2=0.95, epsilon=1e-6),
        lambda net: torch.optim.Adam(net.parameters(), 1, (0.8, 0.95), 1e-6),
    ),
    (AdamWSpec(weight_decay=0.3), lambda net: torch.optim.AdamW(with_decay(net, 0.3), 1)),
]


@pytest.mark.parametrize(("spec", "make"), THEIRS)
def test_those_of_torch(
    spec: OptimizerSpec, make: Callable[[nn.Module], torch.optim.Optimizer]
) -> None:
    ours, theirs = network(), network()
    same(run(ours, spec.build(ours)), run(theirs, make(theirs)), within=1e-13)


def test_decoupled_decay_does_not_go_through_the_momentum() -> None:
    ours, theirs = network(), network()
    spec = SgdSpec(weight_decay=0.3)

    class ByHand(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            for name in ("0.weight", "4.weight"):
                weight = theirs.get_parameter(name)
                weight.data -= self.param_groups[0]["lr"] * 0.3 * weight.data
            super().step()

    by_hand = ByHand(theirs.parameters(), 1, momentum=0.9)
    same(run(ours, spec.build(ours)), run(theirs, by_hand), within=1e-13)
    coupled = network()
    found = run(coupled, SgdSpec(weight_decay=0.3, coupled_decay=True).build(coupled))
    assert (found["4.weight"] - ours.get_parameter("4.weight")).abs().max() > 1e-4


class ByFormula(torch.optim.Optimizer):
    """An optimizer as its paper writes it, one parameter after the other."""

    def __init__(self, net: nn.Module, rule: Callable[..., None], decay: float) -> None:
        super().__init__(net.parameters(), {"lr": 1.0})
        self.named = [(name, p, torch.zeros_like(p)) for name, p in net.named_parameters()]
        self.rule, self.decay = rule, decay

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for name, p, mean in self.named:
            decay = self.decay if name in ("0.weight", "4.weight") else 0.0
            assert p.grad is not None
            self.rule(name, p, p.grad, mean, self.param_groups[0]["lr"], decay)


def test_lion_is_that_of_its_paper() -> None:
    def lion(_: str, p: Tensor, g: Tensor, m: Tensor, rate: float, decay: float) -> None:
        p -= rate * (torch.sign(0.8 * m + 0.2 * g) + decay * p)
        m.copy_(0.95 * m + 0.05 * g)

    ours, theirs = network(), network()
    spec = LionSpec(beta1=0.8, beta2=0.95, weight_decay=0.3)
    same(run(ours, spec.build(ours)), run(theirs, ByFormula(theirs, lion, 0.3)), within=1e-13)


def newton_schulz(x: Tensor) -> Tensor:
    """Written from the post of Jordan et al., without the shortcuts of ours."""
    x = x / x.norm()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
    return x


def test_muon_is_that_of_its_authors() -> None:
    def muon(name: str, p: Tensor, g: Tensor, m: Tensor, rate: float, decay: float) -> None:
        if name not in ("0.weight", "4.weight"):
            return
        m.copy_(0.9 * m + 0.1 * g)
        step = newton_schulz((0.9 * m + 0.1 * g).reshape(len(p), -1))
        p -= rate * decay * p
        p -= rate * 0.2 * max(step.shape) ** 0.5 * step.view(p.shape)

    ours, theirs, rest = network(), network(), network()
    spec = MuonSpec(momentum=0.9, weight_decay=0.3)
    adamw = torch.optim.AdamW(
        [p for name, p in theirs.named_parameters() if p.ndim == 1], 1, weight_decay=0.0
    )

    class Both(ByFormula):
        def step(self, closure: Any = None) -> None:
            adamw.param_groups[0]["lr"] = self.param_groups[0]["lr"]
            adamw.step()
            super().step()

    found = run(theirs, Both(theirs, muon, 0.3))
    same(run(ours, spec.build(ours)), found, within=1e-12)
    plain = run(rest, MuonSpec(momentum=0.9, weight_decay=0.3, nesterov=False).build(rest))
    assert (plain["4.weight"] - found["4.weight"]).abs().max() > 1e-4


def test_muon_is_near_that_of_torch_which_rounds_to_bfloat16() -> None:
    ours = nn.Sequential(nn.Flatten(), nn.Linear(32, 5, bias=False)).double()
    theirs = nn.Sequential(nn.Flatten(), nn.Linear(32, 5, bias=False)).double()
    theirs.load_state_dict(ours.state_dict())
    before = ours.get_parameter("1.weight").detach().clone()
    torch_muon = torch.optim.Muon(
        theirs.parameters(), lr=1.0, weight_decay=0.3, adjust_lr_fn="match_rms_adamw"
    )
    left = run(ours, MuonSpec(weight_decay=0.3).build(ours))["1.weight"] - before
    right = run(theirs, torch_muon)["1.weight"] - before
    assert (left - right).norm() < 0.05 * right.norm()


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (9, 9)])
def test_a_step_of_muon_is_about_orthogonal(shape: tuple[int, int]) -> None:
    x = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    values = torch.linalg.svdvals(orthogonal(x))
    assert values.min() > 0.2
    assert values.max() < 1.25
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    assert ((orthogonal(x) * (left @ right)).sum((1, 2)) > 0.7 * min(shape)).all()
    alone = torch.stack([orthogonal(one[None])[0] for one in x])
    torch.testing.assert_close(orthogonal(x), alone, rtol=1e-13, atol=1e-13)


def test_rounded_to_bfloat16_it_is_as_orthogonal() -> None:
    x = torch.randn(2, 40, 30, generator=torch.Generator().manual_seed(4))
    exact = orthogonal(x.double())
    rounded = orthogonal(x)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm() < 0.2 * exact.norm()
    assert torch.linalg.svdvals(rounded).max() < 1.25


def test_kernels_of_several_shapes_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    def stepped(elements: int) -> dict[str, Tensor]:
        monkeypatch.setattr(muon, "_BATCH_ELEMENTS", elements)
        with torch.random.fork_rng([]):
            torch.manual_seed(3)
            layers = [nn.Linear(4, 4, bias=False) for _ in range(5)]
            net = nn.Sequential(*layers, nn.Linear(4, 6, bias=False)).double()
            for p in net.parameters():
                p.grad = torch.randn_like(p)
        MuonSpec().build(net).step()
        return dict(net.state_dict())

    same(stepped(2 * 16), stepped(1), within=1e-14)


def test_the_head_is_no_matter_of_muon() -> None:
    net = nn.ModuleDict({"layers": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
    optimizer = MuonSpec().build(net)
    names = {group["name"]: len(group["params"]) for group in optimizer.param_groups}
    assert names == {"matrices": 1, "decayed": 1, "undecayed": 2}
    assert [n for n in state_tensors(optimizer, net) if n.startswith("mean")] == [
        "mean/layers.weight"
    ]
    only_head = nn.ModuleDict({"head": nn.Linear(4, 2, bias=False)})
    assert [g["name"] for g in MuonSpec().build(only_head).param_groups] == ["decayed"]
    only_matrix = nn.Linear(4, 2, bias=False)
    assert [g["name"] for g in MuonSpec().build(only_matrix).param_groups] == ["matrices"]


def test_scores_of_tokens_are_no_matter_of_muon() -> None:
    """Where they are the last of the layers, as in the head that a task adds."""
    spec = LayersSpec.model_validate(
        {
            "layers": [
                {"kind": "tokens", "width": 8},
                {"kind": "dense", "width": 8},
                {"kind": "unembed", "vocab": 20, "bias": True},
            ],
            "head": "none",
        }
    )
    net = build(spec, Signal.tokens(4, 20))
    optimizer = MuonSpec().build(net)
    shapes = {
        group["name"]: sorted(tuple(weight.shape) for weight in group["params"])
        for group in optimizer.param_groups
    }
    assert shapes == {
        "matrices": [(8, 8)],
        "decayed": [(20, 8), (20, 8)],
        "undecayed": [(8,), (20,)],
    }


def test_decay_spares_norms_biases_and_what_is_frozen() -> None:
    net = nn.ModuleDict(
        {
            "conv": nn.Conv1d(2, 4, 3),
            "layer": nn.LayerNorm((4, 5)),  # its weight has two dimensions
            "batch": nn.BatchNorm1d(4),
            "frozen": nn.Linear(3, 3).requires_grad_(False),
        }
    )
    named: dict[Tensor, str] = {p: name for name, p in net.named_parameters()}
    groups = {
        group["name"]: [named[p] for p in group["params"]] for group in parameter_groups(net, 0.1)
    }
    assert groups["decayed"] == ["conv.weight"]
    assert sorted(groups["undecayed"]) == [
        "batch.bias", "batch.weight", "conv.bias", "layer.bias", "layer.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [SgdSpec(weight_decay=0.5), AdamWSpec(weight_decay=0.5), MuonSpec(weight_decay=0.5),
     LionSpec(weight_decay=0.5)],
    ids=lambda spec: spec.kind,
)  # fmt: skip
def test_with_no_gradient_only_the_decayed_shrink(spec: OptimizerSpec) -> None:
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = spec.build(net)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in net.named_parameters():
        factor = 0.95 if name in ("0.weight", "4.weight") else 1.0
        torch.testing.assert_close(p.detach(), factor * before[name], rtol=1e-12, atol=0)


def test_a_network_with_nothing_to_train() -> None:
    with pytest.raises(AssertionError, match="no parameter to train"):
        AdamSpec().build(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs momentum, got momentum 0"),
        ({"coupled_decay": True}, "coupled_decay would not be used: weight_decay is 0"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"momentum": 1.0}, "momentum"),
    ],
)
def test_settings_that_make_no_sense(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(SgdSpec, data)


def resumed_in_another_layout(spec: OptimizerSpec, *, in_their_place: bool) -> list[str]:
    """What differs after a resume from contiguous tensors, with a kernel that lies otherwise."""

    def made() -> Learner:
        net = network().to(memory_format=torch.channels_last)
        return Learner(placed=Placed(network=net, device=CPU), optimizer=spec.build(net))

    whole, first, second = made(), made(), made()
    run(whole.placed.network, whole.optimizer, steps=3)
    run(first.placed.network, first.optimizer, steps=3)
    saved = {
        key: {name: t.clone(memory_format=torch.contiguous_format) for name, t in named.items()}
        for key, named in first.tensors().items()
    }
    second.load(saved)
    if in_their_place:  # the mutant: what was loaded is used as it lies
        for full_name, tensor in saved["optimizer"].items():
            key, _, name = full_name.partition("/")
            weight = second.placed.network.get_parameter(name)
            second.optimizer.state[weight][key] = tensor
    run(whole.placed.network, whole.optimizer)
    run(second.placed.network, second.optimizer)
    return differences(copied(whole.tensors()), copied(second.tensors()))


@pytest.mark.parametrize(
    "spec", [SgdSpec(), AdamWSpec(), MuonSpec(), LionSpec()], ids=lambda spec: spec.kind
)
def test_state_survives_another_memory_layout(spec: OptimizerSpec) -> None:
    assert resumed_in_another_layout(spec, in_their_place=False) == []


@pytest.mark.parametrize("spec", [SgdSpec(), AdamWSpec()], ids=lambda spec: spec.kind)
def test_the_proof_catches_a_shuffled_moment(spec: OptimizerSpec) -> None:
    """Fused kernels walk memory: a moment in another layout than its weight is shuffled."""
    assert "weights: 0.weight" in resumed_in_another_layout(spec, in_their_place=True)


def test_numbers_of_different_types_train_together() -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2).double()})
    for spec in (SgdSpec(), AdamWSpec(), MuonSpec(), LionSpec()):
        optimizer = spec.build(net)
        before = copied({"weights": dict(net.state_dict())})
        for p in net.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        assert len(differences(before, {"weights": dict(net.state_dict())})) == 4


def test_a_parameter_without_a_gradient_stays() -> None:
    for spec in (SgdSpec(weight_decay=0.1), AdamWSpec(), MuonSpec(), LionSpec()):
        net = nn.Linear(2, 2)
        before = copied({"weights": dict(net.state_dict())})
        optimizer = spec.build(net)
        optimizer.step()
        net.weight.grad = torch.ones_like(net.weight)
        optimizer.step()
        assert differences(before, {"weights": dict(net.state_dict())}) == ["weights: weight"]


def test_columns_are_canonical_in_a_checkpoint() -> None:
    """A placement that stores columns in another order is not seen from outside."""
    order = torch.tensor([2, 0, 3, 1])
    plain, permuted = nn.Linear(4, 3).double(), nn.Linear(4, 3).double()
    with torch.no_grad():
        permuted.weight.copy_(plain.weight[:, order])
        permuted.bias.copy_(plain.bias)
    learners = []
    for net, columns in ((plain, {}), (permuted, {"weight": order})):
        placed = Placed(network=net, device=CPU, columns=columns)
        learners.append(Learner(placed=placed, optimizer=AdamWSpec().build(net)))
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for made, inputs in zip(learners, (x, x[:, order]), strict=True):
        for _ in range(3):
            made.optimizer.zero_grad()
            made.placed.network(inputs).square().sum().backward()
            made.optimizer.step()
    left, right = (copied(made.tensors()) for made in learners)
    for key in left:
        same(left[key], right[key], within=1e-12)
    learners[1].load(left)
    assert torch.equal(permuted.weight, left["weights"]["weight"][:, order])
    moment = learners[1].optimizer.state[permuted.weight]["exp_avg"]
    assert torch.equal(moment, left["optimizer"]["exp_avg/weight"][:, order])
