"""LitGPT's `generate`, for one prompt or for a batch; `--compile` as its own command has it."""

from __future__ import annotations

import language_decoding
import language_litgpt
import lightning
import numpy as np
import torch
from language_sizes import NEW_TOKENS, PROMPT_TOKENS
from litgpt import GPT
from litgpt.generate import base
from litgpt.utils import num_parameters

LENGTH = PROMPT_TOKENS + NEW_TOKENS


def main() -> None:
    """Decodes as ordered, and reports."""
    order = language_decoding.order()
    precision = "bf16-true" if order.bf16 else "32-true"
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=precision)
    torch.manual_seed(order.seed)
    with fabric.init_module(empty_init=False):
        model = GPT(language_litgpt.config_of(language_decoding.SIZE))
        model.transformer.wte.weight = model.lm_head.weight
        model.set_kv_cache(batch_size=order.rows, max_seq_length=LENGTH)
    model.apply(model._init_weights)
    model.eval()
    if order.compile:
        torch._dynamo.config.automatic_dynamic_shapes = True
        base.next_token = torch.compile(base.next_token, mode="reduce-overhead")
    model = fabric.setup_module(model)
    prompts = torch.from_numpy(order.prompts())

    def one() -> np.ndarray:
        tokens = base.generate(model, prompts[0], LENGTH, temperature=0.0, include_prompt=False)
        return tokens[None].numpy()

    @torch.inference_mode()
    def batch() -> np.ndarray:
        steps = base.batched_generate_fn(
            model,
            prompts,
            LENGTH,
            sample_args={"temperature": 0.0},
            include_prompt=False,
            include_eos=False,
        )
        return torch.stack([torch.cat(step) for step in steps], dim=1).numpy()

    decode = one if order.rows == 1 else batch
    language_decoding.measure(order, decode, num_parameters(model))


if __name__ == "__main__":
    main()
