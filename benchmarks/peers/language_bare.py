"""The tuned bare loop: what one can write by hand for these networks on this kind of machine.

No peer, but a yardstick: freed memory is kept, AdamW is fused, attention is made of explicit
products. `bf16` is autocast; `bf16-weights` keeps the weights in bfloat16 beside float32 masters
that the optimizer moves, which saves the casts in each use. Settings are those of nanoGPT.
"""

from __future__ import annotations

import bare
import language_attention
import language_data
import language_gpt
import language_protocol
import torch
from language_nanogpt import learning_rate, optimizer_of
from language_sizes import GPTS
from torch import Tensor, nn


class Masters:
    """Float32 copies of bfloat16 weights, which the optimizer moves."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.copies = nn.ParameterList(
            nn.Parameter(weight.detach().clone()) for weight in network.parameters()
        )
        network.bfloat16()
        self.used: list[Tensor] = list(network.parameters())

    @torch.no_grad()
    def take_gradients(self) -> None:
        """From the weights that were used."""
        for copy, used in zip(self.copies, self.used, strict=True):
            assert used.grad is not None
            copy.grad = used.grad.float()
            used.grad = None

    @torch.no_grad()
    def give_weights(self) -> None:
        """To the network."""
        torch._foreach_copy_(self.used, list(self.copies))


def main() -> None:
    """Trains as ordered, and reports."""
    bare.keep_freed_memory()
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    torch.manual_seed(order.seed)
    stream = language_data.read_stream(order.cache, GPTS[order.kind], order.seed)
    network = language_gpt.GptNetwork(stream.size, attend=language_attention.attend)
    parameters = language_gpt.parameters(network)
    masters = Masters(network) if order.precision == "bf16-weights" else None
    run = torch.compile(network) if order.compile else network
    moved = network if masters is None else masters.copies
    optimizer = optimizer_of(moved, fused=True)
    training = language_protocol.Training(
        order, lambda: language_gpt.validation_loss(network, stream)
    )
    training.begin()
    for step in range(order.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, order)
        inputs, targets = language_gpt.batch(stream, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=order.precision == "bf16"):
            loss = language_gpt.cross_entropy(run(inputs), targets)
        loss.backward()
        if masters is not None:
            masters.take_gradients()
        nn.utils.clip_grad_norm_(moved.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if masters is not None:
            masters.give_weights()
        training.step()
    training.report(
        units=order.chunk_steps * stream.size.rows * stream.size.context,
        flops=stream.size.token_flops,
        parameters=parameters,
    )


if __name__ == "__main__":
    main()
