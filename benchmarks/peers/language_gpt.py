"""GPT-2's architecture in plain PyTorch, and its validation, for the peers that are hand-written.

Dimension key:
    B  batch    T  tokens    D  width    H  heads    K  head width    V  vocab
"""

from __future__ import annotations

import math
from collections.abc import Callable

import language_data
import torch
from language_sizes import Gpt
from torch import Tensor, nn
from torch.nn import functional as F

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Causal attention of `(B, H, T, K)` queries, keys and values."""
INITIAL_STD = 0.02


def attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor) -> Tensor:
    """PyTorch's own."""
    return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)


class Block(nn.Module):
    """Pre-norm attention and MLP, each with its residual."""

    def __init__(self, size: Gpt, bias: bool, attend: Attend) -> None:
        super().__init__()
        self.heads, self.attend = size.heads, attend
        self.norm1 = nn.LayerNorm(size.width, bias=bias)
        self.qkv = nn.Linear(size.width, 3 * size.width, bias=bias)
        self.out = nn.Linear(size.width, size.width, bias=bias)
        self.norm2 = nn.LayerNorm(size.width, bias=bias)
        self.up = nn.Linear(size.width, size.mlp_width, bias=bias)
        self.down = nn.Linear(size.mlp_width, size.width, bias=bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The block."""
        parts = self.qkv(self.norm1(x_BTD)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        x_BTD = x_BTD + self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))
        return x_BTD + self.down(F.gelu(self.up(self.norm2(x_BTD))))


class GptNetwork(nn.Module):
    """Logits of tokens; the head is the embedding.

    Args:
        size: Of the network.
        bias: Whether linear layers and norms have biases.
        attend: How it attends.
    """

    def __init__(self, size: Gpt, *, bias: bool = True, attend: Attend = attend) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocab, size.width)
        self.positions = nn.Embedding(size.context, size.width)
        self.blocks = nn.ModuleList(Block(size, bias, attend) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width, bias=bias)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=INITIAL_STD)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            # GPT-2 paper, section 2.3: what is added to the residual shrinks with the depth.
            for layer in (block.out, block.down):
                nn.init.normal_(layer.weight, std=INITIAL_STD / math.sqrt(2 * size.depth))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B, T, V)`."""
        places_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        x_BTD = self.tokens(tokens_BT) + self.positions(places_T)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return F.linear(self.norm(x_BTD), self.tokens.weight)


def parameters(network: nn.Module) -> int:
    """Of the network; a tied weight is counted once."""
    return sum(weight.numel() for weight in network.parameters())


def batch(stream: language_data.Stream, step: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets `(B, T)`."""
    rows = torch.from_numpy(stream.batch(step))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def cross_entropy(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """The mean over all targets, computed in float32."""
    return F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())


@torch.no_grad()
def validation_loss(logits_of: Callable[[Tensor], Tensor], stream: language_data.Stream) -> float:
    """In nats a token, over the validation rows."""
    rows = torch.from_numpy(stream.validation())
    losses = [
        cross_entropy(logits_of(part[:, :-1].contiguous()), part[:, 1:].contiguous())
        for part in rows.split(stream.size.rows)
    ]
    return float(torch.stack(losses).mean())
