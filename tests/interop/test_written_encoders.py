"""Encoders of ours as folders: transformers reads each without a missing or unknown tensor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

pytest.importorskip("transformers")

import transformers
from encoder_cases import CASES, Case
from foreign import VOCAB, difference, logits, saved, theirs
from test_encoders import WORDS
from tokenizers import models, pre_tokenizers, processors

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.interop.huggingface.frame import Frame
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.write import write_pretrained

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def ours_of(case: Case, place: Path) -> tuple[Any, Pretrained]:
    """Theirs, and ours of its folder."""
    network = theirs(case.kind, **case.settings)
    return network, read_pretrained(saved(network, place))


@pytest.mark.parametrize("name", CASES)
def test_transformers_reads_what_is_written(name: str, tmp_path: Path) -> None:
    network, ours = ours_of(CASES[name], tmp_path / "theirs")
    written = write_pretrained(ours, tmp_path / "ours")
    assert written.architecture == CASES[name].kind
    again, told = type(network).from_pretrained(tmp_path / "ours", output_loading_info=True)
    # Of a pooler, which no task of ours reads, a network without a head has none.
    assert not {key for key in told["missing_keys"] if not key.startswith("pooler.")}
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    assert difference(logits(again.eval(), WORDS), logits(network, WORDS)) < 1e-5
    assert written.agreement.largest < 1e-5


def test_settings_of_training_go_along(tmp_path: Path) -> None:
    network, ours = ours_of(CASES["odd modernbert ForTokenClassification"], tmp_path / "theirs")
    write_pretrained(ours, tmp_path / "ours")
    again = transformers.AutoConfig.from_pretrained(tmp_path / "ours")
    for name in ("mlp_dropout", "embedding_dropout", "attention_dropout", "classifier_dropout"):
        assert getattr(again, name) == getattr(network.config, name) > 0


def word_pieces() -> Tokenizer:
    """A tokenizer of BERT's kind."""
    names = [*SPECIALS, *(f"w{number}" for number in range(VOCAB - len(SPECIALS)))]
    numbers = {name: number for number, name in enumerate(names)}
    inner = tokenizers.Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(list(SPECIALS))
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return Tokenizer(inner)


def test_pairs_are_read_by_the_pipeline_of_transformers(tmp_path: Path) -> None:
    network, ours = ours_of(CASES["bert ForSequenceClassification"], tmp_path / "theirs")
    ours = replace(
        ours,
        tokenizer=word_pieces(),
        specials={"pad": 0, "unknown": 1, "first": 2, "separator": 3, "mask": 4},
        frame=Frame((2,), (3,)),
    )
    write_pretrained(ours, tmp_path / "ours")
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "ours"), top_k=None)
    found = pipeline({"text": "w5 w6", "text_pair": "w7"})
    tokens = torch.tensor([[2, 10, 11, 3, 12, 3]])
    types = torch.tensor([[0, 0, 0, 0, 1, 1]])
    wanted = logits(network, tokens, token_type_ids=types).softmax(-1)[0].tolist()
    by_name = {one["label"]: one["score"] for one in found}
    assert [by_name[name] for name in ("bad", "good", "neither")] == pytest.approx(wanted, abs=1e-5)


def test_roberta_wants_its_own_padding(tmp_path: Path) -> None:
    _, ours = ours_of(CASES["roberta ForMaskedLM"], tmp_path / "theirs")
    ours = replace(ours, specials={**ours.specials, "pad": 0})
    written = write_pretrained(ours, tmp_path / "ours")
    assert written.family == "BERT"
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["max_position_embeddings"] == ours.reads.shape[0]


def test_a_network_with_another_neck_is_refused(tmp_path: Path) -> None:
    _, ours = ours_of(CASES["bert ForSequenceClassification"], tmp_path / "theirs")
    pooled = ours.network
    del pooled.neck[1]
    pooled.neck.steps = (pooled.neck.steps[0], *pooled.neck.steps[2:])
    with pytest.raises(InputError, match=r"neck: got global_pool, wanted global_pool, dense"):
        write_pretrained(ours, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
