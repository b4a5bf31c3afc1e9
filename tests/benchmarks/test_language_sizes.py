"""The sizes that the language benchmarks share, against networks that were built of them."""

from __future__ import annotations

import language_gpt
import language_sizes
import pytest
import torch
from language_lstm_torch import Classifier
from language_sizes import BERT, GPTS, LSTM
from torch.utils.flop_counter import FlopCounterMode


@pytest.mark.parametrize(("name", "parameters"), [("5m", 5_063_424), ("30m", 29_545_472)])
def test_a_gpt_has_the_parameters_that_are_written_down(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = language_gpt.GptNetwork(GPTS[name])
    assert language_gpt.parameters(network) == GPTS[name].parameters == parameters


def test_the_lstm_has_torchs_parameters_less_its_second_bias() -> None:
    weights = sum(weight.numel() for weight in Classifier().parameters())
    assert weights - 4 * LSTM.width == LSTM.parameters == 1_180_418


def test_bert_has_the_parameters_that_are_written_down() -> None:
    # What transformers' BertForSequenceClassification counts of the same settings.
    assert BERT.parameters == 22_713_986


@pytest.mark.parametrize("name", GPTS)
def test_flops_are_those_that_torch_counts(name: str) -> None:
    size = GPTS[name]
    with torch.device("meta"):
        network = language_gpt.GptNetwork(size, attend=_products)
        tokens = torch.zeros(size.rows, size.context, dtype=torch.long)
        with FlopCounterMode(display=False) as counter:
            logits = network(tokens)
            forward = counter.get_total_flops()
            logits.sum().backward()
    tokens_in_batch = size.rows * size.context
    assert counter.get_total_flops() == tokens_in_batch * size.token_flops
    assert counter.get_total_flops() == language_sizes.TRAINING * forward


def test_decoding_a_token_costs_a_forward_of_one_row() -> None:
    size = GPTS["30m"]
    whole = size.training_flops(1) / language_sizes.TRAINING
    assert size.decoding_flops(keys=1) == whole


def test_a_recurrence_costs_its_matmuls_at_every_position() -> None:
    one_row = 2 * LSTM.length * (2 * LSTM.width) * (4 * LSTM.width)
    assert LSTM.training_flops() == language_sizes.TRAINING * one_row


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention whose products are counted whole; the mask and the scale cost none."""
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v
