"""The bare loop's attention against PyTorch's, in float64; and a twin that is wrong."""

from __future__ import annotations

import language_attention
import language_gpt
import pytest
import torch
from torch import Tensor

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def leaves(tokens: int) -> list[Tensor]:
    """Queries, keys and values `(2, 3, tokens, 8)`."""
    torch.manual_seed(0)
    return [torch.randn(2, 3, tokens, 8, dtype=torch.float64, requires_grad=True) for _ in "qkv"]


def run(attend: language_gpt.Attend, tokens: int) -> list[Tensor]:
    """The output, and the gradients of a loss that weighs each of its numbers differently."""
    given = leaves(tokens)
    output = attend(*given)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return [output.detach(), *(one.grad for one in given if one.grad is not None)]


# Less than a block, one, two, and a last block that is not whole.
@pytest.mark.parametrize("tokens", [5, 128, 256, 300])
def test_it_is_pytorchs_attention(tokens: int) -> None:
    for ours, theirs in zip(
        run(language_attention.attend, tokens), run(language_gpt.attend, tokens), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **TIGHT)


def test_keys_beyond_the_block_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.Tensor.triu

    def late(mask: Tensor, diagonal: int) -> Tensor:
        return real(mask, diagonal + 1)  # one token of the future is seen

    monkeypatch.setattr(torch.Tensor, "triu", late)
    wrong = run(language_attention.attend, 256)
    monkeypatch.undo()
    right = run(language_gpt.attend, 256)
    assert not torch.allclose(wrong[0], right[0], atol=1e-3)
