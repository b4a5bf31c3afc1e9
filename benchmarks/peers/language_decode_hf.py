"""`generate` of Hugging Face transformers."""

from __future__ import annotations

import language_decoding
import numpy as np
import torch
from language_hf_gpt import model_of
from language_sizes import NEW_TOKENS, PROMPT_TOKENS


def main() -> None:
    """Decodes as ordered, and reports."""
    order = language_decoding.order()
    torch.manual_seed(order.seed)
    model = model_of(language_decoding.SIZE).eval()
    if order.bf16:
        model = model.bfloat16()
    prompts = torch.from_numpy(order.prompts())
    settings = {"cache_implementation": "static"} if order.static else {}

    def decode() -> np.ndarray:
        tokens = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            **settings,
        )
        return tokens[:, PROMPT_TOKENS:].numpy()

    language_decoding.measure(order, decode, model.num_parameters())


if __name__ == "__main__":
    main()
