"""LitGPT: its GPT by its own pretraining loop, on Fabric, compiled as `litgpt pretrain` does.

The network is that of GPT-2 but for rotary positions, which LitGPT has in the place of learned
ones. Settings are those of its recipe config_hub/pretrain/tinyllama.yaml; the warm-up is as long
in proportion as of the other peers.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import language_data
import language_gpt
import language_protocol
import lightning
import torch
from language_sizes import GPTS, Gpt
from litgpt import GPT, Config, pretrain
from litgpt.args import EvalArgs, TrainArgs
from litgpt.utils import instantiate_torch_optimizer, num_parameters
from torch import Tensor

PRECISIONS = {"fp32": "32-true", "bf16-mixed": "bf16-mixed", "bf16-true": "bf16-true"}
OPTIMIZER = {
    "class_path": "torch.optim.AdamW",
    "init_args": {"lr": 4e-4, "weight_decay": 0.1, "betas": [0.9, 0.95]},
}


class Batches:
    """The order's batches, and one more, which the loop asks for before it sees that it is done."""

    def __init__(self, stream: language_data.Stream, training: language_protocol.Training) -> None:
        self._stream, self._training = stream, training

    def __len__(self) -> int:
        return self._training.order.steps + 1

    def __iter__(self) -> Iterator[Tensor]:
        self._training.begin()
        for step in range(self._training.order.steps):
            yield torch.from_numpy(self._stream.batch(step))
            # Asking for the next batch is the end of a step.
            self._training.step()
        yield torch.from_numpy(self._stream.batch(self._training.order.steps))


def config_of(size: Gpt) -> Config:
    """GPT-2's block in LitGPT's terms."""
    return Config(
        name="benchmark",
        block_size=size.context,
        vocab_size=size.vocab,
        padded_vocab_size=size.vocab,
        n_layer=size.depth,
        n_head=size.heads,
        n_embd=size.width,
        rotary_percentage=1.0,
        parallel_residual=False,
        attn_bias=True,
        mlp_class_name="GptNeoxMLP",
        norm_class_name="LayerNorm",
    )


def main() -> None:
    """Trains as ordered, and reports."""
    logging.getLogger("lightning").setLevel(logging.ERROR)
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    stream = language_data.read_stream(order.cache, GPTS[order.kind], order.seed)
    precision = PRECISIONS[order.precision]
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=precision)
    # Its loop prints a line each step; the report has standard output for itself.
    with contextlib.redirect_stdout(sys.stderr):
        fabric.launch()
        fabric.seed_everything(order.seed)
        network, training = _train(fabric, order, stream)
    training.report(
        units=order.chunk_steps * stream.size.rows * stream.size.context,
        flops=stream.size.token_flops,
        parameters=num_parameters(network),
    )


def _train(
    fabric: lightning.Fabric, order: language_protocol.Order, stream: language_data.Stream
) -> tuple[GPT, language_protocol.Training]:
    """What `litgpt.pretrain.main` does, with batches and a clock of ours."""
    size = stream.size
    settings = TrainArgs(
        save_interval=None,
        log_interval=1,
        global_batch_size=size.rows,
        micro_batch_size=size.rows,
        max_tokens=order.steps * size.rows * size.context,
        max_norm=1.0,
        min_lr=4e-5,
        lr_warmup_steps=order.warmup_steps,
        tie_embeddings=True,
    )
    with fabric.init_module(empty_init=True):
        network = GPT(config_of(size))
    pretrain.initialize_weights(fabric, network, n_layer=size.depth, n_embd=size.width)
    network.transformer.wte.weight = network.lm_head.weight
    model = fabric.setup(torch.compile(network) if order.compile else network)
    optimizer = instantiate_torch_optimizer(OPTIMIZER, model.parameters(), fused=False)
    optimizer = fabric.setup_optimizers(optimizer)
    training = language_protocol.Training(
        order, lambda: language_gpt.validation_loss(network, stream)
    )
    validation = torch.from_numpy(stream.validation()).split(size.rows)
    state = {"model": model, "optimizer": optimizer, "iter_num": 0, "step_count": 0}
    with tempfile.TemporaryDirectory() as directory:
        pretrain.fit(
            fabric=fabric,
            devices=1,
            state=state,
            train_dataloader=Batches(stream, training),
            val_dataloader=validation,
            out_dir=Path(directory),
            tokenizer_dir=None,
            train=settings,
            eval=EvalArgs(interval=order.steps + 1, max_iters=2, final_validation=False),
        )
    return network, training


if __name__ == "__main__":
    main()
