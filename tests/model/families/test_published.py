"""Every published size, built on the meta device: its parameters are those that are published.

The counts are worked out a second time, from the numbers in the original's configuration. Some are
well known besides.
"""

from __future__ import annotations

from typing import Any

import pytest

from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, build
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.model.families.catalogue import families, named, published
from luthier.model.families.family import FamilySpec, Published
from luthier.signal import Signal


def gpt2(vocab: int, places: int, width: int, depth: int) -> int:
    """Attention 4 d² + 4 d, MLP 8 d² + 5 d, two norms of 2 d; tied."""
    return (vocab + places) * width + depth * (12 * width**2 + 13 * width) + 2 * width


def llama(
    vocab: int,
    width: int,
    depth: int,
    heads: int,
    kv_heads: int,
    mlp: int,
    *,
    tied: bool,
    head: int = 0,
    qkv_bias: bool = False,
    qk_norm: bool = False,
    norms: int = 2,
) -> int:
    head = head or width // heads
    projections = 2 * width * heads * head + 2 * width * kv_heads * head
    biases = (heads + 2 * kv_heads) * head if qkv_bias else 0
    layer = projections + biases + (2 * head if qk_norm else 0) + 3 * width * mlp + norms * width
    return vocab * width * (1 if tied else 2) + depth * layer + width


def bert(vocab: int, places: int, types: int, width: int, depth: int) -> int:
    """With the pooler, d² + d."""
    tables = (vocab + places + types) * width + 2 * width
    return tables + depth * (12 * width**2 + 13 * width) + width**2 + width


def modernbert(vocab: int, width: int, depth: int, mlp: int) -> int:
    """Without a head; no biases, no norm before the first attention."""
    layer = 4 * width**2 + 3 * width * mlp + 2 * width
    return vocab * width + width + depth * layer - width + width


def lstm(vocab: int, width: int) -> int:
    """Two layers, two biases a gate; a softmax with a bias."""
    return 2 * vocab * width + vocab + 2 * (8 * width**2 + 8 * width)


def bart(vocab: int, places: int, width: int, depth: int) -> int:
    """Three attentions and two MLPs a pair of layers, a norm behind each and behind the tokens."""
    attention, mlp = 4 * width**2 + 4 * width, 8 * width**2 + 5 * width
    layers = depth * (3 * attention + 2 * mlp + 5 * 2 * width)
    return vocab * width + 2 * (places * width + 2 * width) + layers


def whisper(vocab: int, width: int, depth: int, bins: int = 80) -> int:
    """Three attentions and two MLPs a pair of layers, two convolutions; keys have no bias."""
    attention, mlp = 4 * width**2 + 3 * width, 8 * width**2 + 5 * width
    front = 3 * bins * width + width + 3 * width**2 + width
    layers = depth * (3 * attention + 2 * mlp + 5 * 2 * width)
    return front + layers + 2 * 2 * width + (vocab + 448) * width


