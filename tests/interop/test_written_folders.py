"""Ours as a folder: transformers reads it without a missing or unknown tensor, and agrees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from foreign import difference, logits
from test_decoders import CASES, ENOUGH, read

from luthier.interop.huggingface.write import write_pretrained


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_transformers_reads_what_is_written(name: str, tmp_path: Path) -> None:
    network, ours = read(name, tmp_path / "theirs")
    written = write_pretrained(ours, tmp_path / "ours")
    again, told = type(network).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    assert difference(logits(again.eval()), logits(network)) < ENOUGH
    assert written.agreement.largest < ENOUGH
