"""From a network of ours to a Hugging Face folder, compared before it counts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import DISK, WRITING, Files, make_folders, remove_tree, write_new
from luthier.checkpoint.folder import Content, write_hashed
from luthier.checkpoint.manifest import MANIFEST, Manifest
from luthier.checkpoint.weights import write_tensors
from luthier.data.target import Written as Answered
from luthier.data.target import names_of
from luthier.errors import InputError, RunError, StorageError
from luthier.interop.huggingface.folder import (
    CONFIG,
    GENERATION,
    INDEX,
    TOKENIZER,
    TOKENIZER_CONFIG,
    WEIGHTS,
)
from luthier.interop.huggingface.frame import with_frame
from luthier.interop.huggingface.membership import Member, about_names, member
from luthier.interop.huggingface.pairs import about_written
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.row import Row
from luthier.interop.huggingface.special_tokens import THEIR_NAMES
from luthier.interop.huggingface.speech import of_speech
from luthier.interop.huggingface.tensors import foreign
from luthier.interop.parity import Agreement, agreement
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import Aim
from luthier.model.encoder_decoder import EncoderDecoderSpec

SHARD_BYTES = 5 * 10**9
"""Of a file of weights at most, unless a single tensor is larger."""
CARD = "README.md"
PIPELINES: Mapping[Aim | None, str] = {
    "next_token": "text-generation",
    "masked": "fill-mask",
    "labels": "text-classification",
    "tags": "token-classification",
    "answers": "question-answering",
    "pairs": "text2text-generation",
    None: "feature-extraction",
}
"""What the hub calls what a network is for."""
SPEECH = "automatic-speech-recognition"
"""The same, of one that writes what is said."""
_PROBES = ("So it goes.", "naïve 1,024\n\tÜ")


@dataclass(frozen=True)
class Written:
    """A folder that was written, read again and found equal."""

    path: Path
    family: str
    """As people call it."""
    architecture: str
    """The class of transformers that reads it."""
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        """As `export --json` prints it."""
        return {
            "path": str(self.path),
            "family": self.family,
            "architecture": self.architecture,
            "agreement": vars(self.agreement),
        }


def write_pretrained(
    pretrained: Pretrained,
    out: Path,
    *,
    card: str = "",
    shard_bytes: int = SHARD_BYTES,
    files: Files = DISK,
) -> Written:
    """Writes the folder `out`, whole or not at all.

    It is read again, and what the network gives and writes is compared, before it gets its name.

    Args:
        pretrained: The network, with what its use needs.
        out: The folder; must not be there yet.
        card: What README.md says of it, behind its front matter.
        shard_bytes: The most bytes of one file of weights.
        files: The disk.

    Raises:
        InputError: If the network is a member of no family, or the folder is there already.
        RunError: If what is read again is not what was written.
        StorageError: The disk refused; nothing is left behind.
    """
    if os.path.lexists(out):
        raise InputError(f"{out}: is there already; give the name of a new folder")
    network, aim = pretrained.network, pretrained.aim
    names = () if pretrained.target is None else names_of(pretrained.target)
    padding = pretrained.specials.get("pad")
    found = member(network, aim, names, first=pretrained.family, padding=padding)
    tensors = foreign(network, found.family.matches(Row.of(network), aim))
    contents = {
        **_weights(tensors, shard_bytes),
        CONFIG: to_json(_config(pretrained, found, names)),
        **_of_the_tokenizer(pretrained),
        CARD: _card(pretrained, found, card, out.name).encode(),
    }
    temporary = out.with_name(WRITING + out.name)
    if os.path.lexists(temporary):
        remove_tree(temporary, files)
    make_folders(out.absolute().parent, files)
    try:
        files.make_folder(temporary)
        entries = {
            name: write_hashed(temporary / name, content, files)
            for name, content in contents.items()
        }
        sealed = Manifest(entries).to_bytes()
        write_new(temporary / MANIFEST, lambda write: write(sealed), files)
        files.sync_folder(temporary)
        same = _compared(pretrained, temporary, out)
        files.rename(temporary, out)
    except BaseException:
        if os.path.lexists(temporary):
            with suppress(StorageError):  # the first failure is the one to tell
                remove_tree(temporary, files)
        raise
    files.sync_folder(out.absolute().parent)
    return Written(out, found.family.name, found.architecture, same)


def _compared(ours: Pretrained, written: Path, out: Path) -> Agreement:
    """What is read again beside what was written."""
    again = read_pretrained(written, dtype=next(ours.network.parameters()).dtype)
    if ours.tokenizer is not None:
        assert again.tokenizer is not None
        for probe in _PROBES:
            a, b = (one.encode([probe])[0].tokens for one in (ours.tokenizer, again.tokenizer))
            if a.tolist() != b.tolist():
                raise RunError(
                    f"{out}: its tokenizer gives other tokens when it is read again; nothing is "
                    "kept"
                )
    writes = ours.aim == "next_token"
    return agreement(ours.network, again.network, writes=writes, name=str(out))


def _weights(tensors: Mapping[str, Tensor], shard_bytes: int) -> dict[str, Content]:
    """One file, or several and the index that says in which a tensor is."""
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        own = tensor.numel() * tensor.element_size()
        if shards[-1] and size + own > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += own
    if len(shards) == 1:
        return {WEIGHTS: partial(write_tensors, shards[0])}
    names = [f"model-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    where = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
    index = {"metadata": {"total_size": total}, "weight_map": where}
    found: dict[str, Content] = {
        name: partial(write_tensors, shard) for name, shard in zip(names, shards, strict=True)
    }
    return {**found, INDEX: to_json(index)}


def _config(pretrained: Pretrained, found: Member, names: Sequence[str]) -> dict[str, Any]:
    """config.json."""
    kind = str(next(pretrained.network.parameters()).dtype).removeprefix("torch.")
    return {
        "architectures": [found.architecture],
        "model_type": found.family.model_type,
        "vocab_size": (pretrained.writes or pretrained.reads).vocab,
        **found.config,
        **about_names(tuple(names)),
        **_ids(pretrained),
        "torch_dtype": kind,
    }


def _ids(pretrained: Pretrained) -> dict[str, Any]:
    """The numbers of special tokens, as config.json and generation_config.json have them. Null
    where there is none, since a config that says nothing means the numbers of its family."""
    specials = pretrained.specials
    ends = pretrained.ends or tuple(n for s, n in specials.items() if s == "end")
    found: dict[str, Any] = {
        "bos_token_id": specials.get("first"),
        "eos_token_id": list(ends) if len(ends) > 1 else next(iter(ends), None),
        "pad_token_id": specials.get("pad"),
    }
    if isinstance(pretrained.target, Answered):
        found["decoder_start_token_id"] = pretrained.target.opening
    return found


def _of_the_tokenizer(pretrained: Pretrained) -> dict[str, Content]:
    tokenizer = pretrained.tokenizer
    found: dict[str, Content] = {}
    if pretrained.aim == "next_token":
        found[GENERATION] = to_json(_ids(pretrained))
    if pretrained.sounds is None and isinstance(pretrained.target, Answered):
        how = about_written(pretrained.target, pretrained.task)
        found[GENERATION] = to_json({**_ids(pretrained), **how})
    if pretrained.sounds is not None and isinstance(pretrained.target, Answered):
        about_sounds = of_speech(pretrained.sounds, pretrained.target)
        found |= {name: to_json(said) for name, said in about_sounds.items()}
    if tokenizer is None:
        return found
    about: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": (pretrained.writes or pretrained.reads).shape[0],
        "model_input_names": _inputs(pretrained),
        "clean_up_tokenization_spaces": False,
    }
    for special, number in sorted(pretrained.specials.items()):
        for word in _words(special, pretrained.aim):
            about[f"{word}_token"] = tokenizer.name(number)
    if pretrained.template is not None:
        about["chat_template"] = pretrained.template
    text = with_frame(tokenizer, pretrained.frame)
    return {**found, TOKENIZER: text.encode(), TOKENIZER_CONFIG: to_json(about)}


def _inputs(pretrained: Pretrained) -> list[str]:
    """What the network reads, as transformers calls it."""
    if isinstance(pretrained.model, EncoderDecoderSpec):
        return ["input_ids", "attention_mask"]
    typed = any(isinstance(b, TokensSpec) and b.types > 1 for b in pretrained.model.layers)
    return ["input_ids", *["token_type_ids"] * typed, "attention_mask"]


def _words(special: Any, aim: Aim | None) -> tuple[str, ...]:
    """What transformers calls a special token: the first token of a text is `bos` where texts are
    written, `cls` elsewhere."""
    words = THEIR_NAMES[special]
    return words if len(words) == 1 else words[:1] if aim in ("next_token", "pairs") else words[1:]


def _card(pretrained: Pretrained, found: Member, text: str, name: str) -> str:
    """README.md, as the hub reads it."""
    front = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {PIPELINES[pretrained.aim] if pretrained.sounds is None else SPEECH}",
        "tags:",
        "- luthier",
        "---",
    ]
    use = (
        f"A {found.family.name}, written by luthier. Use: "
        f'`transformers.{found.architecture}.from_pretrained("{name}")`.'
    )
    return "\n".join([*front, text or f"# {name}", "", use]) + "\n"
