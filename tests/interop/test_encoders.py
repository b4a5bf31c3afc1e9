"""Every family of encoders: theirs in our network gives what it gives in transformers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from encoder_cases import CASES, CLASSES, NAMES, Case
from foreign import CONTEXT, TOKENS, difference, logits, saved, theirs
from safetensors.torch import load_file, save_file
from torch import Tensor

from luthier.data.target import Documents, Labels, Tags
from luthier.errors import InputError
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.tasks.classify import ClassifySpec
from luthier.tasks.language import LanguageSpec
from luthier.tasks.tag import TagSpec

# Not what is padding or frames a text, of which RoBERTa's position hangs.
WORDS = TOKENS.clamp(min=3)
LENGTHS = (21, 13, 4)


def both(case: Case, place: Path) -> tuple[Any, Pretrained]:
    """Theirs, and ours of its folder."""
    network = theirs(case.kind, **case.settings)
    pretrained = read_pretrained(saved(network, place))
    if exact(case):
        network.double()
        pretrained.network.double()
    return network, pretrained


def exact(case: Case) -> bool:
    """Whether theirs computes in float64; ModernBERT turns and weighs in float32 whatever it is."""
    return not case.kind.startswith("ModernBert")


def tolerance(case: Case) -> float:
    return 1e-10 if exact(case) else 1e-5


@pytest.mark.parametrize("name", CASES)
def test_what_it_gives_is_equal(name: str, tmp_path: Path) -> None:
    network, pretrained = both(CASES[name], tmp_path)
    with torch.no_grad():
        found = difference(pretrained.network(WORDS), logits(network, WORDS))
    assert found < tolerance(CASES[name])


@pytest.mark.parametrize(
    ("name", "side"),
    [(name, side) for name in CASES if name.endswith("Model") for side in ("left", "right")]
    # At the left, theirs would take padding for the first position.
    + [(name, "right") for name in CASES if name.endswith("SequenceClassification")],
)
def test_padded_at_a_side_and_packed(name: str, side: Any, tmp_path: Path) -> None:
    """Ours packed, against theirs with padding that its mask hides."""
    case = CASES[name]
    network, pretrained = both(case, tmp_path)
    layout = Layout.padded(LENGTHS, side)
    present_BT = layout.documents_BT >= 0
    padding = case.settings.get("pad_token_id", 0)
    padded = torch.full(present_BT.shape, padding)
    padded[present_BT] = torch.cat([WORDS[row, :length] for row, length in enumerate(LENGTHS)])
    more: dict[str, Tensor] = {"attention_mask": present_BT.long()}
    if side == "left" and not case.kind.startswith("Roberta"):
        # Theirs count padding too, unless they are told not to.
        more["position_ids"] = layout.positions_BT
    wanted = logits(network, padded, **more)
    packed = Layout.packed(LENGTHS)
    words = torch.cat([WORDS[row, :length] for row, length in enumerate(LENGTHS)])[None]
    with torch.no_grad():
        ours = pretrained.network(words, Stream(layout=packed))
        in_rows = pretrained.network(padded, Stream(layout=layout))
    if wanted.ndim == 3:
        wanted, ours, in_rows = wanted[present_BT], ours[0], in_rows[present_BT]
    assert difference(ours, wanted) < tolerance(case)
    assert difference(in_rows, wanted) < tolerance(case)


def test_types_of_a_pair(tmp_path: Path) -> None:
    network, pretrained = both(CASES["bert ForSequenceClassification"], tmp_path)
    types_BT = (torch.arange(WORDS.shape[1]) > 8).long().expand(WORDS.shape)
    wanted = logits(network, WORDS, token_type_ids=types_BT)
    with torch.no_grad():
        found = pretrained.network(WORDS, Stream(types_BT=types_BT))
        without = pretrained.network(WORDS)
    assert difference(found, wanted) < 1e-10
    assert difference(without, wanted) > 1e-3


def test_what_each_class_is_for(tmp_path: Path) -> None:
    kinds = {}
    for name in CASES:
        if name.startswith("bert For") or name == "bert Model":
            _, kinds[name.split()[-1]] = both(CASES[name], tmp_path / name)
    assert kinds["Model"].task is None
    assert kinds["Model"].target is None
    assert kinds["ForMaskedLM"].task == LanguageSpec(objective="masked")
    assert isinstance(kinds["ForMaskedLM"].target, Documents)
    assert kinds["ForSequenceClassification"].task == ClassifySpec()
    assert kinds["ForSequenceClassification"].target == Labels(names=tuple(CLASSES.values()))
    assert kinds["ForTokenClassification"].task == TagSpec()
    assert kinds["ForTokenClassification"].target == Tags(names=tuple(NAMES.values()))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            "BertForSequenceClassification",
            {"id2label": {"0": "score"}},
            "has one name, of a network that gives a number",
        ),
        (
            "BertForSequenceClassification",
            {"problem_type": "multi_label_classification"},
            'problem_type: got "multi_label_classification", another kind of classifier',
        ),
        ("BertModel", {"hidden_act": "gelu_accurate"}, 'got "gelu_accurate"; did you mean "gelu'),
        ("RobertaModel", {"pad_token_id": 0}, "pad_token_id: got 0, positions that begin elsewhe"),
        ("BertModel", {"is_decoder": True}, "is_decoder: got true, a network that writes"),
        (
            "ModernBertModel",
            {"layer_types": ["full_attention", "chunked_attention"]},
            "wanted 2, each sliding_attention or full_attention",
        ),
    ],
)
def test_what_luthier_has_no_layers_for(
    kind: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    network = theirs(kind)
    folder = saved(network, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    with pytest.raises(InputError, match=re.escape(message)):
        read_pretrained(folder)


def test_names_of_older_files(tmp_path: Path) -> None:
    """TensorFlow's names of a norm's tensors, counts of positions, heads of other objectives."""
    network = theirs("BertForMaskedLM")
    folder = saved(network, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    old |= {
        "bert.embeddings.position_ids": torch.arange(CONTEXT)[None],
        "bert.pooler.dense.weight": torch.ones(32, 32),
        "bert.pooler.dense.bias": torch.ones(32),
        "cls.seq_relationship.weight": torch.ones(2, 32),
        "cls.seq_relationship.bias": torch.ones(2),
        "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"].clone(),
    }
    save_file(old, folder / "model.safetensors")
    with torch.no_grad():
        found = read_pretrained(folder).network(WORDS)
    assert difference(found, logits(network, WORDS)) < 1e-5


@pytest.mark.parametrize("name", ["bert ForMaskedLM", "modernbert ForTokenClassification"])
def test_queries_and_keys_that_are_swapped_are_caught(name: str, tmp_path: Path) -> None:
    network, pretrained = both(CASES[name], tmp_path)
    own = pretrained.network.state_dict()
    with torch.no_grad():
        for weight, tensor in own.items():
            if ".query." in weight:
                tensor.copy_(own[weight.replace(".query.", ".value.")])
        found = difference(pretrained.network(WORDS), logits(network, WORDS))
    assert found > 1e-3
