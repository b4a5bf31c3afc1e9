"""Folders of tiny encoders with tokenizers of whole words, and texts for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from encoder_cases import DISTILBERT, MODERNBERT, ROBERTA
from foreign import theirs
from tokenizers import models, pre_tokenizers, processors

BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDS = [
    "anna",
    "bob",
    "rome",
    "oslo",
    "sings",
    "walks",
    "in",
    "to",
    "gladly",
    "sadly",
    "she",
    "he",
]
TEXTS = [
    ("anna sings gladly", "good"),
    ("bob walks sadly", "bad"),
    ("she sings gladly and walks home", "good"),
    ("he walks sadly to rome", "bad"),
] * 4
TAGGED = "anna B-person\nwalks O\nto O\nrome B-place\n\nhe O\nsings O\nin O\noslo B-place\n\n" * 6
WHOLE = {"split": {"validation": 0, "test": 0}}
FAMILIES: dict[str, tuple[str, dict[str, Any], Sequence[str]]] = {
    "BERT": ("BertModel", {}, BERT_SPECIALS),
    "RoBERTa": ("RobertaModel", ROBERTA, ROBERTA_SPECIALS),
    "DistilBERT": ("DistilBertModel", DISTILBERT, BERT_SPECIALS),
    "ModernBERT": ("ModernBertModel", MODERNBERT, BERT_SPECIALS),
}


def folder(place: Path, kind: str, settings: dict[str, Any], specials: Sequence[str]) -> Path:
    """A tiny encoder with a tokenizer of whole words.

    Args:
        place: Where it is saved.
        kind: Its class in transformers.
        settings: Of its config.
        specials: The tokens with a meaning of their own, in the order of their numbers.
    """
    names = [*specials, *WORDS]
    unknown, first, separator = (
        next(name for name in names if name.lower() in wanted)
        for wanted in (("[unk]", "<unk>"), ("[cls]", "<s>"), ("[sep]", "</s>"))
    )
    inner = tokenizers.Tokenizer(
        models.WordLevel({name: number for number, name in enumerate(names)}, unk_token=unknown)
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {separator}",
        pair=f"{first} $A {separator} $B:1 {separator}:1",
        special_tokens=[(first, names.index(first)), (separator, names.index(separator))],
    )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=unknown,
        cls_token=first,
        sep_token=separator,
        pad_token=next(name for name in names if "pad" in name.lower()),
        mask_token=next(name for name in names if "mask" in name.lower()),
    )
    network = theirs(kind, vocab_size=len(names), **settings)
    network.save_pretrained(place)
    made.save_pretrained(place)
    return place
