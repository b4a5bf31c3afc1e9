"""GGUF files, as llama.cpp has them: one file with a Llama-like network and its tokenizer.

Read as if it were a Hugging Face folder: its metadata as config.json and tokenizer.json, its
tensors made whole, by the names that Hugging Face has for them.

Source:
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, and the package gguf, which reads
    the container and makes the tensors whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors
from torch import Tensor

from luthier.errors import InputError, missing_extra, nearest
from luthier.interop.huggingface.folder import CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG
from luthier.interop.huggingface.read import Pretrained, read_files

SUFFIX = ".gguf"
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
}
"""Theirs: Hugging Face's model_type, and its class. Mistral and SmolLM are a llama there."""
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_OF_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ALONE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_TURNED = ("attn_q", "attn_k")
"""What is kept there in another order of the rows, in a llama: with pairs that are neighbours."""
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_CUTS: Mapping[str, Sequence[Any]] = {
    "gpt-2": (),
    "default": (),
    "smollm": (pre_tokenizers.Digits(individual_digits=True),),
    "llama-bpe": (rf"{_ENDINGS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}",),
    "qwen2": (rf"{_ENDINGS}|{_WORDS}|\p{{N}}|{_REST}",),
}
"""How texts are cut before pairs are merged, by tokenizer.ggml.pre."""
_CONTROL, _USER_DEFINED = 3, 4
_SPECIAL = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
"""What Hugging Face calls the special tokens that the metadata names."""
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, OverflowError)
"""What the package says of a file that is not whole."""