WORKED_OUT: dict[str, int] = {
    "gpt2-small": gpt2(50257, 1024, 768, 12),
    "gpt2-medium": gpt2(50257, 1024, 1024, 24),
    "gpt2-large": gpt2(50257, 1024, 1280, 36),
    "gpt2-xl": gpt2(50257, 1024, 1600, 48),
    "llama-2-7b": llama(32000, 4096, 32, 32, 32, 11008, tied=False),
    "llama-2-13b": llama(32000, 5120, 40, 40, 40, 13824, tied=False),
    "llama-2-70b": llama(32000, 8192, 80, 64, 8, 28672, tied=False),
    "llama-3-8b": llama(128256, 4096, 32, 32, 8, 14336, tied=False),
    "llama-3-70b": llama(128256, 8192, 80, 64, 8, 28672, tied=False),
    "llama-3.1-8b": llama(128256, 4096, 32, 32, 8, 14336, tied=False),
    "llama-3.1-70b": llama(128256, 8192, 80, 64, 8, 28672, tied=False),
    "llama-3.2-1b": llama(128256, 2048, 16, 32, 8, 8192, tied=True),
    "llama-3.2-3b": llama(128256, 3072, 28, 24, 8, 8192, tied=True),
    "smollm2-135m": llama(49152, 576, 30, 9, 3, 1536, tied=True),
    "smollm2-360m": llama(49152, 960, 32, 15, 5, 2560, tied=True),
    "smollm2-1.7b": llama(49152, 2048, 24, 32, 32, 8192, tied=True),
    "mistral-7b-v0.1": llama(32000, 4096, 32, 32, 8, 14336, tied=False),
    "mistral-7b-v0.3": llama(32768, 4096, 32, 32, 8, 14336, tied=False),
    "mistral-nemo-12b": llama(131072, 5120, 40, 32, 8, 14336, head=128, tied=False),
    "qwen2.5-0.5b": llama(151936, 896, 24, 14, 2, 4864, qkv_bias=True, tied=True),
    "qwen2.5-1.5b": llama(151936, 1536, 28, 12, 2, 8960, qkv_bias=True, tied=True),
    "qwen2.5-3b": llama(151936, 2048, 36, 16, 2, 11008, qkv_bias=True, tied=True),
    "qwen2.5-7b": llama(152064, 3584, 28, 28, 4, 18944, qkv_bias=True, tied=False),
    "qwen2.5-14b": llama(152064, 5120, 48, 40, 8, 13824, qkv_bias=True, tied=False),
    "qwen2.5-32b": llama(152064, 5120, 64, 40, 8, 27648, qkv_bias=True, tied=False),
    "qwen2.5-72b": llama(152064, 8192, 80, 64, 8, 29568, qkv_bias=True, tied=False),
    "qwen3-0.6b": llama(151936, 1024, 28, 16, 8, 3072, head=128, qk_norm=True, tied=True),
    "qwen3-1.7b": llama(151936, 2048, 28, 16, 8, 6144, head=128, qk_norm=True, tied=True),
    "qwen3-4b": llama(151936, 2560, 36, 32, 8, 9728, head=128, qk_norm=True, tied=True),
    "qwen3-8b": llama(151936, 4096, 36, 32, 8, 12288, head=128, qk_norm=True, tied=False),
    "qwen3-14b": llama(151936, 5120, 40, 40, 8, 17408, head=128, qk_norm=True, tied=False),
    "qwen3-32b": llama(151936, 5120, 64, 64, 8, 25600, head=128, qk_norm=True, tied=False),
    "gemma-2-2b": llama(256000, 2304, 26, 8, 4, 9216, head=256, norms=4, tied=True),
    "gemma-2-9b": llama(256000, 3584, 42, 16, 8, 14336, head=256, norms=4, tied=True),
    "gemma-2-27b": llama(256000, 4608, 46, 32, 16, 36864, head=128, norms=4, tied=True),
    "gemma-3-270m": llama(262144, 640, 18, 4, 1, 2048, head=256, qk_norm=True, norms=4, tied=True),
    "gemma-3-1b": llama(262144, 1152, 26, 4, 1, 6912, head=256, qk_norm=True, norms=4, tied=True),
    "bert-base": bert(30522, 512, 2, 768, 12),
    "bert-large": bert(30522, 512, 2, 1024, 24),
    "bert-medium": bert(30522, 512, 2, 512, 8),
    "bert-small": bert(30522, 512, 2, 512, 4),
    "bert-mini": bert(30522, 512, 2, 256, 4),
    "bert-tiny": bert(30522, 512, 2, 128, 2),
    "roberta-base": bert(50265, 514, 1, 768, 12),
    "roberta-large": bert(50265, 514, 1, 1024, 24),
    "bart-base": bart(50265, 1026, 768, 6),
    "bart-large": bart(50265, 1026, 1024, 12),
    "modernbert-base": modernbert(50368, 768, 22, 1152),
    "modernbert-large": modernbert(50368, 1024, 28, 2624),
    "lstm-medium": lstm(10000, 650),
    "lstm-large": lstm(10000, 1500),
    "whisper-tiny": whisper(51865, 384, 4),
    "whisper-base": whisper(51865, 512, 6),
    "whisper-small": whisper(51865, 768, 12),
    "whisper-medium": whisper(51865, 1024, 24),
    "whisper-large-v3": whisper(51866, 1280, 32, bins=128),
    "whisper-tiny.en": whisper(51864, 384, 4),
    "whisper-base.en": whisper(51864, 512, 6),
    "whisper-small.en": whisper(51864, 768, 12),
    "whisper-medium.en": whisper(51864, 1024, 24),
    "text_cnn-kim": 18765 * 300 + 100 * (3 + 4 + 5) * 300 + 300,
}
WELL_KNOWN = {
    "gpt2-small": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "llama-2-7b": 6_738_415_616,
    "llama-3-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "mistral-7b-v0.1": 7_241_732_096,
    "qwen2.5-0.5b": 494_032_768,
    "qwen3-0.6b": 596_049_920,
    "smollm2-135m": 134_515_008,
    "gemma-2-2b": 2_614_341_888,
    "gemma-3-1b": 999_885_952,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "roberta-base": 124_645_632,
    "modernbert-base": 149_014_272,
    "bart-base": 139_420_416,
    "bart-large": 406_291_456,
}
ROWS = {
    row.name: (cls, size, row) for cls in families().values() for size, row in cls.SIZES.items()
}


