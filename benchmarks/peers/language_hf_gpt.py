"""GPT2LMHeadModel by the Hugging Face Trainer."""

from __future__ import annotations

import language_data
import language_gpt
import language_hf
import language_protocol
import torch
from language_sizes import GPTS, Gpt
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel


def model_of(size: Gpt) -> GPT2LMHeadModel:
    """GPT-2 of that size, without dropout, as the other peers have none."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size.vocab,
            n_positions=size.context,
            n_embd=size.width,
            n_layer=size.depth,
            n_head=size.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    torch.manual_seed(order.seed)
    size = GPTS[order.kind]
    stream = language_data.read_stream(order.cache, size, order.seed)
    model = model_of(size)

    def example(at: int) -> dict[str, Tensor]:
        step, row = divmod(at, size.rows)
        # The model itself shifts the labels, so that a row's last token has no target.
        tokens = torch.from_numpy(stream.batch(step)[row, :-1])
        return {"input_ids": tokens, "labels": tokens}

    def loss() -> float:
        return language_gpt.validation_loss(lambda tokens: model(input_ids=tokens).logits, stream)

    training = language_protocol.Training(order, language_hf.evaluated(model, loss))
    examples = language_hf.Examples(order.steps * size.rows, example)
    language_hf.train(model, examples, training, rows=size.rows)
    training.report(
        units=order.chunk_steps * size.rows * size.context,
        flops=size.token_flops,
        parameters=model.num_parameters(),
    )


if __name__ == "__main__":
    main()
