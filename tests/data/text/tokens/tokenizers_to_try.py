"""Tokenizers of every kind, and of the kinds that come in files."""

from __future__ import annotations

from functools import cache

import tokenizers
from hypothesis import settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from luthier.data.text.tokens.byte_letters import BYTE_LETTERS
from luthier.data.text.tokens.subwords import BpeSpec, UnigramSpec, WordpieceSpec
from luthier.data.text.tokens.symbols import BytesSpec, CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer

TEXTS = (
    "The quick brown fox doesn't jump over the lazy dog. The dog, it's said, sleeps; 3.14 times!",
    "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。",
    "A fox and a dog  met at the café\tin the fog.\nThe fog was thick, the foxes were quick.",
    "def f(x):\n    return x + 1  # 😀 naïve\r\n\r\n",
    "_<|>_ mark and end and unknown",
)
SPECIALS = ("end", "unknown", "pad", "mask", "first", "separator")
SPECS: dict[str, TokenizerSpec] = {
    "bpe": BpeSpec(vocab=400, least=1),
    "wordpiece": WordpieceSpec(vocab=400, least=1),
    "wordpiece_cased": WordpieceSpec(vocab=400, least=1, lowercase=False),
    "unigram": UnigramSpec(vocab=200, coverage=1.0),
    "bytes": BytesSpec(),
    "characters": CharactersSpec(),
    "words": WordsSpec(least=1),
    "words_at_spaces": WordsSpec(least=1, split="spaces", lowercase=False),
}
LOSSLESS = ("bpe", "bytes")

FEW = settings(max_examples=15)
"""For tests of each of many tokenizers."""

ANY_TEXT = st.text(
    st.one_of(
        st.sampled_from("aeifox, .'\n\t  ▁#<|>3é中。��😀"),
        st.characters(exclude_categories=()),
    ),
    max_size=60,
)
USUAL_TEXT = st.lists(
    st.sampled_from([*" ".join(TEXTS).split(" "), " ", "  ", "\n"]), max_size=30
).map(" ".join)
TEXT = ANY_TEXT | USUAL_TEXT


@cache
def trained(name: str) -> Tokenizer:
    """A tokenizer trained on `TEXTS`, with all special tokens."""
    return train_tokenizer(SPECS[name], TEXTS, specials=SPECIALS)


def _llama() -> tokenizers.Tokenizer:
    """As Llama 2: a space is set before the text, and unknown characters are bytes."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [*sorted({*"".join(TEXTS).replace(" ", "▁")} - {"床", "é"}), "▁t", "▁th", "▁the"]
    vocab = {name: number for number, name in enumerate(names)}
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e")]
    inner = tokenizers.Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    inner.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 1)])
    return inner


def _byte_level(roberta: bool) -> tokenizers.Tokenizer:
    """As RoBERTa: a space is set before the text. Or as Qwen: composed, with its own pattern."""
    inner = tokenizers.Tokenizer(models.BPE())
    if roberta:
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    else:
        inner.normalizer = normalizers.NFC()
        pattern = (
            r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=names,
        initial_alphabet=list(BYTE_LETTERS),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS, trainer)
    inner.add_tokens(["  ", "<think>"])
    return inner


def _bert() -> tokenizers.Tokenizer:
    """As BERT, cut at 8 tokens and filled up, as its file says."""
    inner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=names, show_progress=False)
    inner.train_from_iterator(TEXTS, trainer)
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    inner.enable_truncation(8)
    inner.enable_padding(length=8)
    return inner


FOREIGN = ("llama", "roberta", "qwen", "bert")
EVERY = (*SPECS, *FOREIGN)


@cache
def foreign_file(name: str) -> str:
    """The tokenizer.json of another project's manner."""
    made = {
        "llama": _llama,
        "roberta": lambda: _byte_level(roberta=True),
        "qwen": lambda: _byte_level(roberta=False),
        "bert": _bert,
    }[name]()
    text: str = made.to_str()
    return text


@cache
def any_tokenizer(name: str) -> Tokenizer:
    """One of `EVERY`."""
    return trained(name) if name in SPECS else Tokenizer.from_json(foreign_file(name))
