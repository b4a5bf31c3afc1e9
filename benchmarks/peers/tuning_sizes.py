"""The networks that are fine-tuned, and what a low-rank adapter on them costs.

FLOPs are counted as in `language_sizes`. A product with a frozen weight has no gradient of the
weight: twice its forward. Scores are needed of the tokens that are learned, and counted of those
alone; whoever computes the others does more.
"""

from __future__ import annotations

from dataclasses import dataclass

from language_sizes import GPTS, TRAINING, Matmul

FROZEN = 2
"""Forward, and the gradient of what is read, in forwards."""
RANK, ALPHA = 16, 32
LEARNING_RATE = 1e-3
"""Ten times what suits all weights of networks of this size, as usual for adapters (Schulman and
Thinking Machines Lab, "LoRA Without Regret", 2025)."""
ROWS = 8
"""Of a batch: the default of the Hugging Face Trainer."""


@dataclass(frozen=True)
class Tuned:
    """A decoder, by its matrices."""

    vocab: int
    width: int
    depth: int
    attended: int
    """Width of all heads."""
    context: int
    block: tuple[tuple[int, int], ...]
    """The matrices of a block, as (inputs, outputs): each has an adapter."""
    targets: tuple[str, ...]
    """What `transformers` calls them."""

    def matmuls(self, rows: int) -> list[Matmul]:
        """The products with the frozen weights, the head's among them, of so many tokens."""
        blocks = [Matmul(rows, inputs, outputs) for inputs, outputs in self.block] * self.depth
        return [*blocks, Matmul(rows, self.width, self.vocab)]

    def training_flops(self, length: int, learned: int) -> int:
        """Of a conversation of so many tokens, so many of which are learned."""
        blocks = self.matmuls(length)[:-1]
        head = Matmul(learned, self.width, self.vocab)
        thin = [
            Matmul(length, inputs + outputs, RANK) for inputs, outputs in self.block
        ] * self.depth
        attention = 4 * length * length * self.attended * self.depth
        frozen = sum(one.flops for one in blocks) + head.flops
        return FROZEN * frozen + TRAINING * (sum(one.flops for one in thin) + attention)

    @property
    def adapter_parameters(self) -> int:
        """Of the thin matrices."""
        return self.depth * sum(RANK * (inputs + outputs) for inputs, outputs in self.block)


_GPT = GPTS["30m"]
TUNED = {
    "30m": Tuned(
        vocab=_GPT.vocab,
        width=_GPT.width,
        depth=_GPT.depth,
        attended=_GPT.width,
        context=512,
        block=(
            (_GPT.width, 3 * _GPT.width),
            (_GPT.width, _GPT.width),
            (_GPT.width, _GPT.mlp_width),
            (_GPT.mlp_width, _GPT.width),
        ),
        targets=("c_attn", "c_proj", "c_fc"),
    ),
    "135m": Tuned(
        vocab=49152,
        width=576,
        depth=30,
        attended=576,
        context=512,
        block=((576, 576), (576, 192), (576, 192), (576, 576), *[(576, 1536)] * 2, (1536, 576)),
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
}
"""GPT-2's architecture with first weights, in rows that hold nearly every conversation whole; and
SmolLM2-135M-Instruct."""
