"""`generate` of KerasHub's GPT-2."""

from __future__ import annotations

import keras
import language_decoding
import numpy as np
from language_keras_gpt import model_of
from language_sizes import NEW_TOKENS, PROMPT_TOKENS


def main() -> None:
    """Decodes as ordered, and reports."""
    order = language_decoding.order()
    keras.utils.set_random_seed(order.seed)
    if order.bf16:
        # For inference the weights too are in bfloat16.
        keras.config.set_dtype_policy("bfloat16")
    model = model_of(language_decoding.SIZE)
    model.compile(sampler="greedy", optimizer=None, loss=None)
    prompts = order.prompts().astype(np.int32)
    tokens = np.pad(prompts, ((0, 0), (0, NEW_TOKENS)))
    mask = np.zeros_like(tokens)
    mask[:, :PROMPT_TOKENS] = 1

    def decode() -> np.ndarray:
        read = {"token_ids": tokens, "padding_mask": mask}
        found = model.generate(read, stop_token_ids=None)
        return np.asarray(found["token_ids"])[:, PROMPT_TOKENS:]

    language_decoding.measure(order, decode, model.count_params())


if __name__ == "__main__":
    main()
