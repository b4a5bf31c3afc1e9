"""Networks that luthier has no family for, through the transformers library."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from encoder_folders import BERT_SPECIALS, ROBERTA_SPECIALS, TEXTS, WHOLE, folder
from foreign import TOKENS, difference, logits, saved, theirs

import luthier
from luthier.errors import InputError, ShapeError
from luthier.interop.huggingface.read import read_pretrained
from luthier.interop.huggingface.through_transformers import read_through_transformers
from luthier.model.blocks.transformers import TransformersSpec
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.run.exporting import export
from luthier.signal import Signal

SMALL = {"embedding_size": 12}
KINDS: dict[str, dict[str, Any]] = {
    "ElectraModel": SMALL,
    "AlbertModel": {**SMALL, "num_hidden_groups": 1, "inner_group_num": 1},
    "MPNetModel": {"pad_token_id": 1, "max_position_embeddings": 50},
    "BertModel": {},
    "LlamaModel": {"num_key_value_heads": 2},
}
WRAPPED = {"layers": [{"kind": "transformers"}]}
WORDS = TOKENS.clamp(min=3)


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_equal_packed_and_alone(kind: str, tmp_path: Path) -> None:
    network = theirs(kind, **KINDS[kind])
    pretrained = read_through_transformers(saved(network, tmp_path))
    lengths = (21, 9)
    packed = torch.cat([WORDS[row, :length] for row, length in enumerate(lengths)])[None]
    with torch.no_grad():
        ours = pretrained.network(packed, Stream(layout=Layout.packed(lengths)))[0]
    for found, row, length in zip(ours.split(lengths), range(2), lengths, strict=True):
        wanted = logits(network, WORDS[row : row + 1, :length])[0]
        assert difference(found, wanted) < 1e-5


def recipe(place: Path, **sections: Any) -> dict[str, Any]:
    """A classifier that starts from an ELECTRA at `place`."""
    folder(place / "start", "ElectraModel", SMALL, BERT_SPECIALS)
    rows = "\n".join(f"{text},{label}" for text, label in TEXTS)
    (place / "texts.csv").write_text(f"text,label\n{rows}\n")
    return {
        "name": "wrapped",
        "start": str(place / "start"),
        "task": {"kind": "classify"},
        "data": {"kind": "text_table", "path": str(place / "texts.csv"), **WHOLE},
        "model": WRAPPED,
        "optimizer": {"kind": "adamw", "learning_rate": 3e-3},
        "training": {"steps": 30, "batch_size": 8, "seed": 1},
        "placement": {"threads": 1, "precision": "fp32"},
        **sections,
    }


def test_a_classifier_learns_and_is_found_again(tmp_path: Path) -> None:
    given = [text for text, _ in TEXTS[:4]]
    run = luthier.train(recipe(tmp_path), out=tmp_path / "run")
    found = run.predict(given)
    assert [one["label"] for one in found] == ["good", "bad", "good", "bad"]
    (tmp_path / "start" / "model.safetensors").unlink()  # it has all that it needs
    assert luthier.load(tmp_path / "run").predict(given) == found
    with pytest.raises(InputError, match="is a member of no family"):
        export(tmp_path / "run", "huggingface", tmp_path / "out")


def test_an_adapter_beside_it(tmp_path: Path) -> None:
    adapter = {"kind": "lora", "rank": 2, "keep": "adapter"}
    short = {"steps": 2, "batch_size": 8}
    run = luthier.train(recipe(tmp_path, adapter=adapter, training=short), out=tmp_path / "run")
    found = run.predict([TEXTS[0][0]])
    assert luthier.load(tmp_path / "run").predict([TEXTS[0][0]]) == found


def test_what_it_says_where_it_cannot(tmp_path: Path) -> None:
    place = folder(tmp_path / "start", "ElectraModel", SMALL, ROBERTA_SPECIALS)
    with pytest.raises(InputError, match=r'"electra".*model: {layers: \[{kind: transformers}\]}'):
        read_pretrained(place)
    made = recipe(tmp_path / "other")
    with pytest.raises(InputError, match=r"there is no start; give start: FOLDER"):
        luthier.train({name: made[name] for name in made if name != "start"}, out=tmp_path / "run")
    saved(theirs("T5Model", d_model=32, d_kv=8, d_ff=16, num_layers=1), tmp_path / "t5")
    with pytest.raises(InputError, match=r"a t5 reads one text and writes another"):
        read_through_transformers(tmp_path / "t5")


TINY = {"model_type": "electra", "vocab_size": 9, "hidden_size": 8, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("config", "reads", "message"),
    [
        (TINY, Signal.tokens(8, 10), "vectors for 9 tokens, but gets 10"),
        (TINY, Signal.tokens(513, 9), "has 512 positions, but gets tokens (513); set data.context"),
        ({"model_type": "elektra"}, Signal.tokens(8, 9), "has no network for this config: "),
        (TINY, Signal.of((8, 4)), "transformers reads tokens, but gets a sequence (8, 4)"),
    ],
)
def test_what_does_not_fit(config: dict[str, Any], reads: Signal, message: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        TransformersSpec(config=config).build(reads)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs transformers.*luthier\[transformers\]"):
        TransformersSpec(config=TINY).build(Signal.tokens(8, 9))
