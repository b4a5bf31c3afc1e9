"""An LSTM classifier by a plain PyTorch loop, or (`tuned`) by one that keeps freed memory and
fuses Adam: a yardstick.

Dimension key:
    B  batch    T  tokens    D  width
"""

from __future__ import annotations

import bare
import language_data
import language_protocol
import torch
from language_sizes import LSTM
from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(nn.Module):
    """Embedding, one LSTM, dense on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(LSTM.vocab, LSTM.width)
        self.lstm = nn.LSTM(LSTM.width, LSTM.width, batch_first=True)
        self.head = nn.Linear(LSTM.width, LSTM.classes)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits."""
        y_BTD, _ = self.lstm(self.tokens(tokens_BT))
        return self.head(y_BTD[:, -1])


def tensors(texts: language_data.Texts) -> tuple[Tensor, Tensor]:
    """Tokens and labels."""
    tokens, _ = texts.padded(LSTM.length)
    return torch.from_numpy(tokens).long(), torch.from_numpy(texts.labels)


def main() -> None:
    """Trains as ordered, and reports."""
    parser = language_protocol.parser(__doc__, ("equal",))
    parser.add_argument("--tuned", action="store_true")
    given = parser.parse_args()
    order = language_protocol.order_of(given)
    if given.tuned:
        bare.keep_freed_memory()
    torch.manual_seed(order.seed)
    train, validation = language_data.read_excerpts(order.cache, order.steps * LSTM.rows)
    tokens, labels = tensors(train)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=given.tuned)

    @torch.no_grad()
    def loss() -> float:
        tokens, labels = tensors(validation)
        return float(F.cross_entropy(model(tokens), labels))

    training = language_protocol.Training(order, loss)
    training.begin()
    for step in range(order.steps):
        rows = slice(step * LSTM.rows, (step + 1) * LSTM.rows)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=order.bf16):
            batch_loss = F.cross_entropy(model(tokens[rows]), labels[rows])
        batch_loss.backward()
        optimizer.step()
        training.step()
    training.report(
        units=order.chunk_steps * LSTM.rows,
        flops=LSTM.training_flops(),
        parameters=sum(weight.numel() for weight in model.parameters()),
    )


if __name__ == "__main__":
    main()