@dataclass(frozen=True)
class GgufFile:
    """A file, as the files of a folder.

    Args:
        path: The file.
    """

    path: Path

    def json(self, name: str) -> dict[str, Any] | None:
        """What a JSON file of the folder would say."""
        match name:
            case _ if name == CONFIG:
                return self._config()
            case _ if name == TOKENIZER_CONFIG:
                return self._specials()
            case _ if name == GENERATION:
                return {"eos_token_id": self._ends()}
            case _:
                return None

    def text(self, name: str) -> str | None:
        """The text of a file of the folder."""
        return self._tokenizer() if name == TOKENIZER else None

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor in float32, by the name that Hugging Face has for it.

        Raises:
            InputError: If there is one that no such network has.
        """
        # Here, since it is an extra.
        from gguf.quants import dequantize

        found = {}
        for tensor in self._reader.tensors:
            name, turned = self._named(str(tensor.name))
            try:
                whole = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
            except (*_UNREADABLE, NotImplementedError) as error:
                raise self._damaged(f"its tensor {tensor.name} is not whole: {error}") from None
            found[name] = self._in_halves(whole, turned) if turned else whole
        return found

    @cached_property
    def _reader(self) -> Any:
        try:
            import gguf
        except ImportError:
            raise missing_extra("gguf", "gguf") from None
        try:
            return gguf.GGUFReader(self.path)
        except _UNREADABLE as error:
            raise self._damaged(f"is no whole GGUF file: {error}") from None

    def _damaged(self, reason: str) -> InputError:
        return InputError(f"{self.path}: {reason}; bring it again")

    def _said(self, key: str, default: Any = None) -> Any:
        field = self._reader.fields.get(key)
        return default if field is None else field.contents()

    @cached_property
    def _kind(self) -> str:
        kind = str(self._said("general.architecture"))
        if kind not in ARCHITECTURES:
            raise InputError(
                f'{self.path}: is a "{kind}"{nearest(kind, ARCHITECTURES)}; other networks are read'
                " from their Hugging Face folders"
            )
        return kind

    def _number(self, key: str, default: float | None = None) -> Any:
        """A number of the network; of one that is no whole number, what float32 keeps of it."""
        found = self._said(f"{self._kind}.{key}", default)
        return float(f"{found:.6g}") if isinstance(found, float) else found

    def _config(self) -> dict[str, Any]:
        """config.json.

        Raises:
            InputError: If the angles are scaled in a way that luthier has not.
        """
        kind, heads = self._kind, self._number("attention.head_count")
        names = {str(tensor.name) for tensor in self._reader.tensors}
        scaled = self._said(f"{kind}.rope.scaling.type", "none")
        if scaled != "none" or "rope_freqs.weight" in names:
            raise InputError(
                f"{self.path}: scales its rotary angles, which is read from Hugging Face folders "
                "only; take that of the same network"
            )
        model_type, architecture = ARCHITECTURES[kind]
        return {
            "model_type": model_type,
            "architectures": [architecture],
            "vocab_size": len(self._said("tokenizer.ggml.tokens", [])),
            "hidden_size": self._number("embedding_length"),
            "intermediate_size": self._number("feed_forward_length"),
            "num_hidden_layers": self._number("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": self._number("attention.head_count_kv", heads),
            "head_dim": self._number("attention.key_length"),
            "max_position_embeddings": self._number("context_length"),
            "rms_norm_eps": self._number("attention.layer_norm_rms_epsilon", 1e-6),
            "rope_theta": self._number("rope.freq_base", 10_000.0),
            "tie_word_embeddings": "output.weight" not in names,
        }

    def _named(self, name: str) -> tuple[str, int]:
        """A tensor's name in Hugging Face's folder; and how many heads of it are turned."""
        if name in _ALONE:
            return _ALONE[name], 0
        found = _LAYER.fullmatch(name)
        if found is None or found[2] not in _OF_A_LAYER:
            raise InputError(f'{self.path}: has the tensor "{name}", which no {self._kind} has')
        number, part, kind = found.groups()
        heads = 0
        if self._kind == "llama" and part in _TURNED:
            every = self._number("attention.head_count")
            kv = self._number("attention.head_count_kv", every)
            heads = every if part == "attn_q" else kv
        return f"model.layers.{number}.{_OF_A_LAYER[part]}.{kind}", heads

    def _in_halves(self, rows: Tensor, heads: int) -> Tensor:
        """Rows of heads whose pairs are neighbours, with pairs in two halves."""
        half = rows.shape[0] // heads // 2
        return rows.view(heads, half, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)

    def _specials(self) -> dict[str, Any]:
        """tokenizer_config.json."""
        tokens = self._said("tokenizer.ggml.tokens", [])
        found = {
            f"{word}_token": tokens[number]
            for name, word in _SPECIAL.items()
            if (number := self._said(f"tokenizer.ggml.{name}_token_id")) is not None
            and number < len(tokens)
        }
        return {**found, "chat_template": self._said("tokenizer.chat_template")}

    def _ends(self) -> list[int]:
        numbers = (self._said(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot"))
        return [number for number in dict.fromkeys(numbers) if number is not None]

    def _tokenizer(self) -> str:
        """tokenizer.json.

        Raises:
            InputError: If it is of a kind that is not read from here.
        """
        kind = self._said("tokenizer.ggml.model")
        cut = self._said("tokenizer.ggml.pre", "default")
        if kind != "gpt2" or cut not in _CUTS:
            raise InputError(
                f'{self.path}: has a tokenizer of the kind "{kind}", cut as "{cut}"; luthier reads'
                f" gpt2 from here, cut as {', '.join(_CUTS)}; take the Hugging Face folder of the "
                "same network"
            )
        tokens = self._said("tokenizer.ggml.tokens")
        merges = [tuple(merge.split(" ")) for merge in self._said("tokenizer.ggml.merges", [])]
        vocab = {token: number for number, token in enumerate(tokens)}
        inner = tokenizers.Tokenizer(models.BPE(vocab, merges))
        inner.pre_tokenizer = _cutting(_CUTS[cut])
        inner.decoder = decoders.ByteLevel()
        for token, kind_of_it in zip(tokens, self._said("tokenizer.ggml.token_type"), strict=True):
            if kind_of_it in (_CONTROL, _USER_DEFINED):
                special = kind_of_it == _CONTROL
                inner.add_tokens([AddedToken(token, special=special, normalized=False)])
        first = self._said("tokenizer.ggml.bos_token_id")
        if self._said("tokenizer.ggml.add_bos_token", False) and first is not None:
            inner.post_processor = processors.TemplateProcessing(
                single=[tokens[first], "$A"], special_tokens=[(tokens[first], first)]
            )
        text: str = inner.to_str()
        return text


def _cutting(parts: Sequence[Any]) -> Any:
    """How a text is cut into what pairs are merged in."""
    own = [
        pre_tokenizers.Split(Regex(part), "isolated") if isinstance(part, str) else part
        for part in parts
    ]
    with_words = not any(isinstance(part, str) for part in parts)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=with_words)
    return pre_tokenizers.Sequence([*own, last])


def is_gguf(path: Path) -> bool:
    """Whether `path` is a file that `read_gguf` is for."""
    return path.suffix == SUFFIX and path.is_file()


def read_gguf(path: Path, dtype: torch.dtype | None = torch.float32) -> Pretrained:
    """The network in a GGUF file.

    Args:
        path: The file.
        dtype: Of the weights; none leaves them in float32, in which they are made whole.

    Raises:
        InputError: If it cannot be used; says why, and what to do.
    """
    return read_files(GgufFile(path), dtype)