def parameters(family: FamilySpec, row: Published) -> int:
    reads = Signal.tokens(min(row.context, 16), row.vocab)
    head = (UnembedSpec(vocab=row.vocab),) if family.SHOWN in SCORES_TOKENS else ()
    design = family.design(family.SHOWN)
    if isinstance(design, EncoderDecoderSpec):
        design = design.settled(one_tokenizer=row.reads is None)
        network = build_pair(design, row.reads or reads, reads, head)
    else:
        network = build(design, reads, head)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", ROWS)
def test_the_parameters(name: str) -> None:
    _, _, row = ROWS[name]
    kind_and_size = named(name)
    family = families()[kind_and_size["kind"]].model_validate(kind_and_size)
    assert published(family) is row
    assert parameters(family, row) == row.parameters == WORKED_OUT[name]


def test_the_tables_are_whole() -> None:
    assert ROWS.keys() == WORKED_OUT.keys()
    assert {name: ROWS[name][2].parameters for name in WELL_KNOWN} == WELL_KNOWN
    for name, (cls, size, row) in ROWS.items():
        assert row.settings.keys() <= cls.model_fields.keys(), name
        assert name == row.name == name.lower()
        assert name.replace("-", "").endswith(size.replace("-", "").split("smollm2")[-1]), name


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("gpt2-small", {"positions": 1023}),
        ("smollm2-135m", {"tied": False}),
        ("smollm2-135m", {"kv_heads": 9}),
        ("qwen3-0.6b", {"head_width": 64}),
        ("qwen3-0.6b", {"qk_norm": False}),
        ("qwen2.5-0.5b", {"qkv_bias": False}),
        ("gemma-3-270m", {"mlp_width": 2049}),
        ("bert-tiny", {"depth": 3}),
        ("lstm-medium", {"bidirectional": True}),
        ("text_cnn-kim", {"kernels": [3, 4, 6]}),
    ],
)
def test_another_network_is_caught(name: str, changed: dict[str, Any]) -> None:
    cls, size, row = ROWS[name]
    family = cls.model_validate({"kind": cls.model_fields["kind"].default, "size": size, **changed})
    assert published(family) is None
    assert parameters(family, row) != row.parameters


def test_the_sums_by_hand() -> None:
    """One layer with a width of 2, its parts one by one."""
    attention, mlp, norms = 4 * 4, 3 * 2 * 5, 2 * 2
    assert llama(3, 2, 1, 1, 1, 5, tied=True) == 3 * 2 + attention + mlp + norms + 2
    assert gpt2(3, 4, 2, 1) == (3 + 4) * 2 + (4 * 6) + (2 * 8 + 8 + 8 * 2 + 2) + 2 * 4 + 4
