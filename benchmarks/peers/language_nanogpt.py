"""nanoGPT's training loop, written anew to its description.

What it does on a CPU: float32 (its autocast is for GPUs alone), no biases, AdamW that decays
matrices only and is fused on GPUs alone, a cosine schedule with warm-up, gradients clipped to
norm 1, the loss read every ten steps. The rates are of its settings for small networks
(config/train_shakespeare_char.py): 1e-3 down to 1e-4, beta2 0.99.
"""

from __future__ import annotations

import math

import language_data
import language_gpt
import language_protocol
import torch
from language_sizes import GPTS
from torch import nn

LEARNING_RATE, LOWEST = 1e-3, 1e-4
LOG_STEPS = 10


def learning_rate(step: int, order: language_protocol.Order) -> float:
    """Rises in a line, then falls along a half cosine."""
    if step < order.warmup_steps:
        return LEARNING_RATE * (step + 1) / (order.warmup_steps + 1)
    done = (step - order.warmup_steps) / max(1, order.steps - order.warmup_steps)
    return LOWEST + 0.5 * (1 + math.cos(math.pi * done)) * (LEARNING_RATE - LOWEST)


def optimizer_of(network: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW with decay of what has two dimensions or more."""
    weights = list(network.parameters())
    groups = [
        {"params": [one for one in weights if one.ndim >= 2], "weight_decay": 0.1},
        {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99), fused=fused)


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    assert not order.bf16, "on a CPU it trains in float32"
    torch.manual_seed(order.seed)
    stream = language_data.read_stream(order.cache, GPTS[order.kind], order.seed)
    network = language_gpt.GptNetwork(stream.size, bias=False)
    run = torch.compile(network) if order.compile else network
    optimizer = optimizer_of(network, fused=False)
    training = language_protocol.Training(
        order, lambda: language_gpt.validation_loss(network, stream)
    )
    training.begin()
    inputs, targets = language_gpt.batch(stream, 0)
    for step in range(order.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, order)
        loss = language_gpt.cross_entropy(run(inputs), targets)
        inputs, targets = language_gpt.batch(stream, step + 1)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % LOG_STEPS == 0:
            loss.item()
        training.step()
    training.report(
        units=order.chunk_steps * stream.size.rows * stream.size.context,
        flops=stream.size.token_flops,
        parameters=language_gpt.parameters(network),
    )


if __name__ == "__main__":
    main()
