"""Special tokens: what the field calls those that a task may need."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.data.purpose import Special

USUAL_NAMES: Mapping[Special, tuple[str, ...]] = {
    "end": (
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|end▁of▁sentence|>",
        "<eos>",
        "</s>",
        "[EOS]",
        "<|end|>",
        "<|im_end|>",
        "<|eot_id|>",
        "[SEP]",
    ),
    "unknown": ("<|unknown|>", "[UNK]", "<unk>"),
    "pad": ("<|pad|>", "[PAD]", "<pad>", "<|▁pad▁|>", "<|finetune_right_pad_id|>"),
    "mask": ("<|mask|>", "[MASK]", "<mask>"),
    "first": (
        "<|first|>",
        "[CLS]",
        "<cls>",
        "<s>",
        "<bos>",
        "[BOS]",
        "<|begin_of_text|>",
        "<|begin▁of▁sentence|>",
        "<|startoftext|>",
    ),
    "separator": ("<|separator|>", "[SEP]", "<sep>", "</s>"),
}
"""Names in tokenizer files, the likeliest first; compared without regard to case."""


def own_name(special: Special) -> str:
    """How a tokenizer that is trained here spells a special token.

    Example:
        >>> own_name("end")
        '<|end|>'
    """
    return f"<|{special}|>"


def find_special(special: Special, numbers: Mapping[str, int]) -> int | None:
    """The number of the token that serves as `special`; none if there is no such token.

    Example:
        >>> find_special("first", {"[PAD]": 0, "[CLS]": 101})
        101
    """
    lowered = {name.lower(): number for name, number in numbers.items()}
    for name in USUAL_NAMES[special]:
        if name.lower() in lowered:
            return lowered[name.lower()]
    return None
