"""A plain PyTorch loop, as one writes it first: AdamW with torch's defaults, and no schedule."""

from __future__ import annotations

import language_data
import language_gpt
import language_protocol
import torch
from language_sizes import GPTS


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    torch.manual_seed(order.seed)
    stream = language_data.read_stream(order.cache, GPTS[order.kind], order.seed)
    network = language_gpt.GptNetwork(stream.size)
    run = torch.compile(network) if order.compile else network
    optimizer = torch.optim.AdamW(network.parameters())
    training = language_protocol.Training(
        order, lambda: language_gpt.validation_loss(network, stream)
    )
    training.begin()
    for step in range(order.steps):
        inputs, targets = language_gpt.batch(stream, step)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=order.bf16):
            loss = language_gpt.cross_entropy(run(inputs), targets)
        loss.backward()
        optimizer.step()
        training.step()
    training.report(
        units=order.chunk_steps * stream.size.rows * stream.size.context,
        flops=stream.size.token_flops,
        parameters=language_gpt.parameters(network),
    )


if __name__ == "__main__":
    main()
