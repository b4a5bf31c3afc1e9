"""A network of `transformers` with PEFT's low-rank adapter, for the Trainer's and TRL's scripts.

`bf16` keeps the frozen weights in float32 and computes in autocast; `bf16-weights` loads them in
bfloat16, which is half the memory. The adapter is in float32 either way, PEFT's default.
"""

from __future__ import annotations

from collections.abc import Callable

import language_hf
import language_protocol
import numpy as np
import torch
import tuning_rows
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, PreTrainedModel
from tuning_rows import Conversations
from tuning_sizes import ALPHA, RANK, TUNED

IGNORED = -100


def base(order: language_protocol.Order) -> PreTrainedModel:
    """The network of the order's folder."""
    dtype = torch.bfloat16 if order.precision == "bf16-weights" else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        tuning_rows.folder(order.cache, order.kind), dtype=dtype
    )


def adapter(kind: str) -> LoraConfig:
    """Of all matrices of the blocks."""
    return LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules=list(TUNED[kind].targets),
        fan_in_fan_out=kind == "30m",  # GPT-2's matrices lie on their sides
        task_type="CAUSAL_LM",
    )


def adapted(order: language_protocol.Order) -> PeftModel:
    """The network with the adapter."""
    return get_peft_model(base(order), adapter(order.kind))


def held_out_loss(model: nn.Module, held_out: Conversations) -> Callable[[], float]:
    """Nats a learned token, one conversation at a time."""

    def loss() -> float:
        nats = 0.0
        for at in range(len(held_out)):
            tokens, labels = (torch.from_numpy(row) for row in labelled(held_out, at))
            logits_TV = model(input_ids=tokens[None]).logits[0, :-1].float()
            nats += float(F.cross_entropy(logits_TV, labels[1:], reduction="sum"))
        return nats / held_out.learned

    return language_hf.evaluated(model, loss)


def labelled(read: Conversations, at: int) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of a conversation, and the labels: those that are learned, else `IGNORED`."""
    tokens, learned = read[at]
    labels = tokens.copy()
    labels[~learned] = IGNORED
    return tokens, labels


def moving(model: nn.Module) -> int:
    """Weights that move."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
