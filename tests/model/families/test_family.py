"""What holds for every family: its dial, its sizes, its layers for each aim, its messages."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luthier.errors import InputError, SpecError
from luthier.model.blocks.attention import Attention
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim, LayersSpec, Network, build
from luthier.model.families.catalogue import families
from luthier.model.families.family import FamilySpec
from luthier.model.initialize import materialize
from luthier.recipe import Recipe
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.yaml_source import read_yaml, write_yaml

AIMS: tuple[Aim, ...] = tuple(
    aim for aim in get_args(Aim) if aim not in ("transcripts", "pairs", "forecast")
)
EVERY = families()
FAMILIES = {kind: cls for kind, cls in EVERY.items() if cls.READS is None}
"""Those that read texts; for those that read series see test_forecasters.py."""
OF_SOUND = {
    kind: cls for kind, cls in EVERY.items() if cls.READS is not None and cls.SHOWN != "forecast"
}
READS_WHOLE = ("bart", "bert", "modernbert", "roberta")
"""Encoders: not for next_token."""
ROTARY = ("gemma", "llama", "mistral", "modernbert", "qwen")
SAME_LAYERS = set(FAMILIES) - {"gru", "lstm", "text_cnn", "transformer"}
"""Families whose layers are the same for every aim."""
VOCAB, CONTEXT = 31, 12


def small(kind: str, **changed: Any) -> FamilySpec:
    cls = FAMILIES[kind]
    depth = {"depth": 2} if "depth" in cls.model_fields else {}
    return cls.model_validate({"kind": kind, "width": 16, **depth, **changed})


def network(spec: LayersSpec, aim: Aim) -> Network:
    """With the head that a task would add, and weights of float64."""
    if aim in SCORES_TOKENS:
        built = build(spec, Signal.tokens(CONTEXT, VOCAB), (UnembedSpec(vocab=VOCAB),))
    else:
        built = build(spec, Signal.tokens(CONTEXT, VOCAB), (DenseSpec(width=3),))
    materialize(built, seed=5, spec=spec.initialize, dtype=torch.float64)
    return built.eval()


def outputs(built: Network) -> tuple[Tensor, Tensor]:
    """For a text, and for one that differs in its last token alone."""
    tokens = torch.arange(CONTEXT)[None] % VOCAB
    with torch.no_grad():
        before = built(tokens)
        tokens[0, -1] = VOCAB - 1
        return before, built(tokens)


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("kind", FAMILIES)
def test_what_was_decided_makes_the_same_layers(kind: str, aim: Aim) -> None:
    family = small(kind)
    decisions = family.decide(aim)
    assert all(decision.reason and "{" not in decision.reason for decision in decisions)
    values = {decision.place.removeprefix("model."): decision.value for decision in decisions}
    settled = type(family).model_validate({**plain(family), **values})
    assert settled.design(aim) == family.design(aim)
    assert settled.decide(aim) == ()


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("kind", FAMILIES)
def test_it_gives_what_the_aim_wants(kind: str, aim: Aim) -> None:
    built = network(small(kind).design(aim), aim)
    shapes = {
        "labels": Signal.of((3,)),
        "tags": Signal.of((CONTEXT, 3)),
        "labels_and_tags": Signal.of((CONTEXT, 3)),
        "answers": Signal.of((CONTEXT, 3)),
    }
    assert built.gives == shapes.get(aim, Signal.of((CONTEXT, VOCAB)))
    before, after = outputs(built)
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("kind", sorted(set(FAMILIES) - set(READS_WHOLE)))
def test_what_writes_does_not_see_ahead(kind: str) -> None:
    before, after = outputs(network(small(kind).design("next_token"), "next_token"))
    torch.testing.assert_close(before[:, :-1], after[:, :-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [*READS_WHOLE, "gru", "lstm", "text_cnn", "transformer"])
def test_what_reads_both_ways_sees_ahead(kind: str) -> None:
    before, after = outputs(network(small(kind).design("masked"), "masked"))
    assert not torch.allclose(before[:, -2], after[:, -2])


@pytest.mark.parametrize("kind", sorted(SAME_LAYERS))
def test_a_task_changes_only_what_is_behind_the_layers(kind: str) -> None:
    """So that a pretrained network can go on with another task."""
    assert len({write_yaml(plain(small(kind).design(aim))["layers"]) for aim in AIMS}) == 1


@pytest.mark.parametrize("kind", FAMILIES)
def test_its_layers_are_a_blank_page(kind: str) -> None:
    spec = small(kind).design(FAMILIES[kind].SHOWN)
    again = read_yaml(write_yaml(plain(spec), compact=True), "page").data
    assert parse(type(spec), again) == spec


@pytest.mark.parametrize("kind", FAMILIES)
def test_its_usual_member_can_be_designed(kind: str) -> None:
    family = FAMILIES[kind].model_validate({"kind": kind, **FAMILIES[kind].usual()})
    spec = family.design(family.SHOWN)
    assert spec.layers if isinstance(spec, LayersSpec) else spec.encoder and spec.decoder


@pytest.mark.parametrize("aim", ["labels", "transcripts"])
@pytest.mark.parametrize("kind", OF_SOUND)
def test_families_for_sounds(kind: str, aim: Aim) -> None:
    family = OF_SOUND[kind].model_validate({"kind": kind, "width": 16})
    values = {d.place.removeprefix("model."): d.value for d in family.decide(aim)}
    settled = OF_SOUND[kind].model_validate({**plain(family), **values})
    spec = family.design(aim)
    assert settled.design(aim) == spec
    assert parse(LayersSpec, read_yaml(write_yaml(plain(spec), compact=True), "page").data) == spec
    built = build(spec, Signal.of((40, 20)), (DenseSpec(width=3),))
    assert built.gives.form == ("vector" if aim == "labels" else "sequence")
    assert built.gives.width == 3
    assert OF_SOUND[kind].model_validate({"kind": kind, **OF_SOUND[kind].usual()}).design(aim)


def decided(kind: str, **changed: Any) -> dict[str, Any]:
    family = FAMILIES[kind].model_validate({"kind": kind, **changed})
    return {decision.place: decision.value for decision in family.decide(family.SHOWN)}


def test_one_dial() -> None:
    found = decided("llama", depth=12)
    assert found == {
        "model.width": 768,
        "model.heads": 12,
        "model.kv_heads": 3,
        "model.head_width": 64,
        "model.mlp_width": 2048,
        "model.rotary_base": 10_000.0,
        "model.rotary_scaling": None,
        "model.tied": True,
    }
    assert decided("llama", width=768)["model.depth"] == 12
    assert decided("gpt2", depth=12) == {
        "model.width": 768,
        "model.heads": 12,
        "model.mlp_width": 3072,
        "model.positions": None,
    }
    assert decided("llama", depth=64)["model.tied"] is False
    assert decided("qwen", depth=2, qkv_bias=True)["model.qk_norm"] is False
    assert decided("llama", width=96, depth=1, head_width=24)["model.heads"] == 4


def test_the_dial_makes_gpt2_small() -> None:
    size = FAMILIES["gpt2"].model_validate({"size": "small"})
    dial = FAMILIES["gpt2"].model_validate({"depth": 12, "positions": 1024})
    assert dial.design("next_token") == size.design("next_token")


def test_a_size_with_something_else() -> None:
    found = decided("llama", size="3.2-1b", depth=4)
    assert found["model.width"] == 2048
    assert found["model.rotary_scaling"] == {"kind": "llama3", "factor": 32.0}
    assert "model.depth" not in found
    reasons = {d.reason for d in FAMILIES["gpt2"].model_validate({"size": "xl"}).decide("labels")}
    assert reasons == {"as in gpt2-xl"}


def test_a_pattern_of_any_depth() -> None:
    """Gemma 3: five layers with a window, then one without; those left over have one."""
    page = FAMILIES["gemma"].model_validate({"depth": 9, "width": 16}).design("tags")
    built = build(page, Signal.tokens(4, 9))
    attentions = [module for module in built.modules() if isinstance(module, Attention)]
    assert [a.sight.window for a in attentions] == [512] * 5 + [None] + [512] * 3
    page = FAMILIES["modernbert"].model_validate({"depth": 6, "width": 16}).design("tags")
    attentions = [m for m in build(page, Signal.tokens(4, 9)).modules() if isinstance(m, Attention)]
    assert [a.sight.window for a in attentions] == [None, 129, 129, None, 129, 129]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.sampled_from(AIMS), st.integers(1, 70))
def test_any_width_is_built_or_refused_in_words(kind: str, aim: Aim, width: int) -> None:
    family = small(kind, width=width)
    if width % 2 and kind in ROTARY:
        with pytest.raises(InputError, match="wanted an even number"):
            network(family.design(aim), aim)
        return
    built = network(family.design(aim), aim)
    assert all(bool(torch.isfinite(output).all()) for output in outputs(built))


BASE: dict[str, Any] = {"name": "x", "task": {"kind": "classify"}, "data": {"kind": "digits"}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "lama", "depth": 3}, 'model: unknown kind "lama"; did you mean "llama"?'),
        (
            {"kind": "zzz"},
            'model: unknown kind "zzz"; valid: bart, bert, conformer',
        ),
        ({"kind": "llama", "dept": 3}, 'model.dept: unknown setting "dept"; did you mean "depth"?'),
        ({"kind": "llama", "tide": True, "depth": 1}, 'setting "tide"; did you mean "tied"?'),
        ({"kind": "gpt2"}, "model: got no size or depth or width; give one, such as depth: 4"),
        ({"kind": "gpt2"}, "sizes: small, medium, large, xl"),
        ({"kind": "transformer"}, "model: got no depth or width; give one, such as depth: 4"),
        ({"kind": "gpt2", "size": "smal"}, 'model.size: got "smal"; did you mean "small"?'),
        ({"kind": "gru", "size": "big"}, 'model.size: got "big"; this family has no table'),
        ({"kind": "llama", "depth": 0}, 'model.depth: got 0, wanted at least 1 or "auto"'),
        (
            {"kind": "llama", "depth": 4, "kv_heads": 3},
            "model.kv_heads: got 3, wanted a divisor of the 4 heads, such as 2",
        ),
        (
            {"kind": "llama", "depth": 4, "heads": 3},
            "model.heads: got 3, wanted a divisor of the width of 256, or a head_width beside it",
        ),
        ({"kind": "modernbert", "depth": 3, "window": 4}, "model.window: got 4, wanted an odd"),
        ({"kind": "text_cnn", "kernels": []}, "model.kernels: got none of them; wanted one or"),
        ({"depth": 3}, "model: has no kind, got {'depth': 3}; give one: {kind: …}"),
        ({"layrs": []}, 'model.layrs: unknown setting "layrs"; did you mean "layers"?'),
        ({"layers": [{"kind": "flatten"}], "depth": 3}, 'unknown setting "depth"; valid: head, '),
        ({"layers": [{"kind": "fltten"}]}, 'model.layers[0]: unknown kind "fltten"; did you mean'),
        (3, "model: got 3, wanted settings: {key: value, …}"),
    ],
)
def test_messages(model: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Recipe.of({**BASE, "model": model})
    assert message in str(caught.value)


def test_a_head_that_the_task_does_not_have() -> None:
    with pytest.raises(SpecError, match=r"model\.tied: belongs to language models"):
        small("llama", tied=True).design("labels")
    assert "model.tied" not in {d.place for d in small("llama").decide("labels")}
