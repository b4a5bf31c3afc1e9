"""The networks of the language benchmarks, for every peer the same, and what they cost.

FLOPs count a multiply-add as two operations. Counted are the products with weights (the output
head among them) and the two products of attention over the whole context, not halved for
causality. Not counted are look-ups, norms, softmax and the optimizer. A backward counts twice
its forward.
"""

from __future__ import annotations

from dataclasses import dataclass

TRAINING = 3
"""Forward and backward, in forwards."""


@dataclass(frozen=True)
class Matmul:
    """A product with a weight `(inputs, outputs)` of so many rows at once."""

    rows: int
    inputs: int
    outputs: int
    times: int = 1
    """How often a step does it one after the other with the same weight: a recurrence."""

    @property
    def flops(self) -> int:
        """Of the forward."""
        return 2 * self.rows * self.inputs * self.outputs * self.times


@dataclass(frozen=True)
class Transformer:
    """A Transformer with an MLP of four widths, learned positions, and biases."""

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    rows: int
    """Of a batch."""

    @property
    def mlp_width(self) -> int:
        """The inside of an MLP."""
        return 4 * self.width

    def matmuls(self, rows: int) -> list[Matmul]:
        """The products with the weights of all blocks for so many tokens."""
        width = self.width
        block = [
            Matmul(rows, width, 3 * width),
            Matmul(rows, width, width),
            Matmul(rows, width, self.mlp_width),
            Matmul(rows, self.mlp_width, width),
        ]
        return block * self.depth

    def attention_flops(self, queries: int, keys: int) -> int:
        """Of the forward of all blocks: scores, and weighted values."""
        return 4 * queries * keys * self.width * self.depth

    def training_flops(self, length: int) -> float:
        """Of a row of so many tokens."""
        products = sum(one.flops for one in self.matmuls(length))
        return TRAINING * (products + self.attention_flops(length, length))

    @property
    def block_parameters(self) -> int:
        """Weights, biases and the two norms of all blocks."""
        return self.depth * (12 * self.width**2 + 13 * self.width)


@dataclass(frozen=True)
class Gpt(Transformer):
    """GPT-2's architecture: pre-norm, GELU, the output head tied to the token embedding."""

    @property
    def parameters(self) -> int:
        """Of the network; the tied head is counted once."""
        embeddings = (self.vocab + self.context) * self.width
        return embeddings + self.block_parameters + 2 * self.width

    def matmuls(self, rows: int) -> list[Matmul]:
        """Those of the blocks, and the head's."""
        return [*super().matmuls(rows), Matmul(rows, self.width, self.vocab)]

    @property
    def token_flops(self) -> float:
        """Of the training of a token, in rows of the whole context."""
        return self.training_flops(self.context) / self.context

    def decoding_flops(self, keys: float) -> float:
        """Of a new token that attends to so many."""
        products = sum(one.flops for one in self.matmuls(1))
        return products + 4 * keys * self.width * self.depth


@dataclass(frozen=True)
class Bert(Transformer):
    """BERT's architecture: post-norm, GELU, a pooler and a classifier on the first token.

    The products of those two are next to none, and not counted.
    """

    classes: int = 2

    @property
    def parameters(self) -> int:
        """Of the network, with the two segment embeddings that it has and does not need."""
        embeddings = (self.vocab + self.context + 2) * self.width + 2 * self.width
        pooler = self.width * self.width + self.width
        return embeddings + self.block_parameters + pooler + (self.width + 1) * self.classes


@dataclass(frozen=True)
class Lstm:
    """Embedding, one LSTM, and a dense layer on its last hidden state."""

    vocab: int
    width: int
    """Of the embedding and of the LSTM."""
    length: int
    rows: int
    classes: int = 2

    @property
    def parameters(self) -> int:
        """With one bias a gate; torch keeps two."""
        recurrent = 4 * self.width * (2 * self.width + 1)
        return self.vocab * self.width + recurrent + (self.width + 1) * self.classes

    def matmuls(self, sequences: int) -> list[Matmul]:
        """All positions read at once, then one product a position."""
        gates = 4 * self.width
        return [
            Matmul(sequences * self.length, self.width, gates),
            Matmul(sequences, self.width, gates, times=self.length),
        ]

    def training_flops(self) -> float:
        """Of a sequence."""
        return TRAINING * sum(one.flops for one in self.matmuls(1))


GPTS = {
    "5m": Gpt(vocab=4096, width=256, depth=5, heads=4, context=256, rows=8),
    "30m": Gpt(vocab=8192, width=512, depth=8, heads=8, context=256, rows=8),
}
"""5,063,424 and 29,545,472 parameters."""
BERT = Bert(vocab=30522, width=384, depth=6, heads=12, context=512, rows=32)
"""22,713,986 parameters: the size of MiniLM-L6 (Wang et al. 2020), with a classifier."""
BERT_LENGTH = 128
"""Tokens of a sequence where all are of equal length."""
LSTM = Lstm(vocab=8192, width=128, length=200, rows=32)
"""1,180,418 parameters."""
PROMPT_TOKENS, NEW_TOKENS = 32, 128
"""Of a row that is decoded."""
